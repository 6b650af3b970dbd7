//! The driver's side of a queue, for tests and fuzzers: it writes whatever it is told, valid or not.

use std::sync::atomic::Ordering;

use vm_memory::{Bytes as _, GuestAddress};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::{Device, Fault, Interrupt, Io, Queue};
use crate::events::Ready;
use crate::memory::{GuestMemory, GuestRam};

/// Another descriptor follows.
pub const NEXT: u16 = 1;
/// The device writes this buffer.
pub const WRITE: u16 = 2;
/// The buffer is a table of descriptors.
pub const INDIRECT: u16 = 4;

/// A driver of one queue whose rings lie one after another in memory.
pub struct Driver {
    size: u16,
    descriptors: u64,
    driver: u64,
    device: u64,
    available: u16,
    used: u16,
    next_descriptor: u16,
}

impl Driver {
    /// A queue of `size` descriptors at `address`; it takes less than 32 bytes a descriptor and 64 more.
    pub fn new(address: u64, size: u16) -> Self {
        let count = u64::from(size);
        let driver = address + 16 * count;
        let device = (driver + 6 + 2 * count).next_multiple_of(4);
        Self { size, descriptors: address, driver, device, available: 0, used: 0, next_descriptor: 0 }
    }

    /// Sets the queue up as the transport would.
    ///
    /// # Panics
    /// When memory doesn't hold it.
    pub fn set_up(&self, memory: &GuestMemory, queue: &mut Queue) {
        let state = queue.state_mut();
        (state.size, state.descriptors, state.driver, state.device) =
            (self.size, self.descriptors, self.driver, self.device);
        queue.enable(memory).expect("a valid queue");
    }

    /// Writes one descriptor.
    ///
    /// # Panics
    /// When the table isn't in memory.
    pub fn descriptor(&mut self, memory: &GuestMemory, index: u16, address: u64, length: u32, flags: u16, next: u16) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&address.to_le_bytes());
        bytes[8..12].copy_from_slice(&length.to_le_bytes());
        bytes[12..14].copy_from_slice(&flags.to_le_bytes());
        bytes[14..].copy_from_slice(&next.to_le_bytes());
        memory
            .write_slice(&bytes, GuestAddress(self.descriptors + 16 * u64::from(index)))
            .expect("the table lies in memory");
    }

    /// Offers the chain that starts at `head`.
    ///
    /// # Panics
    /// When the ring isn't in memory.
    pub fn offer(&mut self, memory: &GuestMemory, head: u16) {
        let slot = self.driver + 4 + 2 * u64::from(self.available % self.size);
        memory.write_slice(&head.to_le_bytes(), GuestAddress(slot)).expect("the ring lies in memory");
        self.set_available_index(memory, self.available.wrapping_add(1));
    }

    /// Says how many chains were ever offered, truly or not.
    ///
    /// # Panics
    /// When the ring isn't in memory.
    pub fn set_available_index(&mut self, memory: &GuestMemory, index: u16) {
        self.available = index;
        memory.store(index.to_le(), GuestAddress(self.driver + 2), Ordering::Release).expect("the ring lies in memory");
    }

    /// Offers a chain of buffers `(address, length)`, the readable before the writable, and gives its head.
    ///
    /// # Panics
    /// When the table isn't in memory, or there are no buffers.
    pub fn chain(&mut self, memory: &GuestMemory, readable: &[(u64, u32)], writable: &[(u64, u32)]) -> u16 {
        let buffers = readable.iter().map(|buffer| (buffer, 0)).chain(writable.iter().map(|buffer| (buffer, WRITE)));
        let count = u16::try_from(readable.len() + writable.len()).expect("a short chain");
        let head = self.next_descriptor % self.size;
        for (number, (&(address, length), flags)) in (1..).zip(buffers) {
            let index = self.next_descriptor % self.size;
            self.next_descriptor = self.next_descriptor.wrapping_add(1);
            let next = if number < count { NEXT } else { 0 };
            self.descriptor(memory, index, address, length, flags | next, self.next_descriptor % self.size);
        }
        self.offer(memory, head);
        head
    }

    /// The next used chain: its head and how many bytes were written.
    ///
    /// # Panics
    /// When the ring isn't in memory.
    pub fn used(&mut self, memory: &GuestMemory) -> Option<(u32, u32)> {
        let index: u16 =
            memory.load(GuestAddress(self.device + 2), Ordering::Acquire).expect("the ring lies in memory");
        if u16::from_le(index) == self.used {
            return None;
        }
        let mut bytes = [0; 8];
        let slot = self.device + 4 + 8 * u64::from(self.used % self.size);
        memory.read_slice(&mut bytes, GuestAddress(slot)).expect("the ring lies in memory");
        self.used = self.used.wrapping_add(1);
        let [a, b, c, d, e, f, g, h] = bytes;
        Some((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
    }
}

/// A device with its queues and memory, but no machine around it.
pub struct Bench<D> {
    /// The device under test.
    pub device: D,
    /// 32 MiB; rings of queue n lie at `0x10_0000 * (n + 1)`, everything else is free.
    pub ram: GuestRam,
    /// One driver a queue.
    pub drivers: Vec<Driver>,
    /// What the device calls its driver by.
    pub interrupt: Interrupt,
    /// Feature bits that the driver agreed to; all that the device offers, at first.
    pub features: u64,
    queues: Vec<Queue>,
}

impl<D: Device> Bench<D> {
    /// Sets up all queues of `device`, of `size` descriptors each.
    ///
    /// # Panics
    /// When the host has no memory or descriptors left.
    pub fn new(device: D, size: u16) -> Self {
        let ram = GuestRam::create(32).expect("the host has 32 MiB");
        let mut queues: Vec<_> = device.queue_sizes().iter().map(|max| Queue::new(*max)).collect();
        let drivers: Vec<_> = (1..).zip(&queues).map(|(number, _)| Driver::new(0x10_0000 * number, size)).collect();
        for (driver, queue) in drivers.iter().zip(&mut queues) {
            driver.set_up(ram.memory(), queue);
        }
        let interrupt = Interrupt::new(EventFd::new(EFD_NONBLOCK).expect("the host has an eventfd"));
        Self { features: device.features(), device, ram, drivers, interrupt, queues }
    }

    /// Calls the device as the device thread would.
    ///
    /// # Errors
    /// Those of the call.
    pub fn with<T>(&mut self, call: impl FnOnce(&mut D, &mut Io<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut io = Io {
            memory: self.ram.memory(),
            features: self.features,
            queues: &mut self.queues,
            interrupt: &self.interrupt,
        };
        call(&mut self.device, &mut io)
    }

    /// The driver notifies a queue.
    ///
    /// # Errors
    /// Those of the device.
    pub fn kick(&mut self, queue: usize) -> Result<(), Fault> {
        self.with(|device, io| device.on_queue(queue, io))
    }

    /// A descriptor of the device is ready to be read and written.
    ///
    /// # Errors
    /// Those of the device.
    pub fn fire(&mut self, source: u32) -> Result<(), Fault> {
        let ready = Ready { readable: true, writable: true, hangup: false };
        self.with(|device, io| device.on_event(source, ready, io))
    }
}
