#![allow(unsafe_code, reason = "maps files over guest memory, which no safe interface does")]
//! Guest memory's place in this process: which file shows through at each address.
//!
//! The regions are made, owned and unmapped at last by `vm_memory`. Here only
//! what lies *inside* them is exchanged, always whole pages, always readable and
//! writable, so that neither KVM's slots nor a device's pointers ever notice.
//!
//! Invariant of this file: each `Slot` is a region of `self.memory`, whose
//! mapping of `length` bytes at `host` exists as long as `self.memory` does; every
//! file laid over it is at least as long as what is mapped of it, and either
//! ours, sealed, or opened for reading only by contract with its owner.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd as _;

use vm_memory::bitmap::AtomicBitmap;
use vm_memory::mmap::{MmapRegionBuilder, MmapRegionError};
use vm_memory::{FileOffset, GuestAddress, GuestMemoryBackend as _, GuestMemoryRegion as _, GuestRegionMmap};

use super::collapse::Spacer;
use super::dirty::Run;
use super::{GuestMemory, HUGE_PAGE, PAGE, PAGE_BYTES, layout};

/// One stretch of guest memory, as KVM wants to hear of it; all in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Where it is for the guest.
    pub guest: u64,
    /// Where it is in this process.
    pub host: u64,
    /// How long.
    pub length: u64,
    /// Where it starts in RAM as a whole, that is, in the memory file.
    pub offset: u64,
}

/// All regions, and the right to change what lies in them.
#[derive(Clone)]
pub(super) struct Mapping {
    memory: GuestMemory,
    slots: Vec<Slot>,
    huge_pages: bool,
}

/// How writes to a mapping end up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// In the file.
    Shared,
    /// In a copy of the page that only we have.
    Private,
}

impl Mapping {
    /// Maps `bytes` of `file` at the addresses that `layout` says.
    pub fn new(file: &File, bytes: u64, sharing: Sharing, huge_pages: bool) -> io::Result<Self> {
        let mut offset = 0;
        let mut regions = Vec::new();
        for (start, length) in layout::ram(bytes) {
            let size = usize::try_from(length).map_err(io::Error::other)?;
            let spacer = (!huge_pages).then(|| Spacer::new(file, size));
            let bitmap = AtomicBitmap::new(size, const { NonZeroUsize::new(PAGE).expect("not zero") });
            let mapping = MmapRegionBuilder::new_with_bitmap(size, bitmap)
                .with_mmap_prot(libc::PROT_READ | libc::PROT_WRITE)
                .with_mmap_flags(flags(sharing, huge_pages))
                .with_file_offset(FileOffset::new(file.try_clone()?, offset))
                .build()
                .map_err(|error| match error {
                    MmapRegionError::Mmap(error) => error,
                    error => io::Error::other(error),
                })?;
            drop(spacer);
            regions.push(GuestRegionMmap::new(mapping, GuestAddress(start)).ok_or(io::ErrorKind::InvalidInput)?);
            offset += length;
        }
        let memory = GuestMemory::from_regions(regions).map_err(io::Error::other)?;
        let mut offset = 0;
        let slots = memory.iter().map(|region| {
            let (guest, host, length) = (region.start_addr().0, region.as_ptr() as u64, region.len());
            offset += length;
            Slot { guest, host, length, offset: offset - length }
        });
        let slots: Vec<Slot> = slots.collect();
        if sharing == Sharing::Shared && !huge_pages {
            slots.iter().for_each(ask_for_huge);
        }
        Ok(Self { slots, memory, huge_pages })
    }

    pub fn memory(&self) -> &GuestMemory {
        &self.memory
    }

    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Lays pages of `file` over `run`, privately; `offset` in bytes.
    ///
    /// What was there before is gone. On error it's still there, with one
    /// exception that doesn't happen: the kernel out of memory for its own structures.
    pub fn cover(&self, run: Run, file: &File, mut offset: u64) -> io::Result<()> {
        for (host, length) in self.pieces(run)? {
            lay(host as u64, length as u64, file, offset, flags(Sharing::Private, self.huge_pages))?;
            offset += length as u64;
        }
        Ok(())
    }

