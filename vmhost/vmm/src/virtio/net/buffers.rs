//! Receive buffers that were taken from the queue and not used yet.
//!
//! In:  chains of the driver. Out: room for a frame, in one chain or, if the
//! driver has agreed to merge, in several (5.1.6.4).
//!
//! What one call of the device doesn't use goes back to the queue at its end,
//! so that between calls the queue alone says what there is.

use std::collections::VecDeque;

use super::super::chain::Slice;
use super::super::{Chain, Fault, Io, Segment};
use super::{HEADER, RECEIVE};
use crate::memory::GuestMemory;

/// Chains in the order of the queue.
pub struct Buffers {
    chains: VecDeque<Chain>,
    merge: bool,
}

impl Buffers {
    /// None yet.
    pub fn new(merge: bool) -> Self {
        Self { chains: VecDeque::new(), merge }
    }

    /// Takes chains until `room` bytes fit; whether they do.
    ///
    /// # Errors
    /// When the queue is invalid, or a chain has no room for a header.
    pub fn gather(&mut self, room: usize, io: &mut Io<'_>) -> Result<bool, Fault> {
        let mut found: usize = self.chains.iter().map(length).fold(0, usize::saturating_add);
        loop {
            if let (false, Some(first)) = (self.merge, self.chains.front()) {
                return Ok(length(first) >= room);
            }
            if found >= room && !self.chains.is_empty() {
                return Ok(true);
            }
            let Some(chain) = io.pop(RECEIVE)? else { return Ok(false) };
            // It bounds the number of chains that a frame can take, too.
            if length(&chain) < HEADER {
                return Err(Fault::Request("a receive buffer has no room for a header"));
            }
            found = found.saturating_add(length(&chain));
            self.chains.push_back(chain);
        }
    }

    /// Whether more room may come: the queue can hold more than what is here, and merging makes use of it.
    pub fn may_grow(&self, io: &Io<'_>) -> bool {
        let size = io.queues.get(RECEIVE).map_or(0, |queue| usize::from(queue.state().size));
        self.merge && self.chains.len() < size
    }

    /// How many chains the first `count` bytes take.
    pub fn chains_for(&self, count: usize) -> u16 {
        let mut left = count;
        let used = self.chains.iter().take_while(|chain| {
            let goes_on = left > 0;
            left = left.saturating_sub(length(chain));
            goes_on
        });
        // The queue has no more.
        u16::try_from(used.count()).unwrap_or(u16::MAX)
    }

    /// The memory of the first `count` bytes.
    pub fn slices<'m>(&self, count: usize, memory: &'m GuestMemory) -> Vec<Slice<'m>> {
        let mut slices = Vec::new();
        let mut left = count;
        for segment in self.chains.iter().flat_map(Chain::writable) {
            if left == 0 {
                break;
            }
            let length = segment.length.min(u32::try_from(left).unwrap_or(u32::MAX));
            // Its place was checked when it was taken from the queue.
            slices.extend(Segment { address: segment.address, length }.slice(memory));
            left -= length as usize;
        }
        slices
    }

    /// Returns to the driver the chains of the first `count` bytes, which are written.
    ///
    /// # Errors
    /// When the ring has gone.
    pub fn push(&mut self, count: usize, io: &mut Io<'_>) -> Result<(), Fault> {
        let mut left = count;
        while left > 0 {
            let Some(chain) = self.chains.pop_front() else { break };
            let part = left.min(length(&chain));
            io.push(RECEIVE, chain.head(), u32::try_from(part).unwrap_or(u32::MAX))?;
            left -= part;
        }
        Ok(())
    }

    /// Puts back into the queue what wasn't used.
    pub fn give_back(self, io: &mut Io<'_>) {
        for _ in self.chains {
            io.unpop(RECEIVE);
        }
    }
}

/// The room in a chain, in bytes.
fn length(chain: &Chain) -> usize {
    chain.writable().iter().map(|segment| segment.length as usize).fold(0, usize::saturating_add)
}

/// Copies `bytes` to `at` within `slices`; what doesn't fit is left out.
pub fn copy(slices: &[Slice<'_>], mut at: usize, mut bytes: &[u8]) {
    for slice in slices {
        if let Ok(rest) = slice.offset(at) {
            let (now, later) = bytes.split_at(rest.len().min(bytes.len()));
            rest.copy_from(now);
            bytes = later;
        }
        at = at.saturating_sub(slice.len());
        if bytes.is_empty() {
            break;
        }
    }
}
