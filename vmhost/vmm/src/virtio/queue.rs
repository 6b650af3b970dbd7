//! A split virtqueue, seen from the device (virtio 1.2, 2.7).
//!
//! In:  rings in guest memory that the guest may change at any time.
//! Out: checked chains; used buffers; whether the driver wants to be called.
//!
//! All arithmetic on ring indices is modulo 2^16, as the specification has it.

use std::sync::atomic::{Ordering, fence};

use serde::{Deserialize, Serialize};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryBackend as _};

use super::{Chain, Fault};
use crate::memory::GuestMemory;

const NO_INTERRUPT: u16 = 1;

/// One queue.
#[derive(Debug, Clone)]
pub struct Queue {
    max_size: u16,
    state: QueueState,
}

/// What a queue is, for registers and snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueState {
    /// Number of descriptors, a power of two.
    pub size: u16,
    /// The driver has set it up.
    pub ready: bool,
    /// Guest address of the descriptor table.
    pub descriptors: u64,
    /// Guest address of the driver's ring ("available").
    pub driver: u64,
    /// Guest address of the device's ring ("used").
    pub device: u64,
    /// Driver and device say at which index they want to be called.
    pub event_index: bool,
    /// The next chain to take.
    pub next_available: u16,
    /// The next place in the used ring.
    pub next_used: u16,
    /// Up to where the driver was called, or decided against.
    pub signalled: u16,
}

impl Queue {
    /// A queue that isn't set up, of at most `max_size` descriptors.
    pub fn new(max_size: u16) -> Self {
        Self { max_size, state: QueueState { size: max_size, ..QueueState::default() } }
    }

    /// The largest size a driver may choose.
    pub fn max_size(&self) -> u16 {
        self.max_size
    }

    /// Everything that isn't fixed.
    pub fn state(&self) -> &QueueState {
        &self.state
    }

    /// Takes over registers or a snapshot's state; `enable` checks it.
    pub fn state_mut(&mut self) -> &mut QueueState {
        &mut self.state
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        *self = Self::new(self.max_size);
    }

    /// Whether it can be used.
    pub fn is_ready(&self) -> bool {
        self.state.ready
    }

    /// Sets it up, if what the driver chose is valid.
    ///
    /// # Errors
    /// When its size or an address is invalid; it stays unusable.
    pub fn enable(&mut self, memory: &GuestMemory) -> Result<(), Fault> {
        let QueueState { size, descriptors, driver, device, .. } = self.state;
        self.state.ready = false;
        if size == 0 || size > self.max_size || !size.is_power_of_two() {
            return Err(Fault::Index { index: size, size: self.max_size });
        }
        let count = usize::from(size);
        // Each ring has flags, an index, and (whether used or not) an event field.
        for (address, length, alignment) in
            [(descriptors, 16 * count, 16), (driver, 6 + 2 * count, 2), (device, 6 + 8 * count, 4)]
        {
            let end = address.checked_add(length as u64);
            if address % alignment != 0 || end.is_none() || memory.get_slice(GuestAddress(address), length).is_err() {
                return Err(Fault::Queue(address));
            }
        }
        self.state.ready = true;
        Ok(())
    }

    /// The next chain; `None` if there is none, and then the driver will call for the next.
    ///
    /// # Errors
    /// When the guest's rings or descriptors are invalid.
    pub fn pop(&mut self, memory: &GuestMemory) -> Result<Option<Chain>, Fault> {
        if !self.state.ready {
            return Ok(None);
        }
        if self.pending(memory)? == 0 {
            if !self.state.event_index {
                return Ok(None);
            }
            self.store(memory, self.available_event_address(), self.state.next_available)?;
            // The driver may have added a chain before it could see that.
            fence(Ordering::SeqCst);
            if self.pending(memory)? == 0 {
                return Ok(None);
            }
        }
        let slot = u64::from(self.state.next_available % self.state.size);
        let head = self.load(memory, self.state.driver + 4 + 2 * slot)?;
        let chain = Chain::read(memory, self.state.descriptors, self.state.size, head)?;
        self.state.next_available = self.state.next_available.wrapping_add(1);
        Ok(Some(chain))
    }

