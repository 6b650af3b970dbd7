//! A one-shot or periodic timer that reads as an event, and never blocks its reader.
//!
//! An event that was taken from the kernel before the timer was armed anew is
//! spurious: reading then must not wait for the new deadline.

#![allow(unsafe_code, reason = "the standard library has no timerfd")]

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, RawFd};
use std::time::Duration;

/// A timer on the monotonic clock.
#[derive(Debug)]
pub struct Timer(File);

impl Timer {
    /// A timer that isn't armed.
    ///
    /// # Errors
    /// When the host has no descriptor left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointers.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor, and nobody else has it.
        Ok(Self(unsafe { File::from_raw_fd(fd) }))
    }

    /// Fires once, in `delay` from now; at once if that is zero. Replaces what was armed before.
    ///
    /// # Errors
    /// Those of `timerfd_settime`.
    pub fn once(&mut self, delay: Duration) -> io::Result<()> {
        // Zero would disarm it.
        self.set(delay.max(Duration::from_nanos(1)), Duration::ZERO)
    }

    /// Fires every `interval`, first in one `interval` from now; never if that is zero.
    ///
    /// # Errors
    /// Those of `timerfd_settime`.
    pub fn every(&mut self, interval: Duration) -> io::Result<()> {
        self.set(interval, interval)
    }

    /// Takes note of an event: whether the timer has fired since the last time.
    ///
    /// # Errors
    /// Those of reading.
    pub fn fired(&mut self) -> io::Result<bool> {
        match self.0.read(&mut [0; 8]) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The descriptor to watch for reading.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    fn set(&mut self, first: Duration, interval: Duration) -> io::Result<()> {
        let spec = libc::itimerspec { it_interval: timespec(interval), it_value: timespec(first) };
        // SAFETY: `spec` outlives the call, and a null pointer asks for no old value.
        match unsafe { libc::timerfd_settime(self.fd(), 0, &raw const spec, std::ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        // As good as never.
        tv_sec: libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(duration.subsec_nanos()),
    }
}
