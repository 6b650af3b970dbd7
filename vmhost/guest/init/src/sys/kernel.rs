//! Requests to the kernel as a whole: mounts, power, log, random numbers.

#![allow(unsafe_code, reason = "mount, reboot, klogctl and getrandom have no safe counterpart")]

use std::ffi::CString;
use std::io;

use super::check;

/// Mounts a file system. `source` may be any word where the type has no device.
pub(crate) fn mount(source: &str, target: &str, kind: &str, read_only: bool) -> io::Result<()> {
    let (source, target, kind) = (CString::new(source)?, CString::new(target)?, CString::new(kind)?);
    let flags = if read_only { libc::MS_RDONLY } else { 0 };
    // SAFETY: three strings that end in zero and live through the call; no data is passed.
    check(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) }).map(drop)
}

/// Unmounts what is mounted at `target`.
pub(crate) fn unmount(target: &str) -> io::Result<()> {
    let target = CString::new(target)?;
    // SAFETY: a string that ends in zero and lives through the call.
    check(unsafe { libc::umount2(target.as_ptr(), 0) }).map(drop)
}

/// Writes what is cached to disks, then powers off. Returns only on failure.
pub(crate) fn power_off() -> io::Error {
    end(libc::RB_POWER_OFF)
}

/// Writes what is cached to disks, then restarts the machine. Returns only on failure.
pub(crate) fn restart() -> io::Error {
    end(libc::RB_AUTOBOOT)
}

fn end(command: libc::c_int) -> io::Error {
    // SAFETY: neither call takes a pointer. PID 1 is the only caller, so only a guest is ended.
    unsafe {
        libc::sync();
        libc::reboot(command);
    }
    io::Error::last_os_error()
}

/// The kernel's whole log, as text.
pub(crate) fn log() -> io::Result<String> {
    const SYSLOG_ACTION_READ_ALL: libc::c_int = 3;
    const SYSLOG_ACTION_SIZE_BUFFER: libc::c_int = 10;
    // SAFETY: this action ignores the buffer.
    let size = check(unsafe { libc::klogctl(SYSLOG_ACTION_SIZE_BUFFER, std::ptr::null_mut(), 0) })?;
    let mut buffer = vec![0_u8; size as usize];
    // SAFETY: `buffer` has `size` bytes.
    let length = check(unsafe { libc::klogctl(SYSLOG_ACTION_READ_ALL, buffer.as_mut_ptr().cast(), size) })?;
    buffer.truncate(length as usize);
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

/// Fills `buffer` from the kernel's random number generator, waiting until it is seeded.
pub(crate) fn random(buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        // SAFETY: `rest` is valid for its length.
        filled += check(unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) })? as usize;
    }
    Ok(())
}

/// Processors that are online.
pub(crate) fn online_processors() -> i64 {
    // SAFETY: takes and returns plain numbers.
    unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }
}
