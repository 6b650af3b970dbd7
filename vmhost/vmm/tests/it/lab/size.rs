//! To restore and to clone takes work that doesn't grow with the guest's memory: counted, not timed.

use std::fs;
use std::path::Path;

use vmm_control::SnapshotKind;

use super::going_on::{clones, restore_paused, snapshot, used_bytes};
use super::vm::{Directory, Running, config};

/// A small part of what any guest's memory holds once it has booted.
const MOST_KIB: u64 = 1 << 10;

/// What it has taken to bring a VM up to its first instruction.
#[derive(Debug, Clone, Copy)]
struct Work {
    /// Guest memory that the process has touched.
    resident_kib: u64,
    /// What the machine has read from its disk meanwhile.
    read_kib: u64,
    /// Pages that were mapped for it, its own code and heap included.
    faults: u64,
}

impl Work {
    fn of(vm: &mut Running, read_kib: u64) -> Self {
        let memory = vm.client().stats().expect("stats").memory;
        let stat = fs::read_to_string(format!("/proc/{}/stat", vm.vm.child.id())).expect("it runs");
        // Fields are counted from behind the name, which may have anything in it.
        let rest = stat.rsplit_once(')').expect("a name").1;
        let faults = rest.split_whitespace().nth(7).and_then(|field| field.parse().ok());
        Self { resident_kib: memory.guest_resident_kib, read_kib, faults: faults.expect("a count") }
    }
}

/// KiB that were read from disks since the machine's start. No other test runs beside this one.
fn read_kib() -> u64 {
    let text = fs::read_to_string("/proc/vmstat").expect("counters");
    let count = text.lines().find_map(|line| line.strip_prefix("pgpgin ")?.parse().ok());
    count.expect("a count")
}

/// Makes the kernel forget the files' content, so that whoever needs it reads it from the disk.
fn forget(directory: &Path) {
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let file = fs::File::open(entry.path()).expect("a file");
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("it forgets");
    }
}

fn work(directory: &Path, memory_mib: u32) -> [Work; 2] {
    fs::create_dir(directory).expect("a directory");
    let mut config = config(directory);
    config.memory_mib = memory_mib;
    let mut parent = Running::boot(directory, &config);
    let mut clone = clones(&mut parent, directory, &["clone".into()]).remove(0);
    let cloned = Work::of(&mut clone, 0);
    assert_eq!(clone.stop(), Some(0));
    let kept = directory.join("kept");
    snapshot(&mut parent, &kept, SnapshotKind::Full);
    assert!(used_bytes(&kept) >> 10 > 8 * MOST_KIB, "there is much that could be read");
    assert_eq!(parent.stop(), Some(0));
    forget(&kept);
    let before = read_kib();
    let mut vm = restore_paused(&directory.join("restored"), &[&kept], &[]);
    let read = read_kib() - before;
    let restored = Work::of(&mut vm, read);
    assert_eq!(vm.stop(), Some(0));
    eprintln!("{memory_mib} MiB: restored with {restored:?}, cloned with {cloned:?}");
    [restored, cloned]
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn to_restore_and_to_clone_takes_the_same_for_any_size() {
    let directory = Directory::new();
    let done = [128, 512, 1024].map(|mib| work(&directory.join(&mib.to_string()), mib));
    for way in 0..2 {
        let column = |of: fn(&Work) -> u64| done.map(|row| of(&row[way]));
        let grows = |counts: [u64; 3]| counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0);
        let resident = column(|work| work.resident_kib);
        assert!(resident.iter().all(|kib| *kib < MOST_KIB), "{resident:?}");
        assert!(grows(resident) <= 256, "{resident:?}");
        let read = column(|work| work.read_kib);
        assert!(read.iter().all(|kib| *kib < MOST_KIB), "{read:?}");
        let faults = column(|work| work.faults);
        assert!(grows(faults) <= 256, "{faults:?}");
    }
}
