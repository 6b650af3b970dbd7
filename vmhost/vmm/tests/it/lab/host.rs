//! What the host gives a VM's process: a control group, or no privileges at all.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::vm::{Directory, config, given, launch, said};

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn a_control_group_limits_the_whole_process() {
    let group = std::path::Path::new("/sys/fs/cgroup/vmm-test");
    std::fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory +cpu +pids").expect("controllers");
    let directory = Directory::new();
    let mut launch = launch(directory.path());
    launch.arguments.extend(["--cgroup".into(), group.into()]);
    launch.arguments.extend(["--cgroup-memory", "300", "--cgroup-cpu", "1500"].map(Into::into));
    let vm =
        launch.boot(&config(directory.path())).unwrap_or_else(|error| panic!("{error}\n{}", said(directory.path())));
    let read = |file: &str| std::fs::read_to_string(group.join(file)).expect("a file of the group").trim().to_owned();
    assert_eq!(read("memory.max"), (300 << 20).to_string());
    assert_eq!(read("cpu.max"), "150000 100000");
    // KVM's own kernel threads join it as well.
    assert!(read("cgroup.procs").lines().any(|line| line == vm.child.id().to_string()));
    let mut vm = vm;
    vm.client.stop(true).expect("it stops");
    assert!(vm.child.wait().expect("it ends").success());
    std::fs::remove_dir(group).expect("nobody is left in it");
}

/// Who isn't root runs VMs as well, shut in by a user namespace.
#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn an_ordinary_user_can_run_a_vm() {
    const NOBODY: u32 = 65534;
    let directory = Directory::new();
    std::os::unix::fs::chown(directory.path(), Some(NOBODY), Some(NOBODY)).expect("its directory");
    let copied = ["KERNEL", "INITRAMFS"].map(|name| {
        // The originals lie where only their owner may look.
        let copy = directory.join(name);
        std::fs::copy(given(&format!("SANDGLASS_GUEST_{name}")), &copy).expect("a copy");
        std::fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("its mode");
        copy
    });
    let program = directory.join("vmm");
    std::fs::copy(given("SANDGLASS_VMM"), &program).expect("a copy");
    let output = Command::new(program)
        .args(["run", "--name", "mine", "--run-root"])
        .arg(directory.path())
        .arg("--kernel")
        .arg(&copied[0])
        .arg("--initramfs")
        .arg(&copied[1])
        .args(["--cmdline", "console=ttyS0 quiet sandglass.do=ping;poweroff", "--console", "stdio"])
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("sandglass-init: ping: ok pong"), "{text}");
    assert_eq!(output.status.code(), Some(0), "{text}");
}
