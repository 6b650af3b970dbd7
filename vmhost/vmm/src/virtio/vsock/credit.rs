//! Who may send how much (5.10.6.3): arithmetic, no input or output.
//!
//! Counters run modulo 2^32. Each side may have sent as many bytes more than
//! the other has taken as the other has buffer. The guest's claims are only
//! believed where they can be true: what it says it took must lie between what
//! it took before and what it was sent.

use std::num::Wrapping;

/// Buffer that each of the first connections has, in bytes.
const WIDE: u32 = 256 << 10;

/// Buffer of each connection beyond: enough for a packet of 32 KiB.
const NARROW: u32 = 32 << 10;

/// How many connections have a wide buffer.
const WIDE_CONNECTIONS: usize = 64;

/// The buffer of one more connection when there are `open` already.
///
/// It bounds what a guest can make the host hold for slow readers: with 1024
/// connections 46 MiB in all.
pub fn window(open: usize) -> u32 {
    if open < WIDE_CONNECTIONS { WIDE } else { NARROW }
}

/// Both directions of one connection.
#[derive(Debug, Clone)]
pub struct Credit {
    /// Our buffer for what the guest sends.
    window: u32,
    received: Wrapping<u32>,
    /// Of it, what the host's socket has taken.
    forwarded: Wrapping<u32>,
    /// Of that, what the guest was told.
    announced: Wrapping<u32>,
    sent: Wrapping<u32>,
    peer_window: u32,
    peer_forwarded: Wrapping<u32>,
}

impl Credit {
    /// A new connection; the guest may send `window` bytes, and until `update` it can't be sent anything.
    pub fn new(window: u32) -> Self {
        let zero = Wrapping(0);
        Self {
            window,
            received: zero,
            forwarded: zero,
            announced: zero,
            sent: zero,
            peer_window: 0,
            peer_forwarded: zero,
        }
    }

    /// Takes over what a header of the guest says.
    ///
    /// A count that goes back is no error: a driver may queue packets in another
    /// order than it has made them. One beyond what was sent is a lie. Both are
    /// ignored, which can only cost the guest its own credit.
    pub fn update(&mut self, buf_alloc: u32, fwd_cnt: u32) {
        self.peer_window = buf_alloc;
        let forwarded = Wrapping(fwd_cnt);
        if self.sent - forwarded <= self.sent - self.peer_forwarded {
            self.peer_forwarded = forwarded;
        }
    }

    /// How many bytes the guest can be sent.
    pub fn sendable(&self) -> u32 {
        // Less than nothing when the guest has shrunk its buffer meanwhile.
        self.peer_window.saturating_sub((self.sent - self.peer_forwarded).0)
    }

    /// Notes bytes sent to the guest, at most `sendable`.
    pub fn send(&mut self, count: u32) {
        debug_assert!(count <= self.sendable());
        self.sent += count;
    }

    /// Notes bytes of the guest, unless they are more than it may send.
    #[must_use]
    pub fn receive(&mut self, count: u32) -> bool {
        if count > self.window - self.held() {
            return false;
        }
        self.received += count;
        true
    }

    /// Bytes of the guest that weren't forwarded yet, at most the window.
    pub fn held(&self) -> u32 {
        (self.received - self.forwarded).0
    }

    /// Notes that the host has taken bytes; yes if the guest should now be told.
    ///
    /// Told at half a window: early enough that a sender never runs dry, and
    /// seldom enough that updates are no traffic of their own.
    #[must_use]
    pub fn forward(&mut self, count: u32) -> bool {
        debug_assert!(count <= self.held());
        self.forwarded += count;
        (self.forwarded - self.announced).0 >= self.window / 2
    }

    /// What a header to the guest says (`buf_alloc`, `fwd_cnt`); from now on it was told.
    pub fn announce(&mut self) -> (u32, u32) {
        self.announced = self.forwarded;
        (self.window, self.forwarded.0)
    }
}

#[cfg(test)]
mod tests;
