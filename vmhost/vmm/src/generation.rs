//! The VM generation id: how a guest learns that it goes on as another machine.
//!
//! 16 bytes in the reserved area, whose change is announced by an interrupt of
//! ACPI's event device. A kernel mixes them into its random numbers, so that
//! two clones never draw the same ones (Microsoft, "Virtual Machine Generation ID").

use std::io;

use vm_memory::{Bytes as _, GuestAddress, GuestMemoryError};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::memory::GuestMemory;
use crate::memory::layout::ACPI_END;

/// Where it lies: a page of its own, below the end of the area that the memory map reserves.
pub const GENERATION: u64 = ACPI_END - 0x1000;

/// The device.
pub struct Generation {
    line: EventFd,
}

impl Generation {
    /// A device whose interrupt is an eventfd.
    ///
    /// # Errors
    /// When the host has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self { line: EventFd::new(EFD_NONBLOCK)? })
    }

    /// What KVM watches.
    pub fn line(&self) -> &EventFd {
        &self.line
    }

    /// Writes the first id; there is nobody yet to tell.
    ///
    /// # Errors
    /// When guest memory is too small to have it.
    pub fn write(&self, memory: &GuestMemory, id: [u8; 16]) -> Result<(), GuestMemoryError> {
        memory.write_slice(&id, GuestAddress(GENERATION))
    }

    /// Writes another id and tells the guest.
    ///
    /// # Errors
    /// When guest memory is too small to have it.
    pub fn change(&self, memory: &GuestMemory, id: [u8; 16]) -> Result<(), GuestMemoryError> {
        self.write(memory, id)?;
        // Only a full counter could make this fail, and then the line is raised already.
        let _ = self.line.write(1);
        Ok(())
    }

    /// The current id.
    ///
    /// # Errors
    /// When guest memory is too small to have it.
    pub fn read(&self, memory: &GuestMemory) -> Result<[u8; 16], GuestMemoryError> {
        memory.read_obj(GuestAddress(GENERATION))
    }
}