    /// Gives back the chain that `pop` gave last: it will come again.
    pub fn unpop(&mut self) {
        self.state.next_available = self.state.next_available.wrapping_sub(1);
    }

    /// Returns a chain to the driver with the number of bytes written into it.
    ///
    /// # Errors
    /// When the ring has gone.
    pub fn push(&mut self, memory: &GuestMemory, head: u16, written: u32) -> Result<(), Fault> {
        if !self.state.ready {
            return Ok(());
        }
        let slot = u64::from(self.state.next_used % self.state.size);
        let mut element = [0; 8];
        element[..4].copy_from_slice(&u32::from(head).to_le_bytes());
        element[4..].copy_from_slice(&written.to_le_bytes());
        memory
            .write_slice(&element, GuestAddress(self.state.device + 4 + 8 * slot))
            .map_err(|_| Fault::Queue(self.state.device))?;
        self.state.next_used = self.state.next_used.wrapping_add(1);
        // Release: the driver sees the element, and the buffers, before the index.
        memory
            .store(self.state.next_used.to_le(), GuestAddress(self.state.device + 2), Ordering::Release)
            .map_err(|_| Fault::Queue(self.state.device))
    }

    /// Whether the driver wants to be called for what was pushed since the last time this was asked.
    ///
    /// # Errors
    /// When the ring has gone.
    pub fn wants_interrupt(&mut self, memory: &GuestMemory) -> Result<bool, Fault> {
        if !self.state.ready || self.state.signalled == self.state.next_used {
            return Ok(false);
        }
        // The driver writes its wish and then reads our index; we do the reverse.
        fence(Ordering::SeqCst);
        let (old, new) = (self.state.signalled, self.state.next_used);
        self.state.signalled = new;
        if self.state.event_index {
            let event = self.load(memory, self.state.driver + 4 + 2 * u64::from(self.state.size))?;
            Ok(crossed(event, new, old))
        } else {
            Ok(self.load(memory, self.state.driver)? & NO_INTERRUPT == 0)
        }
    }

    fn pending(&self, memory: &GuestMemory) -> Result<u16, Fault> {
        let index: u16 = memory
            .load(GuestAddress(self.state.driver + 2), Ordering::Acquire)
            .map_err(|_| Fault::Queue(self.state.driver))?;
        let pending = u16::from_le(index).wrapping_sub(self.state.next_available);
        // Those that the device still holds count too: however many a driver offers again, a device's
        // work in flight is bounded by the queue's size.
        let offered = pending.saturating_add(self.state.next_available.wrapping_sub(self.state.next_used));
        if offered > self.state.size {
            return Err(Fault::Available { pending: offered, size: self.state.size });
        }
        Ok(pending)
    }

    fn available_event_address(&self) -> u64 {
        self.state.device + 4 + 8 * u64::from(self.state.size)
    }

    fn load(&self, memory: &GuestMemory, address: u64) -> Result<u16, Fault> {
        memory.load(GuestAddress(address), Ordering::Acquire).map(u16::from_le).map_err(|_| Fault::Queue(address))
    }

    fn store(&self, memory: &GuestMemory, address: u64, value: u16) -> Result<(), Fault> {
        memory.store(value.to_le(), GuestAddress(address), Ordering::Release).map_err(|_| Fault::Queue(address))
    }
}

