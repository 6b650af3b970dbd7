//! The `vmm` program as others use it: real processes with real guests on this machine's own KVM, shut in.

use std::io::Seek as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use vmm_control::spawn::{ChildOptions, Launch, Vm, clone_vm, fresh_overlays};
use vmm_control::{Client, Console, ExitReason, SnapshotKind, State, VmConfig};

use crate::control::fixture::Directory;
use crate::flat::fixture::elf;

const PROGRAM: &str = env!("CARGO_BIN_EXE_vmm");

/// Says `!` on the serial port once it runs, then sleeps for ever.
const GUEST: &[u8] = &[
    0x66, 0xBA, 0xF8, 0x03, // mov dx, 0x3f8
    0xB0, b'!', // mov al, '!'
    0xEE, // out dx, al
    0xFA, // cli
    0xF4, // hlt
    0xEB, 0xFD, // jmp to hlt
];

/// A configuration with one of each device that needs no network.
fn config(directory: &Path) -> VmConfig {
    let kernel = directory.join("kernel");
    let mut image = elf(GUEST);
    image.rewind().expect("a file");
    std::io::copy(&mut image, &mut std::fs::File::create(&kernel).expect("a file")).expect("room");
    let disk = directory.join("disk.img");
    std::fs::write(&disk, vec![7; 1 << 20]).expect("room");
    let run = directory.join("parent");
    let json = serde_json::json!({
        "boot": { "kernel": kernel },
        "memory_mib": 32,
        "console": { "file": directory.join("console") },
        "disks": [{ "id": "root", "path": disk, "overlay": run.join("root.overlay") }],
        "vsock": { "cid": 3, "socket": run.join("vsock.sock") },
        "balloon": {},
    });
    serde_json::from_value(json).expect("a configuration")
}

fn launch(directory: &Path, name: &str) -> Launch {
    let run = directory.join(name);
    std::fs::create_dir_all(&run).expect("a directory");
    Launch::new(Path::new(PROGRAM), &run.join("control.sock"))
}

/// A VM that doesn't outlive a test that fails.
struct Guest(Vm);

impl Drop for Guest {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.0.child.kill();
        let _ = self.0.child.wait();
    }
}

impl std::ops::Deref for Guest {
    type Target = Vm;

    fn deref(&self) -> &Vm {
        &self.0
    }
}

impl std::ops::DerefMut for Guest {
    fn deref_mut(&mut self) -> &mut Vm {
        &mut self.0
    }
}

fn wake(launch: &Launch, directories: &[PathBuf]) -> Guest {
    Guest(launch.wake(directories).expect("a process").ready().expect("a VM"))
}

fn clones(parent: &mut Guest, overlays: &Path, options: &[ChildOptions]) -> Vec<Guest> {
    let children = clone_vm(&mut parent.client, overlays, options).expect("children");
    for (child, options) in children.iter().zip(options) {
        only_its_own_disk_can_be_written(child.child.id(), &options.run_directory);
    }
    children.into_iter().map(Guest).collect()
}

/// Of all disk files that a child holds, those of its parent are open for reading only.
fn only_its_own_disk_can_be_written(pid: u32, own: &Path) {
    let mut frozen = 0;
    for fd in std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors").flatten() {
        let path = std::fs::read_link(fd.path()).unwrap_or_default();
        let is_disk = path.extension().is_some_and(|kind| kind == "img" || kind == "overlay");
        if is_disk && !path.starts_with(own) {
            let number = fd.file_name();
            let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy())).expect("it");
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags").trim();
            // The lowest octal digit holds the access mode; 0 is reading.
            assert!(flags.ends_with('0'), "{}: {flags}", path.display());
            frozen += 1;
        }
    }
    assert!(frozen >= 2, "the image and the parent's overlay");
}

fn boot(directory: &Path) -> Guest {
    let mut vm = Guest(launch(directory, "parent").boot(&config(directory)).expect("a VM"));
    assert_eq!(vm.client.info().expect("an answer").state, State::Created);
    vm.client.start().expect("started");
    vm
}

fn end(mut vm: Guest) {
    vm.client.stop(true).expect("stopped");
    assert!(vm.child.wait().expect("an end").success());
}

fn snapshot(vm: &mut Guest, to: &Path, kind: SnapshotKind, overlays: &Path) -> String {
    std::fs::create_dir_all(to).expect("a directory");
    let config = vm.client.info().expect("an answer").config;
    let overlays = fresh_overlays(&config, overlays).expect("overlays");
    let opened = std::fs::File::open(to).expect("a directory");
    vm.client.snapshot(opened.into(), kind, true, overlays).expect("a snapshot").id
}

