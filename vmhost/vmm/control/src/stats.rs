//! Counters and latencies of a VM.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::State;

/// Everything that a VM counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// What it does.
    pub state: State,
    /// How long its process has been alive.
    pub uptime_us: u64,
    /// How long its guest has run, pauses left out.
    pub running_us: u64,
    /// Where the process's memory goes.
    pub memory: ProcessMemory,
    /// One for each device.
    #[serde(default)]
    pub devices: Vec<Metrics>,
    /// Of the VM as a whole: pauses, snapshots, clones.
    #[serde(default)]
    pub vm: Metrics,
}

/// Where a process's memory goes, in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessMemory {
    /// Resident pages of the guest.
    pub guest_resident_kib: u64,
    /// Those of them that no other process maps.
    pub guest_private_kib: u64,
    /// Resident pages of the VMM itself: code, heap, stacks.
    pub vmm_resident_kib: u64,
    /// Those of them that no other process maps: what this VM costs beside its guest.
    pub vmm_private_kib: u64,
}

/// Counters and latencies of one part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// Like `block:root`.
    pub name: String,
    /// Since the start; names end in their unit.
    #[serde(default)]
    pub counters: BTreeMap<String, u64>,
    /// Since the start.
    #[serde(default)]
    pub latencies: BTreeMap<String, Latency>,
}

/// How long something took, each time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// How often it was measured.
    pub count: u64,
    /// All together.
    pub sum_us: u64,
    /// The longest.
    pub max_us: u64,
    /// `(limit in µs, how often it took no longer than that and longer than the limit before)`;
    /// buckets that are empty are left out. Beyond the last limit lies the rest.
    pub buckets: Vec<(u64, u64)>,
}

impl Latency {
    /// The smallest bucket limit that so many percent stayed within; the longest time where they lie beyond all.
    pub fn percentile_us(&self, percent: u64) -> u64 {
        let wanted = self.count.saturating_mul(percent).div_ceil(100);
        let mut seen = 0;
        for (limit, count) in &self.buckets {
            seen += count;
            if seen >= wanted {
                return (*limit).min(self.max_us);
            }
        }
        self.max_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_bucket_limits() {
        let latency = Latency { count: 100, sum_us: 0, max_us: 900, buckets: vec![(10, 50), (100, 40), (1000, 5)] };
        let check = |percent, expected| assert_eq!(latency.percentile_us(percent), expected, "p{percent}");
        check(50, 10);
        check(51, 100);
        check(95, 900); // the bucket ends at 1000, but nothing took longer than 900
        check(99, 900);
        assert_eq!(Latency::default().percentile_us(99), 0);
    }
}
