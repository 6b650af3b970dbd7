//! Snapshots that can't go on here: `vmm restore` says why, and what to do.

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::SystemTime;

use vmm::cpu::model::CpuModel;
use vmm::machine::MachineState;
use vmm::snapshot::{Content, Snapshot, write};
use vmm::state::{decode, encode};
use vmm_control::SnapshotKind;

use super::going_on::{disk, refused_restore, snapshot};
use super::vm::{Directory, Running, config};

fn open(directory: &Path) -> Snapshot {
    Snapshot::open(File::open(directory).expect("it opens").as_fd(), &[]).expect("a snapshot")
}

/// The snapshot as another host would have taken it.
fn of_another_cpu(from: &Path, into: &Path, change: fn(&mut CpuModel)) {
    let snapshot = open(from);
    let mut state: MachineState = decode("the machine", &snapshot.machine).expect("a machine");
    change(&mut state.cpu);
    let cpu = format!("{:?}", state.cpu);
    let content = Content {
        config: &snapshot.config,
        machine: &encode(&state),
        image: &snapshot.image,
        disks: &snapshot.disks,
        cpu: &cpu,
        taken_at: SystemTime::now(),
    };
    let into = File::open(into).expect("it opens");
    write(into.as_fd(), &content, None, &mut |_| ControlFlow::Continue(())).expect("it is written");
}

fn copy(from: &Path, into: &Path) {
    for entry in fs::read_dir(from).expect("a directory").flatten() {
        fs::copy(entry.path(), into.join(entry.file_name())).expect("a copy");
    }
}

/// The state file with some bytes in other places.
fn spoil(directory: &Path, at: impl FnOnce(usize) -> usize, byte: u8) {
    let file = directory.join("state");
    let mut bytes = fs::read(&file).expect("a state");
    let at = at(bytes.len());
    bytes[at] ^= byte;
    fs::write(&file, bytes).expect("it is written");
}

fn memory(directory: &Path) -> std::path::PathBuf {
    let entries = fs::read_dir(directory).expect("a directory").flatten();
    let mut files = entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains("memory-"));
    files.next().expect("a memory file")
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn what_cannot_go_on_here_is_refused_with_a_remedy() {
    let directory = Directory::new();
    let mut config = config(directory.path());
    config.disks = vec![disk(directory.path(), "data", 1 << 20)];
    let mut vm = Running::boot(directory.path(), &config);
    let kept = directory.join("kept");
    let full = snapshot(&mut vm, &kept, SnapshotKind::Full);
    vm.ask("mem-fill 1 1");
    let later = directory.join("later");
    snapshot(&mut vm, &later, SnapshotKind::Dirty { parent: full.id });
    assert_eq!(vm.stop(), Some(0));

    let check = |name: &str, make: &dyn Fn(&Path), expected: &[&str]| {
        let place = directory.join(name);
        fs::create_dir(&place).expect("a directory");
        make(&place);
        let said = refused_restore(&directory.join(&format!("vm-{name}")), &[&place], &[]);
        eprintln!("{name}: {}", said.trim_end());
        assert!(said.starts_with("error: ") && said.len() < 600, "{name}: {said}");
        for part in expected {
            assert!(said.contains(part), "{name}: {said}");
        }
    };
    check("empty", &|_| {}, &["the directory has no snapshot"]);
    check(
        "vendor",
        &|place| of_another_cpu(&kept, place, |cpu| cpu.vendor = "GenuineAbacus".into()),
        &["the snapshot needs a CPU of GenuineAbacus, this host has one of "],
    );
    check(
        "features",
        &|place| of_another_cpu(&kept, place, |cpu| cpu.features.iter_mut().for_each(|word| *word = u32::MAX)),
        &[
            "this host's CPU or KVM lacks what the snapshot's guest was promised: avx512f (CPUID 0x7.0 ebx bit 16), ",
            " more",
        ],
    );
    check(
        "stepping",
        &|place| of_another_cpu(&kept, place, |cpu| cpu.stepping ^= 1),
        &["was taken on CPU family", "template `portable`"],
    );
    check(
        "version",
        &|place| {
            copy(&kept, place);
            spoil(place, |_| 8, 6);
        },
        &["format 7.0", "use the version of vmm that made it"],
    );
    check(
        "magic",
        &|place| {
            copy(&kept, place);
            spoil(place, |_| 0, 1);
        },
        &["not a snapshot's state"],
    );
    for (name, at) in [("damaged", 2), ("damaged early", 20)] {
        check(
            name,
            &|place| {
                copy(&kept, place);
                spoil(place, |length| length / at, 1);
            },
            &["the file is damaged"],
        );
    }
    check(
        "state cut short",
        &|place| {
            copy(&kept, place);
            let file = File::options().write(true).open(place.join("state")).expect("a state");
            file.set_len(file.metadata().expect("a length").len() / 2).expect("it is cut");
        },
        &["cut short"],
    );
    check(
        "memory gone",
        &|place| {
            copy(&kept, place);
            fs::remove_file(memory(place)).expect("it was there");
        },
        &["the snapshot is incomplete", "restore the file from a backup"],
    );
    check(
        "memory cut short",
        &|place| {
            copy(&kept, place);
            File::options().write(true).open(memory(place)).and_then(|file| file.set_len(4096)).expect("it is cut");
        },
        &["restore the file from a backup"],
    );
    check("parent not named", &|place| copy(&later, place), &["give that snapshot's directory as well"]);
    // Last, as it spoils the disk for the others.
    let overlay = directory.join("data.top");
    File::options().append(true).open(&overlay).and_then(|file| file.set_len(1 << 30)).expect("it grows");
    check("another disk", &|place| copy(&kept, place), &["it isn't the file that the snapshot needs"]);
}
