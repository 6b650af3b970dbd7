//! Disks: what guests write is there, and what the host can't do is the guest's I/O error.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use guest_init::pattern::Pattern;
use vmm_control::{Disk, RateLimit, RateTarget};

use super::tools::{KIB, MIB, bytes_limit, counter, eventually, host, part, patterned, sparse, value};
use super::vm::{Directory, Running, config};

const SIZE: u64 = 32 * MIB;
const LAYERED: u64 = 2 * MIB;
const SECTOR: u64 = 512;

fn disk(id: &str, path: PathBuf) -> Disk {
    Disk { id: id.into(), path, read_only: false, overlay: None, rate: RateLimit::default() }
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn disks_hold_what_is_written_to_them() {
    let directory = Directory::new();
    let raw = sparse(&directory.join("raw.img"), SIZE);
    patterned(&directory.join("base.img"), LAYERED, 21);
    patterned(&directory.join("sealed.img"), MIB, 22);
    sparse(&directory.join("slow.img"), 4 * MIB);
    let base = std::fs::read(directory.join("base.img")).expect("it was written");

    let mut config = config(directory.path());
    config.vcpus = 2;
    config.disks = vec![
        disk("raw", directory.join("raw.img")),
        Disk { overlay: Some(directory.join("top")), ..disk("layered", directory.join("base.img")) },
        Disk { read_only: true, ..disk("sealed", directory.join("sealed.img")) },
        Disk { rate: bytes_limit(MIB, 64 * KIB), ..disk("slow", directory.join("slow.img")) },
    ];
    let mut vm = Running::boot(directory.path(), &config);
    let list = |raw: u64| format!("vda:{raw}:rw vdb:{LAYERED}:rw vdc:{MIB}:ro vdd:{}:rw", 4 * MIB);
    assert_eq!(vm.ask("blk-list"), list(SIZE));

    integrity(&mut vm);
    holes(&mut vm, &raw);
    layers(&mut vm);
    assert!(std::fs::read(directory.join("base.img")).expect("it is there") == base, "the base never changes");
    sealed(&mut vm);
    resize(&mut vm, &raw, &list(SIZE + 8 * MIB));
    limit(&mut vm);
    assert_eq!(counter(&mut vm, "block:raw", "in_flight"), 0);
    assert_eq!(vm.stop(), Some(0));
}

/// Random reads and writes side by side, each verified by the guest.
fn integrity(vm: &mut Running) {
    let reply = vm.ask("blk-random vda 40 1 8");
    assert!(value(&reply, "reads") > 0 && value(&reply, "writes") > 0, "{reply}");
    for (name, least) in [("reads", value(&reply, "reads")), ("writes", value(&reply, "writes")), ("flushes", 8)] {
        let counted = counter(vm, "block:raw", name);
        assert!(counted >= least, "{name}: {counted}, but {least} were made");
    }
    assert_eq!(counter(vm, "block:raw", "errors"), 0);
}

/// What was flushed is in the host's file; what was discarded takes no room there.
fn holes(vm: &mut Running, raw: &std::fs::File) {
    vm.ask("blk-write vda 1M 2M 7");
    vm.ask("blk-flush vda");
    assert_eq!(Pattern::new(7).verify(&part(raw, MIB, 2 * MIB), MIB), Ok(()));
    let blocks = || raw.metadata().expect("it is open").blocks();
    let before = blocks();
    vm.ask("blk-discard vda 1M 2M");
    assert!(blocks() + 2 * MIB / SECTOR <= before, "{before} sectors before, {} after a discard of 2 MiB", blocks());
    assert!(part(raw, MIB, 2 * MIB).iter().all(|byte| *byte == 0));

    vm.ask("blk-write vda 0 1M 8");
    vm.ask("blk-zero vda 256K 512K");
    vm.ask("blk-verify vda 0 256K 8");
    vm.ask("blk-verify vda 768K 256K 8");
    vm.ask("blk-flush vda");
    assert!(part(raw, 256 * KIB, 512 * KIB).iter().all(|byte| *byte == 0));
}

/// The base shows where nothing was written, and nowhere else.
fn layers(vm: &mut Running) {
    vm.ask("blk-verify vdb 0 2M 21");
    vm.ask("blk-write vdb 64K 512K 5");
    vm.ask("blk-zero vdb 1M 256K");
    vm.ask("blk-discard vdb 1536K 256K");
    vm.ask("blk-flush vdb");
    for (offset, length, seed) in [("0", "64K", 21), ("64K", "512K", 5), ("576K", "448K", 21), ("1280K", "256K", 21)] {
        vm.ask(&format!("blk-verify vdb {offset} {length} {seed}"));
    }
    for offset in ["1M", "1536K"] {
        let reply = vm.guest().reply(&format!("blk-verify vdb {offset} 256K 21"));
        assert!(reply.starts_with("error mismatch") && reply.ends_with("found=0x00"), "{reply}");
    }
    vm.ask("blk-random vdb 40 2 4");
    assert_eq!(counter(vm, "block:layered", "errors"), 0);
}

fn sealed(vm: &mut Running) {
    vm.ask("blk-verify vdc 0 1M 22");
    let reply = vm.guest().reply("blk-write vdc 0 4K 1");
    assert!(reply.starts_with("error "), "{reply}");
    assert_eq!(counter(vm, "block:sealed", "writes"), 0);
}

fn resize(vm: &mut Running, raw: &std::fs::File, expected: &str) {
    raw.set_len(SIZE + 8 * MIB).expect("there is room");
    vm.client().resize("raw").expect("it has that disk");
    eventually(vm, "the guest sees the disk's new size", |vm| (vm.ask("blk-list") == expected).then_some(()));
    vm.ask(&format!("blk-write vda {SIZE} 1M 9"));
    vm.ask("blk-flush vda");
    assert_eq!(Pattern::new(9).verify(&part(raw, SIZE, MIB), SIZE), Ok(()));
}

/// By the guest's own clock. The burst goes at once, and one request may leave a debt.
fn limit(vm: &mut Running) {
    let us = value(&vm.ask("blk-write-bench vdd 768K 64K 1"), "us");
    assert!(us >= 600_000, "640 KiB at 1 MiB a second took {us} µs");
    let throttled = counter(vm, "block:slow", "throttled");
    assert!(throttled > 0);
    vm.client().set_rate(RateTarget::Disk("slow".into()), RateLimit::default()).expect("it has that disk");
    vm.ask("blk-write-bench vdd 4M 64K 4");
    assert_eq!(counter(vm, "block:slow", "throttled"), throttled, "no limit, no wait");
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn a_full_host_disk_is_an_error_of_the_guest() {
    let directory = Directory::new();
    let small = directory.join("small");
    std::fs::create_dir(&small).expect("a directory");
    host(&format!("mount -t tmpfs -o size=8m small {}", small.display()));
    let filler = small.join("filler");
    std::fs::write(&filler, vec![1; (7 * MIB) as usize]).expect("there is room");
    let raw = sparse(&small.join("raw.img"), SIZE);
    patterned(&directory.join("base.img"), 4 * MIB, 3);

    let mut config = config(directory.path());
    config.disks = vec![
        disk("raw", small.join("raw.img")),
        Disk { overlay: Some(small.join("top")), ..disk("layered", directory.join("base.img")) },
    ];
    let mut vm = Running::boot(directory.path(), &config);
    for (device, name) in [("vda", "block:raw"), ("vdb", "block:layered")] {
        let reply = vm.guest().reply(&format!("blk-write {device} 0 2M 5"));
        assert!(reply.starts_with("error write") && reply.contains("os error 5"), "{device}: {reply}");
        assert!(counter(&mut vm, name, "errors") > 0);
    }
    vm.ask("blk-verify vdb 2M 2M 3");

    std::fs::remove_file(&filler).expect("it is there");
    for device in ["vda", "vdb"] {
        vm.ask(&format!("blk-write {device} 0 2M 6"));
        vm.ask(&format!("blk-flush {device}"));
        vm.ask(&format!("blk-verify {device} 0 2M 6"));
    }
    vm.ask("blk-verify vdb 2M 2M 3");
    assert_eq!(Pattern::new(6).verify(&part(&raw, 0, 2 * MIB), 0), Ok(()));
    assert_eq!(vm.stop(), Some(0));
    drop(raw);
    host(&format!("umount {}", small.display()));
}
