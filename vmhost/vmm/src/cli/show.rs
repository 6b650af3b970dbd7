//! Answers in words.

use std::fmt::Write as _;

use vmm_control::{BalloonStats, Event, EventKind, ExitReason, Info, Metrics, SnapshotDone, Stats};

use crate::probe::Report;

pub fn info(info: &Info) -> String {
    let config = &info.config;
    let mut text = format!(
        "{}, process {}\n{} vCPUs, {} MiB, kernel {}\n",
        info.state.name(),
        info.pid,
        config.vcpus,
        config.memory_mib,
        config.boot.kernel.display()
    );
    let _ = writeln!(text, "up {}, running {}", seconds(info.uptime_us), seconds(info.running_us));
    let _ = writeln!(text, "generation {}", info.generation.0);
    if let Some(parent) = &info.parent {
        let _ = writeln!(text, "from {parent}");
    }
    for device in &info.devices {
        let state = match (device.faulted, device.ready) {
            (true, _) => "stopped after a fault of its driver",
            (false, true) => "in use",
            (false, false) => "not in use",
        };
        let _ = writeln!(text, "{:<16} {state}", device.name);
    }
    text
}

pub fn stats(stats: &Stats) -> String {
    let mut text =
        format!("{}, up {}, running {}\n", stats.state.name(), seconds(stats.uptime_us), seconds(stats.running_us));
    let memory = stats.memory;
    let _ = writeln!(
        text,
        "memory of the guest  {:>8} KiB, {} of its own",
        memory.guest_resident_kib, memory.guest_private_kib
    );
    let _ = writeln!(
        text,
        "memory beside it     {:>8} KiB, {} of its own",
        memory.vmm_resident_kib, memory.vmm_private_kib
    );
    for part in std::iter::once(&stats.vm).chain(&stats.devices) {
        metrics(&mut text, part);
    }
    text
}

fn metrics(text: &mut String, part: &Metrics) {
    if part.counters.is_empty() && part.latencies.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", if part.name.is_empty() { "vm" } else { &part.name });
    for (name, value) in &part.counters {
        let _ = writeln!(text, "  {name:<28} {value:>14}");
    }
    for (name, latency) in &part.latencies {
        let _ = writeln!(
            text,
            "  {name:<28} {:>14} times, p50 {} µs, p99 {} µs, max {} µs",
            latency.count,
            latency.percentile_us(50),
            latency.percentile_us(99),
            latency.max_us
        );
    }
}

pub fn balloon(stats: &BalloonStats) -> String {
    let mut text = format!("given up {} of {} MiB asked for\n", stats.actual_mib, stats.target_mib);
    let _ = writeln!(text, "reported free {:>8} KiB", stats.reported_bytes >> 10);
    for (name, value) in [
        ("total", stats.total),
        ("free", stats.free),
        ("available", stats.available),
        ("disk caches", stats.disk_caches),
    ] {
        if let Some(bytes) = value {
            let _ = writeln!(text, "{name:<13} {:>8} KiB", bytes >> 10);
        }
    }
    text
}

pub fn snapshot(done: &SnapshotDone) -> String {
    format!(
        "snapshot {}: {} KiB of memory in {}, the guest stood still for {}\n",
        done.id,
        done.memory_bytes >> 10,
        duration(done.total_us),
        duration(done.paused_us)
    )
}

pub fn event(event: &Event) -> String {
    let words = match &event.kind {
        EventKind::Started => "started".to_owned(),
        EventKind::BootMarker { value } => format!("boot marker {value}"),
        EventKind::Paused => "paused".to_owned(),
        EventKind::Resumed => "resumed".to_owned(),
        EventKind::SnapshotDone { id, memory_bytes } => format!("snapshot {id} done, {} KiB", memory_bytes >> 10),
        EventKind::Cloned { id } => format!("cloned as {id}"),
        EventKind::DeviceFault { device, reason } => format!("{device}: stopped after a fault of its driver: {reason}"),
        EventKind::HostFault { device, reason } => format!("{device}: {reason}"),
        EventKind::Suppressed { of, count } => format!("{count} events left out ({of})"),
        EventKind::Exit { reason: why } => reason(why),
    };
    format!("{:>12} {words}\n", seconds(event.at_us))
}

pub fn reason(reason: &ExitReason) -> String {
    match reason {
        ExitReason::PoweredOff => "the guest powered off".to_owned(),
        ExitReason::Reset => "the guest asked for a restart".to_owned(),
        ExitReason::TripleFault => "the guest's CPU gave up (triple fault)".to_owned(),
        ExitReason::Stopped => "stopped".to_owned(),
        ExitReason::Failed(why) => format!("failed: {why}"),
    }
}

pub fn probe(report: &Report) -> String {
    let mut text =
        String::from(if report.usable { "KVM can run guests here\n" } else { "KVM can't run guests here\n" });
    for reason in &report.reasons {
        let _ = writeln!(text, "- {reason}");
    }
    if let Some(speed) = report.instructions_per_second {
        let _ = writeln!(text, "measured: {} million guest instructions a second", speed / 1_000_000);
    }
    let _ = writeln!(text, "decided in {} ms", report.took_us / 1000);
    text
}

/// In the unit that fits.
fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{}.{} ms", us / 1000, us / 100 % 10),
        _ => seconds(us),
    }
}

fn seconds(us: u64) -> String {
    format!("{}.{:03} s", us / 1_000_000, us / 1000 % 1000)
}
