//! Clocks in the units that replies use.

#![allow(unsafe_code, reason = "clock_gettime has no safe counterpart for the time since boot")]

/// Microseconds since the kernel started its clock, without time spent suspended.
pub(crate) fn monotonic_us() -> u64 {
    read(libc::CLOCK_MONOTONIC) / 1000
}

/// Nanoseconds since 1970 by the wall clock.
pub(crate) fn realtime_ns() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// Nanoseconds of a clock that the kernel always has.
fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for one timespec. The call can't fail for these clocks, and
    // if it did, `time` would stay zero.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    (time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}
