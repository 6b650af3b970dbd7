//! Token buckets: how fast a guest may use the host's disks and network.
//!
//! In:  a limit in bytes and operations a second; each request asks first.
//! Out: yes, or no and a timer that fires when asking again makes sense.
//!
//! A request is let through while every bucket holds anything at all, and may
//! leave a debt that is earned back before the next one. So a request larger
//! than the whole bucket isn't blocked for ever, the rate holds on average, and
//! a burst is at most the bucket's size and one request more.

use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use vmm_control::{Bucket, RateLimit};

use crate::timer::Timer;

/// Tokens are counted in billionths, so that a nanosecond earns a whole number of them.
const TOKEN: i128 = 1_000_000_000;

/// A refused request asks again at the latest after this: a bucket of rate zero never opens by itself.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Two buckets and the timer of who is refused.
pub struct RateLimiter {
    bytes: Option<Tokens>,
    operations: Option<Tokens>,
    timer: Timer,
    /// Somebody was refused and waits for the timer.
    waiting: bool,
}

impl RateLimiter {
    /// Full buckets of that size.
    ///
    /// # Errors
    /// When the host has no timer left.
    pub fn new(limit: RateLimit) -> io::Result<Self> {
        let (bytes, operations) = buckets(limit);
        Ok(Self { bytes, operations, timer: Timer::new()?, waiting: false })
    }

    /// Other limits from now on, in full buckets. Who waits is told to ask again.
    pub fn set(&mut self, limit: RateLimit) {
        (self.bytes, self.operations) = buckets(limit);
        if self.waiting {
            // If this failed, the timer that is armed already would fire later instead.
            let _ = self.timer.once(Duration::ZERO);
        }
    }

    /// Takes one operation of so many bytes, or arms the timer.
    ///
    /// # Errors
    /// When the timer can't be armed.
    pub fn take(&mut self, bytes: u64) -> io::Result<bool> {
        let open = self.is_open()?;
        if open {
            self.charge(bytes);
        }
        Ok(open)
    }

    /// Whether an operation would be let through now; if not, arms the timer.
    ///
    /// For operations whose size, or success, is known only afterwards: `charge` follows.
    ///
    /// # Errors
    /// When the timer can't be armed.
    pub fn is_open(&mut self) -> io::Result<bool> {
        let now = Instant::now();
        let wait = [&mut self.bytes, &mut self.operations]
            .into_iter()
            .flatten()
            .map(|tokens| tokens.wait(now))
            .max()
            .unwrap_or_default();
        if wait.is_zero() {
            return Ok(true);
        }
        self.timer.once(wait)?;
        self.waiting = true;
        Ok(false)
    }

    /// Takes one operation of so many bytes, be it into debt.
    pub fn charge(&mut self, bytes: u64) {
        if let Some(tokens) = &mut self.bytes {
            tokens.spend(bytes);
        }
        if let Some(tokens) = &mut self.operations {
            tokens.spend(1);
        }
    }

    /// The timer to watch for reading.
    pub fn fd(&self) -> RawFd {
        self.timer.fd()
    }

    /// Takes note that the timer has fired.
    ///
    /// # Errors
    /// Those of reading it, which never blocks.
    pub fn fired(&mut self) -> io::Result<()> {
        if self.timer.fired()? {
            self.waiting = false;
        }
        Ok(())
    }
}

fn buckets(limit: RateLimit) -> (Option<Tokens>, Option<Tokens>) {
    let now = Instant::now();
    let tokens = |bucket: Option<Bucket>| bucket.map(|bucket| Tokens::new(bucket, now));
    (tokens(limit.bytes), tokens(limit.operations))
}

struct Tokens {
    per_second: i128,
    /// In billionths of a token.
    burst: i128,
    /// In billionths of a token; below zero: a debt.
    left: i128,
    at: Instant,
}

impl Tokens {
    fn new(bucket: Bucket, at: Instant) -> Self {
        // A bucket in which nothing fits would be closed for ever.
        let burst = i128::from(bucket.burst.max(1)) * TOKEN;
        Self { per_second: bucket.per_second.into(), burst, left: burst, at }
    }

    /// How long until anything is in it; zero if something is.
    fn wait(&mut self, now: Instant) -> Duration {
        // A nanosecond at one token a second earns a billionth of a token.
        let passed = i128::try_from(now.duration_since(self.at).as_nanos()).unwrap_or(i128::MAX);
        self.left = self.left.saturating_add(passed.saturating_mul(self.per_second)).min(self.burst);
        self.at = now;
        if self.left > 0 {
            return Duration::ZERO;
        }
        let missing = 1 - self.left;
        let nanoseconds = match self.per_second {
            0 => return LONGEST_WAIT,
            per_second => (missing + per_second - 1) / per_second,
        };
        u64::try_from(nanoseconds).map_or(LONGEST_WAIT, |wait| Duration::from_nanos(wait).min(LONGEST_WAIT))
    }

