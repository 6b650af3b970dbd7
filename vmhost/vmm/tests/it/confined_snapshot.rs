//! Freezing and writing a snapshot from within the jail: by descriptors alone, and with
//! the system calls that the device thread and the worker may make.

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::UNIX_EPOCH;

use vm_memory::{Bytes as _, GuestAddress};
use vmm::jail::seccomp::{Thread, confine, report_refusals};
use vmm::jail::{Identity, Jail};
use vmm::memory::{GuestRam, MemoryImage};
use vmm::snapshot::{Content, Snapshot, SnapshotRecord, WriteError, write};

const FOLDER: &str = "VMM_TEST_CONFINED_SNAPSHOT";

#[test]
fn a_confined_vm_writes_snapshots_into_a_directory_that_it_is_given() {
    let folder = std::env::temp_dir().join(format!("vmm-confined-snapshot-{}", std::process::id()));
    for name in ["first", "second", "run"] {
        fs::create_dir_all(folder.join(name)).expect("a folder for the test");
        // The VM has a user of its own.
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o777)).expect("ours");
    }
    let output = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "confined_snapshot::inside", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, &folder)
        .output()
        .expect("this binary runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");

    let [first, second] = ["first", "second"].map(|name| File::open(folder.join(name)).expect("there"));
    for (directory, value) in [(&first, 2), (&second, 3)] {
        let snapshot = Snapshot::open(directory.as_fd(), &[first.as_fd()]).expect("readable");
        snapshot.verify(|_| ControlFlow::Continue(())).expect("intact");
        assert_eq!(read(&GuestRam::restore(&snapshot.image).expect("room")), value);
    }
    fs::remove_dir_all(&folder).expect("the folder is there");
}

/// Not a test by itself: what the other one runs.
#[test]
#[ignore = "runs in a process of its own, started by the other test of this module"]
fn inside() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("run by the other test"));
    let [first, second] = ["first", "second"].map(|name| File::open(folder.join(name)).expect("there"));
    Jail { run_directory: folder.join("run"), identity: Identity::Unique, limits: None }
        .enter()
        .expect("the jail holds");
    report_refusals().expect("a signal handler");

    let device = thread::spawn(|| {
        confine(Thread::Device).expect("a filter");
        let mut ram = GuestRam::create(32).expect("memory");
        let images = [1, 2, 3].map(|value| {
            (0..20).for_each(|page| ram.memory().write_obj::<u64>(value, GuestAddress(page << 12)).expect("in memory"));
            ram.discarder().discard(GuestAddress(1 << 20), 1 << 20).expect("in memory");
            let dirty = ram.take_device_dirty();
            ram.freeze(&dirty).expect("room")
        });
        // As a clone gets it.
        let (index, files) = images[1].parts().expect("sealed");
        let files = files.iter().map(|file| file.try_clone_to_owned().expect("a descriptor")).collect();
        let child = GuestRam::restore(&MemoryImage::from_parts(&index, files).expect("valid")).expect("room");
        assert_eq!(read(&child), 2);
        images
    });
    let images = device.join().expect("no call was refused");
    let worker = thread::spawn(move || {
        confine(Thread::Worker).expect("a filter");
        let cancelled = save(&first, &images[0], None, ControlFlow::Break(()));
        assert!(matches!(cancelled, Err(WriteError::Cancelled)), "{cancelled:?}");
        save(&first, &images[0], None, ControlFlow::Continue(())).expect("written");
        let record = save(&first, &images[1], None, ControlFlow::Continue(())).expect("replaced");
        save(&second, &images[2], Some(&record), ControlFlow::Continue(())).expect("a child of it");
    });
    worker.join().expect("no call was refused");
}

fn read(ram: &GuestRam) -> u64 {
    ram.memory().read_obj(GuestAddress(19 << 12)).expect("in memory")
}

fn save(
    directory: &File,
    image: &MemoryImage,
    parent: Option<&SnapshotRecord>,
    answer: ControlFlow<()>,
) -> Result<SnapshotRecord, WriteError> {
    let config =
        serde_json::from_str(r#"{"boot":{"kernel":"/boot/vmlinux"},"memory_mib":32}"#).expect("a configuration");
    let content = Content { config: &config, machine: b"", image, disks: &[], cpu: "some CPU", taken_at: UNIX_EPOCH };
    // After a few steps, so that there's something to clean up.
    let mut steps = 0;
    write(directory.as_fd(), &content, parent, &mut |_| {
        steps += 1;
        if steps > 4 { answer } else { ControlFlow::Continue(()) }
    })
}
