//! To restore and to clone takes work that doesn't grow with the guest's memory: counted, not timed.

use std::fs;
use std::path::Path;

use vmm_control::SnapshotKind;

use super::going_on::{clones, restore_paused, snapshot};
use super::vm::{Directory, Running, config};

/// What it has taken to bring a VM up to its first instruction.
#[derive(Debug, Clone, Copy)]
struct Work {
    /// Guest memory that the process has touched.
    resident_kib: u64,
    /// Bytes that it has read by system calls.
    read_kib: u64,
    /// Pages that were mapped for it, its own code and heap included.
    faults: u64,
}

impl Work {
    fn of(vm: &mut Running) -> Self {
        let memory = vm.client().stats().expect("stats").memory;
        let process = format!("/proc/{}", vm.vm.child.id());
        let read = |name: &str| fs::read_to_string(format!("{process}/{name}")).expect("the lab's root may look");
        let io = read("io");
        let bytes: Option<u64> = io.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok());
        // Fields are counted from behind the name, which may have anything in it.
        let stat = read("stat");
        let rest = stat.rsplit_once(')').expect("a name").1;
        let faults = rest.split_whitespace().nth(7).and_then(|field| field.parse().ok());
        Self {
            resident_kib: memory.guest_resident_kib,
            read_kib: bytes.expect("a count") >> 10,
            faults: faults.expect("a count"),
        }
    }
}

fn work(directory: &Path, memory_mib: u32) -> [Work; 2] {
    fs::create_dir(directory).expect("a directory");
    let mut config = config(directory);
    config.memory_mib = memory_mib;
    let mut parent = Running::boot(directory, &config);
    let mut clone = clones(&mut parent, directory, &["clone".into()]).remove(0);
    let cloned = Work::of(&mut clone);
    assert_eq!(clone.stop(), Some(0));
    let kept = directory.join("kept");
    snapshot(&mut parent, &kept, SnapshotKind::Full);
    assert_eq!(parent.stop(), Some(0));
    let mut vm = restore_paused(&directory.join("restored"), &[&kept], &[]);
    let restored = Work::of(&mut vm);
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
        assert!(resident.iter().all(|kib| *kib < 1 << 10), "{resident:?}");
        assert!(grows(resident) <= 128, "{resident:?}");
        let read = column(|work| work.read_kib);
        assert!(grows(read) <= 256, "{read:?}");
        let faults = column(|work| work.faults);
        assert!(grows(faults) <= 256, "{faults:?}");
    }
}
