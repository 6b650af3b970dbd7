//! The system call that fills guest memory with random numbers.

#![allow(unsafe_code, reason = "the standard library has no getrandom, and none writes into guest memory")]

use std::io;

use super::super::chain::Slice;

/// Fills `slice` without blocking; the caller marks it as written.
///
/// # Errors
/// When the host's generator isn't seeded yet.
pub fn fill(slice: &Slice<'_>) -> io::Result<()> {
    let guard = slice.ptr_guard_mut();
    let mut done = 0;
    while done < guard.len() {
        // SAFETY: `guard` keeps `guard.len()` bytes of guest memory mapped and writable, and
        // `done` is less than that. No Rust reference to guest memory exists: all
        // other accesses are volatile, so a write by the kernel races with none.
        let count =
            unsafe { libc::getrandom(guard.as_ptr().add(done).cast(), guard.len() - done, libc::GRND_NONBLOCK) };
        match usize::try_from(count) {
            Ok(count) => done += count,
            Err(_) => match io::Error::last_os_error() {
                // A signal, such as the one that calls a vCPU out of the guest.
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
    Ok(())
}
