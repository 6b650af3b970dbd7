//! What a virtio device is to the transport, and what it gets to work with.

use std::any::Any;
use std::io;

use super::{Chain, Fault, Interrupt, Queue};
use crate::events::{Poll, Ready};
use crate::memory::GuestMemory;
use crate::state::StateError;

/// The device's number (virtio 1.2, 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Network card.
    Net = 1,
    /// Disk.
    Block = 2,
    /// Source of random numbers.
    Entropy = 4,
    /// Memory balloon.
    Balloon = 5,
    /// Sockets.
    Vsock = 19,
}

/// A device model.
///
/// The transport owns registers and queues and calls the device under one lock:
/// registers from a vCPU's thread, everything else from the device thread. No
/// call may block on anything but memory and local files.
pub trait Device: Any + Send {
    /// Its number.
    fn kind(&self) -> Kind;

    /// Feature bits of the device itself; those of the transport and the queues are added to them.
    fn features(&self) -> u64;

    /// The largest size of each queue, powers of two.
    fn queue_sizes(&self) -> &[u16];

    /// Reads configuration space; what lies beyond it reads as zeros, which `data` holds already.
    fn read_config(&self, offset: u64, data: &mut [u8]);

    /// Writes configuration space; by default there is nothing to write.
    fn write_config(&mut self, offset: u64, data: &[u8]) {
        let _ = (offset, data);
    }

    /// Registers descriptors of its own, once, before the guest runs. It keeps `poll` for later ones.
    ///
    /// # Errors
    /// When the host refuses.
    fn attach(&mut self, poll: Poll) -> io::Result<()> {
        let _ = poll;
        Ok(())
    }

    /// The driver is ready, or a snapshot was restored with a driver that was: all
    /// queues may have chains already. Called on the device thread.
    ///
    /// # Errors
    /// When the guest has broken the protocol.
    fn start(&mut self, io: &mut Io<'_>) -> Result<(), Fault>;

    /// The driver has notified a queue.
    ///
    /// # Errors
    /// When the guest has broken the protocol.
    fn on_queue(&mut self, queue: usize, io: &mut Io<'_>) -> Result<(), Fault>;

    /// One of its descriptors is ready. The driver may not be: then queues give no chain.
    ///
    /// # Errors
    /// When the guest has broken the protocol.
    fn on_event(&mut self, source: u32, ready: Ready, io: &mut Io<'_>) -> Result<(), Fault> {
        let _ = (source, ready, io);
        Ok(())
    }

    /// The driver resets the device, or a fault stops it: after this nothing may touch guest memory any more.
    fn reset(&mut self);

    /// Finishes all work in flight, so that queues and `save` are all there is to it. No vCPU runs.
    ///
    /// # Errors
    /// When the guest has broken the protocol.
    fn drain(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        let _ = io;
        Ok(())
    }

    /// What must be kept beside the queues and the negotiated features.
    fn save(&self) -> Vec<u8>;

    /// Takes back what `save` gave. `start` follows.
    ///
    /// # Errors
    /// When it is of no such device.
    fn restore(&mut self, state: &[u8]) -> Result<(), StateError>;

    /// The machine goes on as another one (restored or cloned): what the guest holds
    /// that ties it to the old host side is void. Called before vCPUs run.
    ///
    /// # Errors
    /// When the guest has broken the protocol.
    fn on_new_generation(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        let _ = io;
        Ok(())
    }

    /// Counters for people and machines, `(name, value)`; names end in their unit.
    fn metrics(&self) -> Vec<(&'static str, u64)>;
}

/// What a device works with during one call.
pub struct Io<'a> {
    /// Guest memory.
    pub memory: &'a GuestMemory,
    /// The negotiated feature bits.
    pub features: u64,
    /// The queues; a queue that isn't ready gives no chain and takes none.
    pub queues: &'a mut [Queue],
    /// Calls the driver.
    pub interrupt: &'a Interrupt,
}

impl Io<'_> {
    /// Whether the driver has agreed to a feature.
    pub fn has(&self, feature: u32) -> bool {
        self.features >> feature & 1 == 1
    }

    /// The next chain of a queue.
    ///
    /// # Errors
    /// When the guest's rings or descriptors are invalid.
    pub fn pop(&mut self, queue: usize) -> Result<Option<Chain>, Fault> {
        match self.queues.get_mut(queue) {
            Some(queue) => queue.pop(self.memory),
            None => Ok(None),
        }
    }

    /// Gives back the chain that was popped last.
    pub fn unpop(&mut self, queue: usize) {
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.unpop();
        }
    }

    /// Returns a chain with the number of bytes written into it; `notify` tells the driver.
    ///
    /// # Errors
    /// When the ring has gone.
    pub fn push(&mut self, queue: usize, head: u16, written: u32) -> Result<(), Fault> {
        match self.queues.get_mut(queue) {
            Some(queue) => queue.push(self.memory, head, written),
            None => Ok(()),
        }
    }

    /// Calls the driver if it wants to know of what was pushed. Once a batch is enough.
    ///
    /// # Errors
    /// When the ring has gone.
    pub fn notify(&mut self, queue: usize) -> Result<(), Fault> {
        let Some(queue) = self.queues.get_mut(queue) else { return Ok(()) };
        if queue.wants_interrupt(self.memory)? {
            self.interrupt.queue();
        }
        Ok(())
    }
}
