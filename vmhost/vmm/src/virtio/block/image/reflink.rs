//! Copies of whole files that share their blocks, where the file system can.
#![allow(unsafe_code, reason = "the ioctl has no safe wrapper")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

/// Makes `to` a copy of `from` at once, without copying data; `false` if this file system has no such thing.
///
/// # Errors
/// Any other trouble: no room, a file that isn't writable.
pub fn reflink(from: &File, to: &File) -> io::Result<bool> {
    // SAFETY: both descriptors are open for the length of the call, and it takes no pointer.
    if unsafe { libc::ioctl(to.as_raw_fd(), libc::FICLONE, from.as_raw_fd()) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::ENOTTY | libc::EXDEV | libc::EINVAL | libc::ENOSYS) => Ok(false),
        _ => Err(error),
    }
}
