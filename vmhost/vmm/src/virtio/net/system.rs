//! The system calls of a network card that the standard library lacks.

#![allow(unsafe_code, reason = "vectored I/O on guest memory, and ioctls of tap devices")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;

use super::super::chain::Slice;

/// The most buffers that one system call takes (`UIO_MAXIOV`).
pub const MAX_BUFFERS: usize = 1024;

/// Makes `file`, an open `/dev/net/tun`, the tap device of that name.
///
/// # Errors
/// When the name is too long, or the kernel refuses.
pub fn bind_tap(file: &File, name: &str) -> io::Result<()> {
    // SAFETY: all zeros are a valid `ifreq`: integers and arrays of them, in a union too.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // One byte must remain for the closing zero.
    if name.is_empty() || name.len() >= request.ifr_name.len() || name.contains('\0') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` is no name of an interface")));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).map_err(io::Error::other)?;
    // SAFETY: the request outlives the call, which reads and writes one `ifreq`.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })
}

/// Sets the size of the header before each frame, in bytes.
///
/// # Errors
/// When it is no tap device.
pub fn set_header_size(tap: &File, size: usize) -> io::Result<()> {
    let size = libc::c_int::try_from(size).map_err(io::Error::other)?;
    // SAFETY: the integer outlives the call, which only reads it.
    check(unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const size) })
}

/// Says which work on frames the reader of `tap` is willing to do itself, as `TUN_F` bits.
///
/// # Errors
/// When the kernel doesn't know a bit, or it is no tap device.
pub fn set_offload(tap: &File, bits: libc::c_uint) -> io::Result<()> {
    // SAFETY: the call takes the bits by value, and no pointer.
    check(unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(bits)) })
}

/// Makes reads and writes fail instead of waiting.
///
/// # Errors
/// Those of `fcntl`.
pub fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: the call takes no pointer.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    check(flags)?;
    // SAFETY: likewise.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) })
}

/// Reads into guest memory, and what doesn't fit into `rest`. The caller marks `slices` as written.
///
/// # Errors
/// Those of `readv`.
pub fn read(file: &File, slices: &[Slice<'_>], rest: &mut [u8]) -> io::Result<usize> {
    let guards: Vec<_> = slices.iter().map(Slice::ptr_guard_mut).collect();
    let mut buffers: Vec<_> = guards.iter().map(|guard| buffer(guard.as_ptr(), guard.len())).collect();
    buffers.push(buffer(rest.as_mut_ptr(), rest.len()));
    let count = libc::c_int::try_from(buffers.len()).map_err(io::Error::other)?;
    // SAFETY: `guards` keep guest memory mapped and writable for the lengths given, and `rest` is
    // borrowed mutably; both outlive the call. No Rust reference to guest memory exists.
    transferred(unsafe { libc::readv(file.as_raw_fd(), buffers.as_ptr(), count) })
}

/// Writes `head`, then guest memory.
///
/// # Errors
/// Those of `writev`.
pub fn write(file: &File, head: &[u8], slices: &[Slice<'_>]) -> io::Result<usize> {
    let guards: Vec<_> = slices.iter().map(Slice::ptr_guard).collect();
    let mut buffers = vec![buffer(head.as_ptr(), head.len())];
    buffers.extend(guards.iter().map(|guard| buffer(guard.as_ptr(), guard.len())));
    let count = libc::c_int::try_from(buffers.len()).map_err(io::Error::other)?;
    // SAFETY: `guards` keep guest memory mapped for the lengths given, and `head` is borrowed; both
    // outlive the call, which only reads them.
    transferred(unsafe { libc::writev(file.as_raw_fd(), buffers.as_ptr(), count) })
}

/// Sends `head`, then guest memory; a peer that is gone is an error and no signal.
///
/// # Errors
/// Those of `sendmsg`.
pub fn send(stream: &UnixStream, head: &[u8], slices: &[Slice<'_>]) -> io::Result<usize> {
    let guards: Vec<_> = slices.iter().map(Slice::ptr_guard).collect();
    let mut buffers = vec![buffer(head.as_ptr(), head.len())];
    buffers.extend(guards.iter().map(|guard| buffer(guard.as_ptr(), guard.len())));
    // SAFETY: all zeros are a valid `msghdr`: lengths of zero and null pointers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = buffers.as_mut_ptr();
    message.msg_iovlen = buffers.len();
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: `guards` keep guest memory mapped for the lengths given, and `head` is borrowed; both
    // outlive the call, which only reads them, as does the list of buffers.
    transferred(unsafe { libc::sendmsg(stream.as_raw_fd(), &raw const message, flags) })
}

fn buffer(address: *const u8, length: usize) -> libc::iovec {
    libc::iovec { iov_base: address.cast_mut().cast(), iov_len: length }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn transferred(count: isize) -> io::Result<usize> {
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}
