//! The whole way, once: boot, ask, snapshot, restore, clone, confined as users have it.

use vmm_control::spawn::{ChildOptions, clone_vm};
use vmm_control::{Console, SnapshotKind};

use super::vm::{Directory, Running, config, launch, listen};

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn a_vm_boots_is_kept_and_is_cloned() {
    let directory = Directory::new();
    let mut parent = Running::boot(directory.path(), &config(directory.path()));
    assert_eq!(parent.ask("ping"), "pong");
    let checksum = parent.ask("mem-fill 8 5");
    let checksum = checksum.split_whitespace().find(|word| word.starts_with("checksum=")).expect("a checksum");

    let kept = directory.join("kept");
    std::fs::create_dir(&kept).expect("a directory");
    let opened = std::fs::File::open(&kept).expect("it opens");
    let done = parent.client().snapshot(opened.into(), SnapshotKind::Full, true, vec![]).expect("a snapshot");
    assert!(done.memory_bytes > 0);

    let names = ["one", "two"].map(|name| directory.join(name));
    let listeners = names.each_ref().map(|name| {
        std::fs::create_dir(name).expect("a directory");
        listen(name, 1025)
    });
    let children = names.each_ref().map(|name| ChildOptions {
        run_directory: name.clone(),
        launch: launch(name),
        vsock: None,
        networks: vec![],
        console: Console::Off,
    });
    let vms = clone_vm(parent.client(), directory.path(), &children).expect("clones");
    let mut random = vec![parent.ask("random 16")];
    for ((vm, name), listener) in vms.into_iter().zip(&names).zip(listeners) {
        let mut child = Running::adopt(vm, name, listener);
        child.client().resume().expect("it runs");
        assert!(child.wait_ready().starts_with("ready 1 "), "it knows that it is another");
        assert!(child.ask("mem-check").contains(checksum));
        random.push(child.ask("random 16"));
        assert_eq!(child.stop(), Some(0));
    }
    random.sort();
    random.dedup();
    assert_eq!(random.len(), 3, "each has its own random numbers");
    assert_eq!(parent.stop(), Some(0));
}
