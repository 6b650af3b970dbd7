//! What the kernel says about itself: clocks, processors, memory, interrupts, log.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Args, Failure, Step as _};
use crate::Guest;
use crate::escape::escape;
use crate::sys::{clock, kernel};

/// Longest sleep of one request: a typo must not keep a connection for ever.
const SLEEP_LIMIT_MS: u64 = 3_600_000;

pub(super) fn uptime(_: &Arc<Guest>, _: Args<'_>) -> Result<String, Failure> {
    let (monotonic_us, realtime_ns) = (clock::monotonic_us(), clock::realtime_ns());
    Ok(format!("monotonic_us={monotonic_us} realtime_ns={realtime_ns} boot_id={}", boot_id()))
}

pub(super) fn clock(_: &Arc<Guest>, _: Args<'_>) -> Result<String, Failure> {
    Ok(format!("realtime_ns={}", clock::realtime_ns()))
}

pub(super) fn generation(guest: &Arc<Guest>, _: Args<'_>) -> Result<String, Failure> {
    Ok(format!("generation={}", guest.generation.load(Ordering::Relaxed)))
}

pub(super) fn cpus(_: &Arc<Guest>, _: Args<'_>) -> Result<String, Failure> {
    Ok(format!("online={}", kernel::online_processors()))
}

pub(super) fn meminfo(_: &Arc<Guest>, _: Args<'_>) -> Result<String, Failure> {
    let table = read("/proc/meminfo")?;
    let kib = |name| meminfo_kib(&table, name).ok_or_else(|| Failure::Wrong(format!("no {name} in /proc/meminfo")));
    let (total, free, available) = (kib("MemTotal")?, kib("MemFree")?, kib("MemAvailable")?);
    Ok(format!("total_kib={total} free_kib={free} available_kib={available}"))
}

/// One value of `/proc/meminfo`.
pub(super) fn meminfo_kib(table: &str, name: &str) -> Option<u64> {
    table.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.strip_prefix(':')?;
        value.trim().trim_end_matches(" kB").parse().ok()
    })
}

pub(super) fn cmdline(_: &Arc<Guest>, _: Args<'_>) -> Result<String, Failure> {
    Ok(escape(read("/proc/cmdline")?.trim().as_bytes()))
}

pub(super) fn interrupts(_: &Arc<Guest>, _: Args<'_>) -> Result<String, Failure> {
    let table = read("/proc/interrupts")?;
    let sums = virtio_interrupts(&table);
    Ok(sums.iter().map(|(device, count)| format!("{device}={count}")).collect::<Vec<_>>().join(" "))
}

/// Interrupts of each virtio device, over all its vectors (`virtio0-req.0`) and processors.
fn virtio_interrupts(table: &str) -> BTreeMap<&str, u64> {
    let mut sums = BTreeMap::new();
    for line in table.lines() {
        let mut words = line.split_whitespace();
        words.next();
        let count: u64 = words.clone().map_while(|word| word.parse::<u64>().ok()).sum();
        for name in words.map(|word| word.trim_end_matches(',')).filter(|word| word.starts_with("virtio")) {
            *sums.entry(name.split('-').next().unwrap_or(name)).or_insert(0) += count;
        }
    }
    sums
}

pub(super) fn dmesg(_: &Arc<Guest>, args: Args<'_>) -> Result<String, Failure> {
    let log = kernel::log().step("read the kernel's log")?;
    let text = args.rest();
    let lines = log.lines().filter(|line| line.contains(text));
    let (count, last) = lines.fold((0, ""), |(count, _), line| (count + 1, line));
    Ok(format!("count={count} last={}", escape(last.as_bytes())))
}

pub(super) fn sleep(_: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let start = clock::monotonic_us();
    std::thread::sleep(Duration::from_millis(args.number_to("MS", SLEEP_LIMIT_MS)?));
    Ok(format!("us={}", clock::monotonic_us() - start))
}

/// The random name that this boot got; a restored snapshot keeps it.
pub(crate) fn boot_id() -> String {
    read("/proc/sys/kernel/random/boot_id").map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).step(format!("read {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupts_are_summed_by_device() {
        let table = "           CPU0       CPU1
  4:         10          0   IO-APIC   4-edge      ttyS0
  5:        100         11   IO-APIC   5-edge      virtio0
 24:          1          2   PCI-MSI 65536-edge      virtio1-config
 25:          3          4   PCI-MSI 65537-edge      virtio1-req.0
NMI:          0          0   Non-maskable interrupts
";
        assert_eq!(virtio_interrupts(table), BTreeMap::from([("virtio0", 111), ("virtio1", 10)]));
    }

    #[test]
    fn meminfo_values() {
        let table = "MemTotal:         123 kB\nMemFree:    45 kB\nHugePages_Total:       0\n";
        for (name, wanted) in
            [("MemTotal", Some(123)), ("MemFree", Some(45)), ("Mem", None), ("HugePages_Total", Some(0))]
        {
            assert_eq!(meminfo_kib(table, name), wanted, "{name}");
        }
    }
}
