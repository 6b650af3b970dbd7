//! How a machine ends, and how the device thread learns of it.

use std::io;
use std::sync::{Mutex, PoisonError};

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// Why a machine no longer runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// The guest has switched itself off.
    PoweredOff,
    /// The guest asks for a reboot.
    Reset,
    /// A vCPU has met an exception it couldn't even report: the guest is broken.
    TripleFault,
    /// The host has stopped it.
    Stopped,
    /// KVM can't run a vCPU any further; the text says which and why.
    VcpuFailed(String),
}

/// One place for the first reason to end; vCPU threads write it, the device thread waits for it.
pub struct ExitRequest {
    reason: Mutex<Option<Exit>>,
    event: EventFd,
}

impl ExitRequest {
    /// No reason yet.
    ///
    /// # Errors
    /// When the host has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self { reason: Mutex::new(None), event: EventFd::new(EFD_NONBLOCK)? })
    }

    /// Ends the machine, if it isn't ending already.
    pub fn request(&self, exit: Exit) {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(exit);
        self.wake();
    }

    /// The first reason, if there is one.
    pub fn reason(&self) -> Option<Exit> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Wakes the device thread.
    pub fn wake(&self) {
        // Only a full counter could make this fail, and then the thread is awake already.
        let _ = self.event.write(1);
    }

    /// What the device thread waits for.
    pub fn event(&self) -> &EventFd {
        &self.event
    }
}
