//! How a device calls its driver.

use std::sync::atomic::{AtomicU32, Ordering};

use vmm_sys_util::eventfd::EventFd;

const QUEUE: u32 = 1;
const CONFIG: u32 = 2;

/// The interrupt of one device: the status register's bits and an irqfd.
///
/// It has no lock: a vCPU that reads and acknowledges it never waits for the device.
pub struct Interrupt {
    status: AtomicU32,
    generation: AtomicU32,
    line: EventFd,
}

impl Interrupt {
    /// An interrupt that is raised by writing to `line`.
    pub fn new(line: EventFd) -> Self {
        Self { status: AtomicU32::new(0), generation: AtomicU32::new(0), line }
    }

    /// A queue has used buffers.
    pub fn queue(&self) {
        self.raise(QUEUE);
    }

    /// The configuration has changed.
    pub fn config(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.raise(CONFIG);
    }

    /// Register `InterruptStatus`.
    pub fn status(&self) -> u32 {
        self.status.load(Ordering::SeqCst)
    }

    /// Register `InterruptACK`.
    pub fn acknowledge(&self, bits: u32) {
        self.status.fetch_and(!bits, Ordering::SeqCst);
    }

    /// Register `ConfigGeneration`.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Puts back what was saved; a bit that is set raises the line again, as the
    /// interrupt may have been on its way when the state was saved.
    pub fn restore(&self, status: u32, generation: u32) {
        self.generation.store(generation, Ordering::SeqCst);
        self.status.store(status, Ordering::SeqCst);
        if status != 0 {
            self.pulse();
        }
    }

    /// The eventfd that KVM watches.
    pub fn line(&self) -> &EventFd {
        &self.line
    }

    fn raise(&self, bit: u32) {
        self.status.fetch_or(bit, Ordering::SeqCst);
        self.pulse();
    }

    fn pulse(&self) {
        // Only a full counter could make this fail, and then the line is raised already.
        let _ = self.line.write(1);
    }
}
