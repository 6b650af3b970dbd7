//! Snapshots of guests that are at work, each restored later as it was at its moment.

use std::path::Path;

use vmm_control::SnapshotKind;

use super::going_on::{Terminal, boot_in_terminal, disk, restore, restore_paused, snapshot, value, verified};
use super::vm::{Directory, Running, config, said};

/// In the middle of which a snapshot is taken, again and again: two threads that verify what they read.
const WORK: &str = "blk-random vdb 150 3 2";

/// Boots by `vmm run`, with a console whose requests survive restores.
fn boot(directory: &Path) -> Running {
    let mut config = config(directory);
    config.vcpus = 2;
    config.boot.command_line = "console=ttyS0 quiet sandglass.serial=1".into();
    config.disks = vec![disk(directory, "kept", 8 << 20), disk(directory, "load", 4 << 20)];
    boot_in_terminal(directory, config)
}

fn restored(directory: &Path, snapshots: &[&Path]) -> (Running, Terminal) {
    let mut vm = restore_paused(directory, snapshots, &["--console", "stdio"]);
    let terminal = Terminal::of(&mut vm);
    vm.client().resume().expect("it runs");
    vm.wait_ready();
    (vm, terminal)
}

fn written(vm: &mut Running) -> u64 {
    let stats = vm.client().stats().expect("stats");
    stats.devices.iter().find(|device| device.name == "block:load").map_or(0, |device| device.counters["writes"])
}

/// What the guest's programs have found, and that they still run.
fn check(vm: &Running, terminal: &mut Terminal, checksum: &str, seed: usize) {
    assert_eq!(value(&vm.ask("mem-check"), "checksum"), checksum);
    vm.ask(&format!("blk-verify vda 0 1M {seed}"));
    assert_eq!(value(&vm.ask("mem-churn-status"), "errors"), "0");
    // The work that the snapshot interrupted, to its end: all that was written is read once more.
    let reply = terminal.reply();
    assert!(reply.starts_with("ok reads="), "{reply}\n{}", said(&vm.directory));
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn snapshots_under_load_are_whole_each() {
    let directory = Directory::new();
    let mut parent = boot(directory.path());
    let mut terminal = Terminal::of(&mut parent);
    let checksum = value(&parent.ask("mem-fill 4 5"), "checksum").to_owned();
    parent.ask("mem-churn ON 7 4");
    // More than there is time for: each VM is in the middle of one until it ends.
    (0..40).for_each(|_| terminal.ask(WORK));

    let mut taken: Vec<(std::path::PathBuf, String)> = Vec::new();
    let mut before = 0;
    for seed in 0..3 {
        parent.ask(&format!("blk-write vda 0 1M {seed}"));
        let into = directory.join(&format!("kept-{seed}"));
        let kind = taken.last().map_or(SnapshotKind::Full, |(_, id)| SnapshotKind::Dirty { parent: id.clone() });
        let done = snapshot(&mut parent, &into, kind);
        eprintln!("{done:?}");
        let now = written(&mut parent);
        assert!(now > before, "the disk was at work");
        before = now;
        taken.push((into, done.id));
    }
    // All that follows is no affair of the snapshots.
    parent.ask("blk-write vda 0 1M 9");
    // It would take the processors from the others.
    parent.client().pause().expect("it stops");

    for last in (0..taken.len()).rev() {
        let chain: Vec<&Path> = taken[..=last].iter().rev().map(|(path, _)| path.as_path()).collect();
        assert_eq!(verified(&chain), taken[last].1);
        let (mut vm, mut terminal) = restored(&directory.join(&format!("vm-{last}")), &chain);
        check(&vm, &mut terminal, &checksum, last);
        assert_eq!(value(&vm.ask("mem-churn OFF"), "errors"), "0");
        if last == taken.len() - 1 {
            // A snapshot of what was restored needs the same directories, and its own.
            vm.ask("blk-write vda 0 1M 77");
            let (filled, again) = (vm.ask("mem-fill 4 6"), directory.join("again"));
            let done = snapshot(&mut vm, &again, SnapshotKind::Dirty { parent: taken[last].1.clone() });
            vm.ask("blk-write vda 0 1M 78");
            let longer: Vec<&Path> = std::iter::once(again.as_path()).chain(chain).collect();
            assert_eq!(verified(&longer), done.id);
            let grandchild = restore(&directory.join("grandchild"), &longer);
            assert_eq!(value(&grandchild.ask("mem-check"), "checksum"), value(&filled, "checksum"));
            grandchild.ask("blk-verify vda 0 1M 77");
            assert_eq!(grandchild.stop(), Some(0));
        }
        assert_eq!(vm.stop(), Some(0));
    }

    parent.client().resume().expect("it runs");
    check(&parent, &mut terminal, &checksum, 9);
    assert_eq!(value(&parent.ask("mem-churn OFF"), "errors"), "0");
    assert_eq!(parent.stop(), Some(0));
}
