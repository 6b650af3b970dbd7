//! How fast the processor's time stamp counter runs.
//!
//! The emulated machine's counter is the host's, and its kernel has nothing to
//! measure it by: without `tsc_early_khz` it hangs while booting.

#![allow(unsafe_code, reason = "reading the time stamp counter is an intrinsic, which counts as unsafe")]

use std::thread;
use std::time::{Duration, Instant};

/// Long enough that being interrupted at an end costs less than a thousandth.
const SPAN: Duration = Duration::from_millis(50);

/// The counter's rate in kHz, measured against the system's clock.
pub fn tsc_khz() -> u64 {
    // Being interrupted between the two clocks spoils a measurement, so the middle one of three counts.
    let mut rates: Vec<u64> = (0..3).map(|_| measure()).collect();
    rates.sort_unstable();
    rates[1]
}

fn measure() -> u64 {
    let (start, first) = (Instant::now(), counter());
    thread::sleep(SPAN);
    let (time, ticks) = (start.elapsed(), counter().wrapping_sub(first));
    let khz = u128::from(ticks) * 1_000_000 / time.as_nanos();
    u64::try_from(khz).unwrap_or(u64::MAX)
}

#[cfg(target_arch = "x86_64")]
fn counter() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and it touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    0
}
