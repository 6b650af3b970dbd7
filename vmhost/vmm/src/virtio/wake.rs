//! A device's note to itself to go on later.
//!
//! A guest that refills a queue as fast as it is served would keep the device
//! thread, and with it every other device and the control socket, busy for
//! ever. So each call does a bounded amount and asks to be called again.

use std::io;
use std::os::fd::{AsRawFd as _, RawFd};

use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

/// An event that a device raises for itself.
pub struct Wake(EventFd);

impl Wake {
    /// An event that isn't raised.
    ///
    /// # Errors
    /// When the host has no descriptor left.
    pub fn new() -> io::Result<Self> {
        EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC).map(Self)
    }

    /// Asks to be called again, after others had their turn.
    pub fn ask(&self) {
        // Only a full counter could make this fail, and then it is raised already.
        let _ = self.0.write(1);
    }

    /// Takes note of the event; a spurious one does no harm.
    pub fn taken(&self) {
        let _ = self.0.read();
    }

    /// The descriptor to watch for reading.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
