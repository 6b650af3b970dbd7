//! How many events of one kind a guest may cause.

use std::time::Duration;

/// How many at once.
const BURST: u32 = 20;
/// One more each so long.
const REFILL: Duration = Duration::from_millis(500);

/// The allowance of one kind of event, and what it left out.
#[derive(Debug)]
pub struct Limit {
    left: u32,
    /// When the allowance was last counted up, since the log's start.
    at: Duration,
    left_out: u64,
}

impl Default for Limit {
    fn default() -> Self {
        Self { left: BURST, at: Duration::ZERO, left_out: 0 }
    }
}

impl Limit {
    /// Whether an event may be written now, and if so, how many were not since the last one.
    pub fn take(&mut self, now: Duration) -> (bool, u64) {
        let earned = now.saturating_sub(self.at).as_millis() / REFILL.as_millis();
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(BURST);
            self.at = now;
        }
        if self.left == 0 {
            self.left_out += 1;
            return (false, 0);
        }
        self.left -= 1;
        (true, std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_now_and_then() {
        let mut limit = Limit::default();
        let second = Duration::from_secs(1);
        let allowed = (0..100).filter(|_| limit.take(second).0).count();
        assert_eq!(allowed, 20);
        assert_eq!(limit.take(second + REFILL / 2), (false, 0));
        assert_eq!(limit.take(second + REFILL), (true, 81));
        assert_eq!(limit.take(second + REFILL), (false, 0));
        let later = (0..100).filter(|_| limit.take(second * 3600).0).count();
        assert_eq!(later, 20, "never more than the burst");
    }
}