/// Whether going from `old` to `new` passes `event` (2.7.10).
fn crossed(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

#[cfg(test)]
mod wraps;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::GuestRam;
    use crate::virtio::testing::{Driver, INDIRECT, NEXT, WRITE};

    fn check(descriptors: &[(u64, u32, u16, u16)], head: u16, expected: Result<(usize, usize), &str>) {
        let ram = GuestRam::create(32).expect("memory");
        let memory = ram.memory();
        let mut queue = Queue::new(8);
        let mut driver = Driver::new(0x1000, 8);
        driver.set_up(memory, &mut queue);
        for (index, &(address, length, flags, next)) in (0..).zip(descriptors) {
            driver.descriptor(memory, index, address, length, flags, next);
        }
        driver.offer(memory, head);
        let found = queue.pop(memory).map(|chain| {
            let chain = chain.expect("it was offered");
            (chain.readable().len(), chain.writable().len())
        });
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(found), Err(expected)) => assert_eq!(found.to_string(), expected),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn chains_are_checked() {
        check(&[(0x5000, 16, 0, 0)], 0, Ok((1, 0)));
        check(&[(0x5000, 16, NEXT, 1), (0x6000, 16, WRITE, 0)], 0, Ok((1, 1)));
        check(&[(0x5000, 0, NEXT, 1), (0x6000, 16, WRITE, 0)], 0, Ok((0, 1)));
        check(&[(0x5000, 16, 0, 0)], 8, Err("descriptor 8 of a table of 8"));
        check(&[(0x5000, 16, NEXT, 9)], 0, Err("descriptor 9 of a table of 8"));
        check(&[(0x5000, 16, NEXT, 0)], 0, Err("a chain has more than 8 descriptors"));
        check(&[(0x5000, 16, WRITE | NEXT, 1), (0x6000, 1, 0, 0)], 0, Err("a readable buffer follows a writable one"));
        check(&[(32 << 20, 1, 0, 0)], 0, Err("buffer at 0x2000000 of 1 bytes is not in guest memory"));
        check(&[((32 << 20) - 1, 2, 0, 0)], 0, Err("buffer at 0x1ffffff of 2 bytes is not in guest memory"));
        check(&[(u64::MAX, 2, 0, 0)], 0, Err("buffer at 0xffffffffffffffff of 2 bytes is not in guest memory"));
        check(&[(0x5000, 0, INDIRECT, 0)], 0, Err("indirect table of 0 bytes is invalid"));
        check(&[(0x5000, 17, INDIRECT, 0)], 0, Err("indirect table of 17 bytes is invalid"));
        check(&[(0x5000, 16, INDIRECT | NEXT, 1)], 0, Err("indirect table of 16 bytes is invalid"));
        // The queue's own table, which would lead to itself for ever.
        check(&[(0x1000, 128, INDIRECT, 0)], 0, Err("indirect table of 128 bytes is invalid"));
        check(&[(64 << 20, 16, INDIRECT, 0)], 0, Err("queue at 0x4000000 is not in guest memory, or misaligned"));
    }

    #[test]
    fn more_than_the_queue_holds_is_refused() {
        let ram = GuestRam::create(32).expect("memory");
        let mut queue = Queue::new(8);
        let mut driver = Driver::new(0x1000, 8);
        driver.set_up(ram.memory(), &mut queue);
        driver.set_available_index(ram.memory(), 9);
        assert_eq!(queue.pop(ram.memory()).expect_err("9 of 8").to_string(), "9 chains are offered in a queue of 8");
    }

    #[test]
    fn a_device_never_holds_more_chains_than_its_queue_does() {
        let ram = GuestRam::create(32).expect("memory");
        let mut queue = Queue::new(8);
        let mut driver = Driver::new(0x1000, 8);
        driver.set_up(ram.memory(), &mut queue);
        driver.descriptor(ram.memory(), 0, 0x5000, 16, 0, 0);
        for _ in 0..8 {
            driver.offer(ram.memory(), 0);
            queue.pop(ram.memory()).expect("valid").expect("offered");
        }
        driver.offer(ram.memory(), 0);
        assert_eq!(queue.pop(ram.memory()).expect_err("9 of 8").to_string(), "9 chains are offered in a queue of 8");
        queue.push(ram.memory(), 0, 0).expect("the ring is there");
        queue.pop(ram.memory()).expect("8 of 8").expect("offered");
    }

    #[test]
    fn the_driver_is_called_when_its_index_is_passed() {
        // event, new, old
        for (event, new, old, expected) in [
            (0, 1, 0, true),
            (1, 1, 0, false),
            (0, 5, 1, false),
            (u16::MAX, 0, u16::MAX, true),
            (u16::MAX, 1, u16::MAX - 1, true),
            (5, 0, u16::MAX, false),
        ] {
            assert_eq!(crossed(event, new, old), expected, "{event} {new} {old}");
        }
    }
}