    fn spend(&mut self, count: u64) {
        self.left -= i128::from(count) * TOKEN;
    }
}

#[cfg(test)]
mod tests {
    use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

    use super::*;

    /// Spends `(at nanosecond, count)` one after another, and then says how long to wait at each of `waits`.
    fn check(bucket: (u64, u64), spent: &[(u64, u64)], waits: &[(u64, u64)]) {
        let start = Instant::now();
        let mut tokens = Tokens::new(Bucket { per_second: bucket.0, burst: bucket.1 }, start);
        for &(at, count) in spent {
            tokens.wait(start + Duration::from_nanos(at));
            tokens.spend(count);
        }
        for &(at, expected) in waits {
            let wait = tokens.wait(start + Duration::from_nanos(at));
            assert_eq!(wait, Duration::from_nanos(expected), "{bucket:?} after {spent:?} at {at}");
        }
    }

    #[test]
    fn a_wait_ends_when_the_bucket_opens() {
        const SECOND: u64 = 1_000_000_000;
        const HOUR: u64 = 3600 * SECOND;
        check((100, 50), &[], &[(0, 0)]);
        // One token costs 10 ms; from zero to anything takes a nanosecond.
        check((100, 50), &[(0, 50)], &[(0, 1), (1, 0)]);
        check((100, 50), &[(0, 51)], &[(0, 10_000_001), (10_000_000, 1), (10_000_001, 0)]);
        // Larger than the bucket: let through, and paid off.
        check((100, 50), &[(0, 150)], &[(0, SECOND + 1), (SECOND, 1), (SECOND + 1, 0)]);
        // Never more than the burst: after an hour 50 are there, not 360,000.
        check((100, 50), &[(HOUR, 51)], &[(HOUR, 10_000_001)]);
        // A third of a token isn't lost by rounding, however often it is asked for.
        check((3, 1), &[(0, 2)], &[(0, 333_333_334), (111_111_111, 222_222_223), (333_333_333, 1), (333_333_334, 0)]);
        check((0, 5), &[(0, 4)], &[(HOUR, 0)]);
        check((0, 5), &[(0, 5)], &[(0, HOUR), (9 * HOUR, HOUR)]);
        check((100, 0), &[(0, 1)], &[(0, 1), (1, 0)]);
        check((1, 1), &[(0, u64::MAX)], &[(0, HOUR)]);
        check((u64::MAX, u64::MAX), &[(0, u64::MAX)], &[(0, 1), (1, 0)]);
    }

    #[test]
    fn the_refused_are_woken_when_the_bucket_opens_or_the_limit_goes() {
        let limit = |per_second, burst| RateLimit { bytes: Some(Bucket { per_second, burst }), operations: None };
        let mut limiter = RateLimiter::new(limit(1_000_000, 10)).expect("a timer");
        assert!(limiter.take(1010).expect("no error"));
        let before = Instant::now();
        assert!(!limiter.take(1).expect("no error"), "1000 in debt");
        limiter.fired().expect("a spurious event doesn't block");
        wait_readable(limiter.fd());
        limiter.fired().expect("fired");
        assert!(before.elapsed() < Duration::from_secs(1), "a millisecond, if the machine is quick");
        assert!(limiter.take(1).expect("no error"), "the wait is long enough");

        limiter.set(limit(0, 1));
        assert!(limiter.take(1).expect("no error"));
        assert!(!limiter.take(1).expect("no error"));
        limiter.set(RateLimit::default());
        wait_readable(limiter.fd());
        assert!(limiter.take(u64::MAX).expect("no error"));
    }

    #[test]
    fn both_buckets_count() {
        let bucket = |burst| Some(Bucket { per_second: 0, burst });
        let mut limiter = RateLimiter::new(RateLimit { bytes: bucket(100), operations: bucket(2) }).expect("a timer");
        let taken: Vec<_> = (0..3).map(|_| limiter.take(1).expect("no error")).collect();
        assert_eq!(taken, [true, true, false], "two operations");
        limiter.set(RateLimit { bytes: bucket(100), operations: bucket(9) });
        let taken: Vec<_> = (0..3).map(|_| limiter.take(50).expect("no error")).collect();
        assert_eq!(taken, [true, true, false], "a hundred bytes");
    }

    fn wait_readable(fd: RawFd) {
        let epoll = Epoll::new().expect("epoll");
        epoll.ctl(ControlOperation::Add, fd, EpollEvent::new(EventSet::IN, 0)).expect("watched");
        let count = epoll.wait(10_000, &mut [EpollEvent::default()]).expect("no error");
        assert_eq!(count, 1, "it fires in time");
    }
}
