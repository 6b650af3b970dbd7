//! Live clones: nobody sees another's writes, and each is another machine.

use std::path::Path;
use std::time::Instant;

use super::going_on::{child, clones, disk, value};
use super::vm::{Directory, Running, config};

/// Writes a pattern of its own to memory and disk; the checksum of memory.
fn write(vm: &Running, seed: u32) -> (u32, String) {
    vm.ask(&format!("blk-write vda 0 1M {seed}"));
    (seed, value(&vm.ask(&format!("mem-fill 4 {seed}")), "checksum").to_owned())
}

fn check(vm: &Running, (seed, checksum): &(u32, String)) {
    assert_eq!(value(&vm.ask("mem-check"), "checksum"), checksum);
    vm.ask(&format!("blk-verify vda 0 1M {seed}"));
}

/// Ends the program that rewrites its pages; it has found none that another VM wrote.
fn end_churn(vm: &Running) {
    assert_eq!(value(&vm.ask("mem-churn OFF"), "errors"), "0");
}

fn boot(directory: &Path) -> Running {
    let mut config = config(directory);
    config.disks = vec![disk(directory, "data", 8 << 20)];
    Running::boot(directory, &config)
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn parents_and_clones_see_nothing_of_each_other() {
    let directory = Directory::new();
    let mut parent = boot(directory.path());
    // Pages that all of them write in place, each another generation.
    parent.ask("mem-churn ON 9 4");
    let first = write(&parent, 1);
    let mut one = child(&mut parent, directory.path(), "one");
    let two = child(&mut parent, directory.path(), "two");
    for vm in [&parent, &one, &two] {
        check(vm, &first);
    }
    let (of_parent, of_one, of_two) = (write(&parent, 2), write(&one, 3), write(&two, 4));

    // They have all rewritten what they share. One goes on, so that its child does; more would slow down the lab.
    [&parent, &two].into_iter().for_each(end_churn);
    let mut third = child(&mut parent, directory.path(), "third");
    let grandchild = child(&mut one, directory.path(), "grandchild");
    check(&third, &of_parent);
    check(&grandchild, &of_one);
    let (of_third, of_grandchild) = (write(&third, 5), write(&grandchild, 6));

    // Also of a child the memory is another's in part: all of it must be in its snapshot.
    let kept = directory.join("kept");
    super::going_on::snapshot(&mut third, &kept, vmm_control::SnapshotKind::Full);
    let restored = super::going_on::restore(&directory.join("restored"), &[&kept]);
    check(&restored, &of_third);
    let of_restored = write(&restored, 7);

    [&one, &grandchild].into_iter().for_each(end_churn);
    let all = [
        (parent, of_parent),
        (one, of_one),
        (two, of_two),
        (third, of_third),
        (grandchild, of_grandchild),
        (restored, of_restored),
    ];
    for (vm, pattern) in &all {
        check(vm, pattern);
    }
    for (vm, _) in all {
        assert_eq!(vm.stop(), Some(0));
    }
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn a_hundred_clones_are_another_each() {
    const COUNT: usize = 100;
    const AHEAD: usize = 2;
    let directory = Directory::new();
    let mut parent = boot(directory.path());
    let pattern = write(&parent, 1);
    let mut generations = vec![parent.client().info().expect("info").generation.0];
    let mut random = vec![parent.ask("random 16")];
    let names: Vec<String> = (1..=COUNT).map(|number| format!("c{number}")).collect();
    let start = Instant::now();
    let mut children = clones(&mut parent, directory.path(), &names);
    eprintln!("{COUNT} clones are there after {} ms", start.elapsed().as_millis());
    // Few at once, or they would wait for the lab's two processors longer than their kernels do.
    for index in 0..COUNT + AHEAD {
        if let Some(next) = children.get_mut(index) {
            next.client().resume().expect("it runs");
        }
        let Some(child) = index.checked_sub(AHEAD).and_then(|index| children.get_mut(index)) else { continue };
        let ready = child.wait_ready();
        assert!(ready.starts_with("ready 1 "), "{ready}");
        random.push(child.ask("random 16"));
        generations.push(child.client().info().expect("info").generation.0);
    }
    eprintln!("all have answered after {} ms", start.elapsed().as_millis());
    let mut private = Vec::new();
    for child in &mut children {
        let memory = child.client().stats().expect("stats").memory;
        private.push((memory.guest_private_kib, memory.vmm_private_kib));
    }
    private.sort_unstable();
    let (guest, vmm) = private[COUNT / 2];
    let most = private.iter().map(|(guest, vmm)| guest + vmm).max().unwrap_or_default();
    eprintln!("an idle clone's own memory: median {guest} KiB of the guest, {vmm} KiB beside it, at most {most} KiB");
    assert!(most < 16 << 10, "{private:?}");
    for mut list in [random, generations] {
        list.sort();
        list.dedup();
        assert_eq!(list.len(), 1 + COUNT, "{list:?}");
    }
    let mem_check = parent.ask("mem-check");
    assert_eq!(value(&mem_check, "checksum"), pattern.1);
    for child in children {
        assert_eq!(child.stop(), Some(0));
    }
    assert_eq!(parent.stop(), Some(0));
}
