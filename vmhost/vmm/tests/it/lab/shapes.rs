//! Machines of every size that a configuration allows boot, with what they were given.

use std::collections::BTreeSet;
use std::path::PathBuf;

use vmm_control::{CpuTemplate, VmConfig};

use super::tools::value;
use super::vm::{Directory, Running, config, given};

/// What the kernel keeps of a guest's memory: its image, its page descriptors.
const KERNEL_KIB: u64 = 24 << 10;

/// Boots what `change` makes of the usual guest, which must see `vcpus` and its memory; then asks for more.
fn check(change: impl FnOnce(&mut VmConfig), ask: impl FnOnce(&mut Running)) {
    let directory = Directory::new();
    let mut config = config(directory.path());
    change(&mut config);
    let mut vm = Running::boot(directory.path(), &config);
    assert_eq!(vm.ask("cpus"), format!("online={}", config.vcpus));
    let total = value(&vm.ask("meminfo"), "total_kib");
    let given = u64::from(config.memory_mib) << 10;
    assert!(total <= given && total + KERNEL_KIB + given / 32 >= given, "{total} KiB of {given} KiB");
    ask(&mut vm);
    let booted = vm.client().stats().expect("statistics").uptime_us / 1000;
    eprintln!("{} vCPUs, {} MiB: {booted} ms", config.vcpus, config.memory_mib);
    assert_eq!(vm.stop(), Some(0));
}

/// The guest's kernel lies at 16 MiB and ends at 34: with less than this the initramfs has no room to be unpacked.
const SMALLEST_MIB: u32 = 44;

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn the_smallest_guest_boots() {
    check(
        |config| config.memory_mib = SMALLEST_MIB,
        |vm| {
            vm.ask("mem-fill 1 5");
            vm.ask("mem-check");
        },
    );
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn portable_guests_and_compressed_kernels_boot() {
    let portable = |config: &mut VmConfig| (config.vcpus, config.cpu) = (2, CpuTemplate::Portable);
    check(portable, random);
    let compressed = |config: &mut VmConfig| config.boot.kernel = given("SANDGLASS_GUEST_BZIMAGE");
    check(compressed, |vm| assert_eq!(vm.ask("ping"), "pong"));
}

/// The device's random numbers, as the kernel hands them on.
fn random(vm: &mut Running) {
    let numbers: Vec<String> = (0..4).map(|_| vm.ask("hwrng 32")).collect();
    assert!(numbers.iter().all(|number| number.len() == 64), "{numbers:?}");
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len(), "{numbers:?}");
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn guests_in_huge_pages_boot() {
    let pool = PathBuf::from("/proc/sys/vm/nr_hugepages");
    std::fs::write(&pool, "64").expect("the pool can be set");
    let free = || {
        let text = std::fs::read_to_string("/proc/meminfo").expect("it is there");
        let line = text.lines().find_map(|line| line.strip_prefix("HugePages_Free:"));
        line.and_then(|count| count.trim().parse::<u64>().ok()).expect("a number")
    };
    assert_eq!(free(), 64, "the lab's memory has room for them");
    let huge = |config: &mut VmConfig| (config.vcpus, config.huge_pages) = (8, true);
    check(huge, |vm| {
        vm.ask("mem-fill 16 5");
        vm.ask("mem-check");
        assert!(free() <= 64 - 8, "{} pages are free", free());
    });
    assert_eq!(free(), 64, "all came back");
    std::fs::write(&pool, "0").expect("the pool can be set");
}
