//! Which registers an address belongs to.
//!
//! In:  an access that a vCPU has left the guest for.
//! Out: the registers it meant; or all ones, as from a bus that nobody answers on.
//!
//! Filled once, before vCPUs run, and then only read: there is no lock here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Registers that a vCPU can reach. Called from any vCPU's thread: an implementation must never block on a device.
pub trait Registers: Send + Sync {
    /// Fills `data` from what lies at `offset`; it holds zeros.
    fn read(&self, offset: u64, data: &mut [u8]);
    /// Takes `data`.
    fn write(&self, offset: u64, data: &[u8]);
}

/// Two ranges share an address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("registers at {start:#x} of {length} bytes overlap those at {other:#x}")]
pub struct Overlap {
    /// Where the new range starts.
    pub start: u64,
    /// Its length, in bytes.
    pub length: u64,
    /// Where the older one starts.
    pub other: u64,
}

struct Range {
    start: u64,
    length: u64,
    registers: Arc<dyn Registers>,
}

/// An address space of registers: memory-mapped ones, or I/O ports.
#[derive(Default)]
pub struct Bus {
    ranges: Vec<Range>,
    unanswered: AtomicU64,
}

impl Bus {
    /// Puts registers at `start`.
    ///
    /// # Errors
    /// When something is there already.
    pub fn insert(&mut self, start: u64, length: u64, registers: Arc<dyn Registers>) -> Result<(), Overlap> {
        let place = self.ranges.partition_point(|range| range.start < start);
        let before = place.checked_sub(1).and_then(|index| self.ranges.get(index));
        let overlaps = |range: &&Range| start < range.start + range.length && range.start < start + length;
        if let Some(other) = before.filter(overlaps).or(self.ranges.get(place).filter(overlaps)) {
            return Err(Overlap { start, length, other: other.start });
        }
        self.ranges.insert(place, Range { start, length, registers });
        Ok(())
    }

    /// Reads; what nobody answers is all ones.
    pub fn read(&self, address: u64, data: &mut [u8]) {
        if let Some((registers, offset)) = self.find(address) {
            data.fill(0);
            registers.read(offset, data);
        } else {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            data.fill(0xFF);
        }
    }

    /// Writes; what nobody takes is lost.
    pub fn write(&self, address: u64, data: &[u8]) {
        if let Some((registers, offset)) = self.find(address) {
            registers.write(offset, data);
        } else {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many accesses nobody has answered.
    pub fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }

    fn find(&self, address: u64) -> Option<(&dyn Registers, u64)> {
        let after = self.ranges.partition_point(|range| range.start <= address);
        let range = self.ranges.get(after.checked_sub(1)?)?;
        let offset = address - range.start;
        (offset < range.length).then_some((&*range.registers, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every read with its own number.
    struct Constant(u8);

    impl Registers for Constant {
        fn read(&self, _: u64, data: &mut [u8]) {
            data.fill(self.0);
        }

        fn write(&self, _: u64, _: &[u8]) {}
    }

    #[test]
    fn an_access_reaches_the_range_it_lies_in() {
        let mut bus = Bus::default();
        for (start, length, number) in [(0x20, 8, 2), (0x10, 0x10, 1), (0x40, 4, 4)] {
            bus.insert(start, length, Arc::new(Constant(number))).expect("they don't overlap");
        }
        let check = |address, expected| {
            let mut data = [7];
            bus.read(address, &mut data);
            assert_eq!(data, [expected], "at {address:#x}");
        };
        for (address, expected) in
            [(0, 0xFF), (0xF, 0xFF), (0x10, 1), (0x1F, 1), (0x20, 2), (0x27, 2), (0x28, 0xFF), (0x43, 4), (0x44, 0xFF)]
        {
            check(address, expected);
        }
        assert_eq!(bus.unanswered(), 4);
    }

    #[test]
    fn ranges_never_share_an_address() {
        let mut bus = Bus::default();
        bus.insert(0x10, 0x10, Arc::new(Constant(1))).expect("the first");
        for (start, length, fits) in [(0x0F, 2, false), (0x1F, 1, false), (0x0, 0x10, true), (0x20, 1, true)] {
            let result = bus.insert(start, length, Arc::new(Constant(2)));
            assert_eq!(result.is_ok(), fits, "{start:#x} of {length}: {result:?}");
        }
    }
}
