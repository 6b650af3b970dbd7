//! Token buckets: how fast a guest may use the host's disks and network.
//!
//! In:  a limit in bytes and operations a second; each request asks first.
//! Out: yes, or no and a timer that fires when asking again makes sense.
//!
//! A request larger than the whole bucket is let through once the bucket is
//! full, and leaves a debt: else a small bucket would block it for ever.

use std::io;
use std::os::fd::{AsRawFd as _, RawFd};
use std::time::{Duration, Instant};

use vmm_control::{Bucket, RateLimit};
use vmm_sys_util::timerfd::TimerFd;

/// How long a refused guest waits before it asks again.
const RETRY: Duration = Duration::from_millis(10);

/// Two buckets and the timer of who is refused.
pub struct RateLimiter {
    bytes: Option<Tokens>,
    operations: Option<Tokens>,
    timer: TimerFd,
}

impl RateLimiter {
    /// Full buckets of that size.
    ///
    /// # Errors
    /// When the host has no timer left.
    pub fn new(limit: RateLimit) -> io::Result<Self> {
        let now = Instant::now();
        let tokens = |bucket: Option<Bucket>| bucket.map(|bucket| Tokens::new(bucket, now));
        Ok(Self {
            bytes: tokens(limit.bytes),
            operations: tokens(limit.operations),
            timer: TimerFd::new().map_err(io::Error::from)?,
        })
    }

    /// Other limits from now on.
    pub fn set(&mut self, limit: RateLimit) {
        let now = Instant::now();
        self.bytes = limit.bytes.map(|bucket| Tokens::new(bucket, now));
        self.operations = limit.operations.map(|bucket| Tokens::new(bucket, now));
    }

    /// Takes one operation of so many bytes, or arms the timer.
    ///
    /// # Errors
    /// When the timer can't be armed.
    pub fn take(&mut self, bytes: u64) -> io::Result<bool> {
        let now = Instant::now();
        let allowed = [&mut self.bytes, &mut self.operations].into_iter().flatten().all(|tokens| tokens.open(now));
        if !allowed {
            self.timer.reset(RETRY, None).map_err(io::Error::from)?;
            return Ok(false);
        }
        if let Some(tokens) = &mut self.bytes {
            tokens.spend(bytes);
        }
        if let Some(tokens) = &mut self.operations {
            tokens.spend(1);
        }
        Ok(true)
    }

    /// The timer to watch for reading.
    pub fn fd(&self) -> RawFd {
        self.timer.as_raw_fd()
    }

    /// Takes note that the timer has fired.
    ///
    /// # Errors
    /// Those of reading it; it isn't blocked on, as it has fired.
    pub fn fired(&mut self) -> io::Result<()> {
        self.timer.wait().map(|_| ()).map_err(io::Error::from)
    }
}

struct Tokens {
    bucket: Bucket,
    /// Below zero: a debt.
    left: f64,
    at: Instant,
}

impl Tokens {
    fn new(bucket: Bucket, at: Instant) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "a limit needs no 53 bits")]
        Self { bucket, left: bucket.burst as f64, at }
    }

    #[allow(clippy::cast_precision_loss, reason = "a limit needs no 53 bits")]
    fn open(&mut self, now: Instant) -> bool {
        let earned = now.duration_since(self.at).as_secs_f64() * self.bucket.per_second as f64;
        self.left = (self.left + earned).min(self.bucket.burst as f64);
        self.at = now;
        self.left > 0.0
    }

    #[allow(clippy::cast_precision_loss, reason = "a limit needs no 53 bits")]
    fn spend(&mut self, count: u64) {
        self.left -= count as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_refills_and_remembers_debt() {
        let start = Instant::now();
        let mut tokens = Tokens::new(Bucket { per_second: 100, burst: 50 }, start);
        assert!(tokens.open(start));
        tokens.spend(150); // larger than the bucket: let through, 100 in debt
        assert!(!tokens.open(start + Duration::from_millis(900)));
        assert!(tokens.open(start + Duration::from_millis(1100)));
        tokens.open(start + Duration::from_secs(3600));
        assert!((tokens.left - 50.0).abs() < 1e-6, "never more than the burst");
    }
}
