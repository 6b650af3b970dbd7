//! Memory that guests give back: on request, by themselves, and not when they need it. Measured as the host sees it.

use vmm_control::Balloon;

use super::tools::{eventually, resident_kib, value};
use super::vm::{Directory, Running, config};

const MEMORY_MIB: u32 = 256;
/// What guests use for a moment.
const USED_MIB: u64 = 96;
const KIB_A_MIB: u64 = 1 << 10;

fn boot(directory: &Directory, balloon: Balloon) -> Running {
    let mut config = config(directory.path());
    config.memory_mib = MEMORY_MIB;
    config.balloon = Some(balloon);
    Running::boot(directory.path(), &config)
}

/// Fills and frees `USED_MIB`; resident KiB while they were in use.
fn use_memory(vm: &mut Running) -> u64 {
    vm.ask(&format!("mem-fill {USED_MIB} 5"));
    let resident = resident_kib(vm);
    assert!(resident >= USED_MIB * KIB_A_MIB, "{resident} KiB resident with {USED_MIB} MiB in use");
    vm.ask("mem-free");
    resident
}

fn actual(vm: &mut Running, mib: u32) {
    eventually(vm, &format!("the balloon holds {mib} MiB"), |vm| {
        (vm.client().balloon_stats().expect("it has a balloon").actual_mib == mib).then_some(())
    });
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn a_balloon_takes_memory_and_gives_it_back() {
    const TARGET_MIB: u32 = 176;
    let directory = Directory::new();
    let mut vm = boot(&directory, Balloon::default());
    let used = use_memory(&mut vm);
    let freed = resident_kib(&mut vm);
    assert!(freed + 8 * KIB_A_MIB > used, "nothing goes by itself: {used} KiB, then {freed}");

    vm.client().balloon(TARGET_MIB).expect("it has a balloon");
    actual(&mut vm, TARGET_MIB);
    let inflated = resident_kib(&mut vm);
    assert!(inflated + (USED_MIB - 16) * KIB_A_MIB < freed, "{freed} KiB resident before, {inflated} with the balloon");
    assert!(inflated < u64::from(MEMORY_MIB - TARGET_MIB) * KIB_A_MIB, "{inflated} KiB");
    let reply = vm.guest().reply(&format!("mem-fill {USED_MIB} 6"));
    assert!(reply.starts_with(&format!("error {USED_MIB} MiB wanted")), "what was given up isn't there: {reply}");

    statistics(&mut vm);

    vm.client().balloon(0).expect("it has a balloon");
    actual(&mut vm, 0);
    vm.ask(&format!("mem-fill {USED_MIB} 7"));
    vm.ask("mem-check");
    assert_eq!(vm.stop(), Some(0));
}

/// What the guest says of itself by way of the device, and by way of a request.
fn statistics(vm: &mut Running) {
    let stats = eventually(vm, "the guest sends statistics", |vm| {
        let stats = vm.client().balloon_stats().expect("it has a balloon");
        stats.total.is_some().then_some(stats)
    });
    let said = vm.ask("meminfo");
    assert_eq!(stats.total, Some(value(&said, "total_kib") << 10), "{stats:?}, {said}");
    let (free, available) = (stats.free.expect("Linux tells"), stats.available.expect("Linux tells"));
    assert!(free > 0 && available > 0 && free < stats.total.unwrap_or(0), "{stats:?}");
    assert!(stats.minor_faults.is_some_and(|faults| faults > 0), "{stats:?}");
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn free_pages_return_to_the_host_by_themselves() {
    let directory = Directory::new();
    let mut vm = boot(&directory, Balloon { free_page_reporting: true, ..Balloon::default() });
    let used = use_memory(&mut vm);
    let least = (USED_MIB - 16) * KIB_A_MIB;
    let now = eventually(&mut vm, "memory returns", |vm| Some(resident_kib(vm)).filter(|now| now + least < used));
    let stats = vm.client().balloon_stats().expect("it has a balloon");
    assert!(stats.reported_bytes >= least << 10, "{stats:?}");
    eprintln!("{used} KiB resident in use, {now} KiB after the guest has freed {USED_MIB} MiB");
    // And is there when it is wanted again.
    vm.ask(&format!("mem-fill {USED_MIB} 6"));
    vm.ask("mem-check");
    assert_eq!(vm.stop(), Some(0));
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn a_guest_out_of_memory_takes_it_back() {
    const TARGET_MIB: u32 = 96;
    let directory = Directory::new();
    let mut config = config(directory.path());
    config.balloon = Some(Balloon { target_mib: TARGET_MIB, deflate_on_oom: true, ..Balloon::default() });
    let mut vm = Running::boot(directory.path(), &config);
    let full = eventually(&mut vm, "the balloon holds what it can", |vm| {
        let stats = vm.client().balloon_stats().expect("it has a balloon");
        (stats.actual_mib + 4 >= TARGET_MIB).then_some(stats.actual_mib)
    });
    // Files in memory can't be dropped: more of them than the balloon has left.
    let text = "x".repeat(100 << 10);
    let left_kib = value(&vm.ask("meminfo"), "available_kib");
    for number in 0..left_kib / 100 + 40 {
        vm.ask(&format!("write /tmp/{number} {text}"));
    }
    let actual = vm.client().balloon_stats().expect("it has a balloon").actual_mib;
    assert!(actual < full, "{actual} MiB are still given up, as {full} were");
    let killed = vm.ask("dmesg Killed");
    assert_eq!(value(&killed, "count"), 0, "nobody had to go: {killed}");
    assert_eq!(vm.stop(), Some(0));
}
