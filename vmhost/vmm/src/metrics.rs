//! Counters and latencies that cost next to nothing to keep.
//!
//! In:  additions and durations, from any thread, without locks.
//! Out: numbers for `Stats`; where the process's memory goes.

pub mod memory;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use vmm_control::Latency;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds so many.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// Its value now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Upper limits of buckets in µs: a step of about three, from a cached read to a stuck disk.
const LIMITS: [u64; 14] =
    [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000];

/// How long something takes, in fixed buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    /// The last one takes what lies beyond all limits.
    buckets: [AtomicU64; LIMITS.len() + 1],
    sum_us: AtomicU64,
    max_us: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let index = LIMITS.partition_point(|limit| *limit < us);
        if let Some(bucket) = self.buckets.get(index) {
            bucket.fetch_add(1, Relaxed);
        }
        self.sum_us.fetch_add(us, Relaxed);
        self.max_us.fetch_max(us, Relaxed);
    }

    /// Counts the time since `start`.
    pub fn record_since(&self, start: Instant) {
        self.record(start.elapsed());
    }

    /// What was counted. Parts may lie one duration apart while another thread counts.
    pub fn get(&self) -> Latency {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        Latency {
            count: counts.iter().sum(),
            sum_us: self.sum_us.load(Relaxed),
            max_us: self.max_us.load(Relaxed),
            buckets: LIMITS.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_buckets() {
        let histogram = Histogram::default();
        for us in [0, 1, 2, 3, 250, 300, 301, 5_000_000] {
            histogram.record(Duration::from_micros(us));
        }
        let latency = histogram.get();
        assert_eq!(latency.buckets, [(1, 2), (3, 2), (300, 2), (1_000, 1)]);
        assert_eq!((latency.count, latency.sum_us, latency.max_us), (8, 5_000_857, 5_000_000));
        assert_eq!(latency.percentile_us(50), 3);
        assert_eq!(latency.percentile_us(99), 5_000_000);
    }
}