#[test]
fn a_vm_from_start_to_stop() {
    let directory = Directory::new();
    let mut vm = boot(&directory.0);
    vm.client.pause().expect("paused");
    assert_eq!(vm.client.info().expect("an answer").state, State::Paused);
    vm.client.resume().expect("resumed");
    let stats = vm.client.stats().expect("stats");
    assert!(stats.memory.vmm_resident_kib > 0 && stats.uptime_us > 0, "{stats:?}");
    let waiter = {
        let mut other = Client::connect(&directory.0.join("parent/control.sock")).expect("a second client");
        other.subscribe(true).expect("subscribed");
        std::thread::spawn(move || other.wait())
    };
    let mut watching = Client::connect(&directory.0.join("parent/control.sock")).expect("a third client");
    watching.subscribe(true).expect("subscribed");
    end(vm);
    let last = std::iter::from_fn(|| watching.next_event().ok()).last().expect("events");
    assert_eq!(last.kind, vmm_control::EventKind::Exit { reason: ExitReason::Stopped });
    // The question may come too late for a process that is ending.
    assert!(!matches!(waiter.join().expect("no panic"), Ok(reason) if reason != ExitReason::Stopped));
}

#[test]
fn snapshots_are_verified_and_woken_and_so_are_those_of_the_woken() {
    let directory = Directory::new();
    let at = |name: &str| directory.0.join(name);
    let mut vm = boot(&directory.0);
    let first = snapshot(&mut vm, &at("first"), SnapshotKind::Full, &at("parent"));
    let second = snapshot(&mut vm, &at("second"), SnapshotKind::Dirty { parent: first }, &at("parent"));
    end(vm);

    let output = Command::new(PROGRAM).arg("verify").args([at("second"), at("first")]).output().expect("vmm");
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(words.starts_with(&format!("snapshot {second} by ")), "{words}");

    let mut woken = wake(&launch(&directory.0, "woken"), &[at("second"), at("first")]);
    let info = woken.client.info().expect("an answer");
    assert_eq!((info.state, info.parent), (State::Paused, Some(second.clone())));
    woken.client.resume().expect("resumed");
    let third = snapshot(&mut woken, &at("third"), SnapshotKind::Dirty { parent: second }, &at("woken"));
    end(woken);

    let mut again = wake(&launch(&directory.0, "again"), &[at("third"), at("second"), at("first")]);
    assert_eq!(again.client.info().expect("an answer").parent, Some(third));
    end(again);
}

fn child(directory: &Path, name: &str) -> ChildOptions {
    let run_directory: PathBuf = directory.join(name);
    let launch = Launch::new(Path::new(PROGRAM), &run_directory.join("control.sock"));
    ChildOptions { run_directory, launch, vsock: None, networks: Vec::new(), console: Console::Off }
}

#[test]
fn children_run_beside_their_parent_and_have_children_and_snapshots() {
    let directory = Directory::new();
    let mut vm = boot(&directory.0);
    let options = [child(&directory.0, "a"), child(&directory.0, "b")];
    let mut children = clones(&mut vm, &directory.0.join("parent"), &options);
    let mut identities = vec![vm.client.info().expect("an answer").generation];
    for child in &mut children {
        child.client.resume().expect("resumed");
        let info = child.client.info().expect("an answer");
        assert_eq!(info.state, State::Running);
        identities.push(info.generation);
    }
    assert_eq!(vm.client.info().expect("an answer").state, State::Running);
    let own: std::collections::BTreeSet<&str> = identities.iter().map(|id| id.0.as_str()).collect();
    assert_eq!(own.len(), 3, "{identities:?}");

    let options = [child(&directory.0, "grandchild")];
    let place = directory.0.join("a");
    let grandchildren = clones(&mut children[0], &place, &options);
    snapshot(&mut children[0], &directory.0.join("kept"), SnapshotKind::Full, &place);
    children.into_iter().chain(grandchildren).chain([vm]).for_each(end);
    end(wake(&launch(&directory.0, "woken"), &[directory.0.join("kept")]));
}

#[test]
fn a_vm_that_can_not_be_says_so_to_its_parent() {
    let directory = Directory::new();
    let mut config = config(&directory.0);
    config.boot.kernel = directory.0.join("missing");
    let error = launch(&directory.0, "parent").boot(&config).map(drop).expect_err("no VM");
    let expected =
        format!("the VM can't start: kernel {}: No such file or directory (os error 2)", config.boot.kernel.display());
    assert_eq!(error.to_string(), expected);
}
