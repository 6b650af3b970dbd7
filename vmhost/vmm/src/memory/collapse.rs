//! Pages of 2 MiB for memory that a kernel is about to fill, without a pool of them.
#![allow(unsafe_code, reason = "asks for addresses and for huge pages, which no safe interface does")]
//!
//! While a VM boots, each page that it touches first costs an exit: a kernel of
//! 20 MiB causes some 7,000, most of what a boot is made of. The kernel can make
//! one huge page of 512 (`MADV_COLLAPSE`, Linux 6.1), whatever the host's policy
//! for transparent huge pages is, if addresses here and there are equal modulo
//! 2 MiB. All of this may fail, and then memory is just slower at first.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, RawFd};

use super::HUGE_PAGE;

/// A mapping that makes the next one of `length` bytes start at a multiple of 2 MiB, as long as it is kept.
///
/// The kernel gives out addresses from the top down: what is left of the place that
/// it would choose is kept from it. Another thread may be faster; that's a slow boot, no more.
pub(super) struct Spacer(Option<(*mut libc::c_void, usize)>);

impl Spacer {
    /// Makes it for a mapping of `file`; without effect if that fails.
    pub(super) fn new(file: &File, length: usize) -> Self {
        // A mapping of the same kind, as the kernel may choose otherwise for another one.
        let Some(address) = reserve(libc::MAP_SHARED, file.as_raw_fd(), length) else { return Self(None) };
        release(address, length);
        let excess = address as usize % HUGE_PAGE;
        let spacer = if excess == 0 { None } else { reserve(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, excess) };
        Self(spacer.map(|address| (address, excess)))
    }
}

impl Drop for Spacer {
    fn drop(&mut self) {
        if let Some((address, length)) = self.0 {
            release(address, length);
        }
    }
}

fn reserve(flags: i32, file: RawFd, length: usize) -> Option<*mut libc::c_void> {
    let flags = flags | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice, which nobody can access.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_NONE, flags, file, 0) };
    (address != libc::MAP_FAILED).then_some(address)
}

fn release(address: *mut libc::c_void, length: usize) {
    // SAFETY: the range is a mapping that `reserve` made for the caller, who has told nobody of it.
    unsafe { libc::munmap(address, length) };
}

/// Makes huge pages of the whole ones in `length` bytes at `host`, all of which is a mapping of guest memory. Those
/// of which no page was ever touched stay as they are, and end it.
///
/// It leaves the mapping one piece, as freezing needs it; `MADV_HUGEPAGE` here would split it.
///
/// # Errors
/// When the kernel can't: it is too old, or has no huge page left.
pub(super) fn collapse(host: u64, length: u64) -> io::Result<()> {
    let start = host.next_multiple_of(HUGE_PAGE as u64);
    let end = (host + length) / HUGE_PAGE as u64 * HUGE_PAGE as u64;
    let Some(length) = end.checked_sub(start).and_then(|length| usize::try_from(length).ok()) else { return Ok(()) };
    // SAFETY: the range lies within a mapping of guest memory (by contract) and keeps its
    // content; which pages hold it is nobody's concern but the kernel's.
    let result = unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_COLLAPSE) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
