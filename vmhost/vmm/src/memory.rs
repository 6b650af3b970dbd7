//! Guest memory: where it lies for the guest, and what backs it on the host.
//!
//! It is a memfd from the start, so that a snapshot or a clone can take it over
//! without copying. Writes by devices are marked in a bitmap beside KVM's own
//! dirty log, which sees only those of vCPUs.

pub mod layout;

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::FromRawFd as _;

use vm_memory::bitmap::AtomicBitmap;
use vm_memory::mmap::MmapRegionBuilder;
use vm_memory::{FileOffset, GuestAddress, GuestMemoryMmap, GuestRegionMmap};

/// Guest memory with a bitmap of the pages that devices have written.
pub type GuestMemory = GuestMemoryMmap<AtomicBitmap>;

/// The unit of dirty tracking, in bytes.
pub const PAGE: usize = 4096;

/// The guest's memory and its backing.
pub struct GuestRam {
    memory: GuestMemory,
}

impl GuestRam {
    /// Zeroed memory of `mib` MiB, at the addresses that `layout` says.
    ///
    /// # Errors
    /// When the host has no room.
    pub fn create(mib: u32) -> io::Result<Self> {
        let file = memfd(u64::from(mib) << 20)?;
        let mut offset = 0;
        let mut regions = Vec::new();
        for (start, length) in layout::ram(u64::from(mib) << 20) {
            let length = usize::try_from(length).map_err(io::Error::other)?;
            let bitmap = AtomicBitmap::new(length, NonZeroUsize::new(PAGE).expect("not zero"));
            let mapping = MmapRegionBuilder::new_with_bitmap(length, bitmap)
                .with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE)
                .with_mmap_flags(libc::MAP_SHARED | libc::MAP_NORESERVE)
                .with_file_offset(FileOffset::new(file.try_clone()?, offset))
                .build()
                .map_err(io::Error::other)?;
            offset += length as u64;
            regions.push(GuestRegionMmap::new(mapping, GuestAddress(start)).expect("below the end of addresses"));
        }
        Ok(Self { memory: GuestMemory::from_regions(regions).map_err(io::Error::other)? })
    }

    /// The memory as devices see it; clones are handles on the same memory.
    pub fn memory(&self) -> &GuestMemory {
        &self.memory
    }
}

#[allow(unsafe_code, reason = "the standard library has no memfd_create")]
fn memfd(length: u64) -> io::Result<File> {
    // SAFETY: the name is a C string that outlives the call.
    let fd = unsafe { libc::memfd_create(c"guest-memory".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor, and nobody else has it.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len(length)?;
    Ok(file)
}