    /// Lays `file` over all memory, privately, where it's mapped shared now; on error it's shared still.
    ///
    /// To unmap the old mapping takes time for each of its pages, so it's only
    /// moved out of the way (by whole page tables, 2 MiB a step) and returned:
    /// whoever drops it does that work, at leisure. Huge pages are unmapped at
    /// once, there are few of them.
    pub fn set_aside(&self, file: &File) -> io::Result<Vec<Aside>> {
        let mut moved = Vec::new();
        for (done, slot) in self.slots.iter().enumerate() {
            let result = if self.huge_pages { replace_huge(slot, file) } else { self.set_slot_aside(slot, file) };
            match result {
                Ok(aside) => moved.extend(aside),
                Err(error) => {
                    // Nobody has written since, so the file has all that the private mappings show.
                    for slot in self.slots.iter().take(done + 1) {
                        lay(slot.host, slot.length, file, slot.offset, flags(Sharing::Shared, self.huge_pages))?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(moved)
    }

    fn set_slot_aside(&self, slot: &Slot, file: &File) -> io::Result<Option<Aside>> {
        let aside = Aside::take(slot)?;
        lay(slot.host, slot.length, file, slot.offset, flags(Sharing::Private, false))?;
        Ok(Some(aside))
    }

    /// Writes the content of `runs`, one after another, to the start of `file`.
    pub fn write_out(&self, runs: &[Run], file: &File) -> io::Result<()> {
        let mut vectors = Vec::new();
        for run in runs {
            let pieces = self.pieces(*run)?;
            vectors.extend(
                pieces.into_iter().map(|(host, length)| libc::iovec { iov_base: host as *mut _, iov_len: length }),
            );
        }
        // As many as the kernel takes in one call.
        const MOST: usize = 1024;
        let mut rest = vectors.as_mut_slice();
        let mut offset = 0;
        while !rest.is_empty() {
            let count = rest.len().min(MOST);
            // SAFETY: each vector lies within one of our regions, mapped and readable; the
            // kernel only reads them, and copes with a guest that writes meanwhile.
            let written =
                unsafe { libc::pwritev(file.as_raw_fd(), rest.as_ptr(), i32::try_from(count).unwrap_or(1), offset) };
            if written < 0 {
                let error = io::Error::last_os_error();
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                return Err(error);
            }
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            offset += i64::try_from(written).map_err(io::Error::other)?;
            rest = advance(rest, written.unsigned_abs());
        }
        Ok(())
    }

    /// Reads `run` from `file` at `offset`, into private copies of its pages.
    pub fn read_in(&self, run: Run, file: &File, mut offset: u64) -> io::Result<()> {
        for (host, length) in self.pieces(run)? {
            let mut done = 0;
            while done < length {
                // SAFETY: the piece lies within one of our regions, mapped and writable.
                let read = unsafe {
                    libc::pread(
                        file.as_raw_fd(),
                        (host + done) as *mut libc::c_void,
                        length - done,
                        i64::try_from(offset).map_err(io::Error::other)?,
                    )
                };
                match read {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    1.. => {
                        done += read.unsigned_abs();
                        offset += read.unsigned_abs() as u64;
                    }
                    _ => {
                        let error = io::Error::last_os_error();
                        if error.kind() != io::ErrorKind::Interrupted {
                            return Err(error);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives up private copies of `run`: the file shows through again.
    pub fn forget(&self, run: Run) -> io::Result<()> {
        for (host, length) in self.pieces(run)? {
            // SAFETY: the piece lies within one of our regions; it stays mapped, and what
            // changes is its content, which the guest may change at any time as well.
            let result = unsafe { libc::madvise(host as *mut libc::c_void, length, libc::MADV_DONTNEED) };
            if result < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// The addresses and lengths in this process that `run` has, one for each region it lies in.
    fn pieces(&self, run: Run) -> io::Result<Vec<(usize, usize)>> {
        let range = run.count.checked_mul(PAGE_BYTES).and_then(|length| {
            let start = run.page.checked_mul(PAGE_BYTES)?;
            Some((start, start.checked_add(length)?))
        });
        let end = self.slots.last().map_or(0, |slot| slot.offset + slot.length);
        let Some((mut start, stop)) = range.filter(|&(_, stop)| stop <= end) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "pages past the end of memory"));
        };
        let mut pieces = Vec::with_capacity(1);
        for slot in &self.slots {
            let upto = stop.min(slot.offset + slot.length);
            if start < upto && start >= slot.offset {
                let host = usize::try_from(slot.host + (start - slot.offset)).map_err(io::Error::other)?;
                pieces.push((host, usize::try_from(upto - start).map_err(io::Error::other)?));
                start = upto;
            }
        }
        Ok(pieces)
    }
}

/// A shared mapping of guest memory that is out of use; to drop it unmaps it.
#[derive(Debug)]
pub(super) struct Aside {
    address: usize,
    length: usize,
}

impl Aside {
    /// Moves the pages of `slot` elsewhere. The slot stays mapped as it was, with an empty page table.
    fn take(slot: &Slot) -> io::Result<Self> {
        let length = usize::try_from(slot.length).map_err(io::Error::other)?;
        let host = usize::try_from(slot.host).map_err(io::Error::other)?;
        let room = length + 2 * HUGE_PAGE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let reserved = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                room,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if reserved == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // Page tables move as a whole only between addresses that are equal modulo 2 MiB.
        let start = reserved as usize;
        let target = start.next_multiple_of(HUGE_PAGE) + host % HUGE_PAGE;
        // SAFETY: the source is one of our regions, and remains mapped (`DONTUNMAP`); the
        // target lies within the reservation of just above, which nothing else uses.
        let moved = unsafe {
            libc::mremap(
                host as *mut libc::c_void,
                length,
                length,
                libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP,
                target as *mut libc::c_void,
            )
        };
        let aside = Self { address: start, length: room };
        // When moving has failed, dropping `aside` ends the reservation.
        if moved == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(aside) }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // SAFETY: the whole range is the reservation that `take` made, and nothing else knows its address.
        unsafe { libc::munmap(self.address as *mut libc::c_void, self.length) };
    }
}

/// Asks for huge pages where the host gives them to shared memory on request (`shmem_enabled` of transparent huge
/// pages is `advise`; it is `never` by default). A guest that boots takes a fault for each page that it touches
/// first, so 2 MiB at a time is much faster, for more resident memory. Private mappings never ask: a clone pays for
/// what it writes, 4 KiB at a time.
fn ask_for_huge(slot: &Slot) {
    if let Ok(length) = usize::try_from(slot.length) {
        // SAFETY: the range is one of our regions (invariant of this file), and advice changes no content.
        // A kernel without huge pages refuses, which changes nothing.
        unsafe { libc::madvise(slot.host as *mut libc::c_void, length, libc::MADV_HUGEPAGE) };
    }
}

/// Maps `file` over part of a region: `host` and `length` must lie within one.
fn lay(host: u64, length: u64, file: &File, offset: u64, flags: i32) -> io::Result<()> {
    // SAFETY: the caller's range lies within one of our regions (invariant of this file), so
    // this replaces pages of guest memory, which nothing holds references into:
    // all access is by volatile copies through raw pointers.
    let result = unsafe {
        libc::mmap(
            host as *mut libc::c_void,
            usize::try_from(length).map_err(io::Error::other)?,
            libc::PROT_READ | libc::PROT_WRITE,
            flags | libc::MAP_FIXED,
            file.as_raw_fd(),
            i64::try_from(offset).map_err(io::Error::other)?,
        )
    };
    if result == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Lays `file` privately over a region of huge pages, which stays as it is when the host has too few of them:
/// they are reserved by a mapping elsewhere, which then moves.
fn replace_huge(slot: &Slot, file: &File) -> io::Result<Option<Aside>> {
    let length = usize::try_from(slot.length).map_err(io::Error::other)?;
    let offset = i64::try_from(slot.offset).map_err(io::Error::other)?;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let fresh = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            flags(Sharing::Private, true),
            file.as_raw_fd(),
            offset,
        )
    };
    if fresh == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: moves the mapping of just above, which nothing else knows, over one of our regions as a whole.
    let moved = unsafe {
        libc::mremap(fresh, length, length, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED, slot.host as *mut libc::c_void)
    };
    if moved == libc::MAP_FAILED {
        let error = io::Error::last_os_error();
        // SAFETY: the mapping of just above, which hasn't moved.
        unsafe { libc::munmap(fresh, length) };
        return Err(error);
    }
    Ok(None)
}

fn flags(sharing: Sharing, huge_pages: bool) -> i32 {
    let sharing = if sharing == Sharing::Shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
    // Huge pages are reserved at once: found missing later, they would end the process by a signal.
    if huge_pages { sharing } else { sharing | libc::MAP_NORESERVE }
}

/// What is left of `vectors` when `written` bytes of them are done.
fn advance(vectors: &mut [libc::iovec], mut written: usize) -> &mut [libc::iovec] {
    let mut done = 0;
    for vector in vectors.iter_mut() {
        if written < vector.iov_len {
            vector.iov_base = (vector.iov_base as usize + written) as *mut libc::c_void;
            vector.iov_len -= written;
            break;
        }
        written -= vector.iov_len;
        done += 1;
    }
    &mut vectors[done..]
}
