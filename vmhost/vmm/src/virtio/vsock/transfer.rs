//! System calls between a host socket and guest memory.
//!
//! No call blocks, and none raises SIGPIPE.
#![allow(unsafe_code, reason = "the kernel is given addresses of guest memory, which no safe type may name")]

use std::ffi::OsStr;
use std::io;
use std::mem::{self, offset_of};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::ptr;

use vm_memory::bitmap::BitmapSlice;
use vm_memory::volatile_memory::PtrGuardMut;

use crate::virtio::chain::{Slice, mark_written};

/// The kernel takes no more buffers at once (IOV_MAX).
const MAX_BUFFERS: usize = 1024;

/// Reads from `stream` into guest memory, and notes the pages as written.
///
/// # Errors
/// `WouldBlock` when there is nothing; 0 bytes are the end.
pub fn receive(stream: &UnixStream, slices: &[Slice<'_>]) -> io::Result<usize> {
    let (_guards, mut buffers) = buffers(slices);
    let mut message = message(&mut buffers);
    // SAFETY: each buffer is a slice of guest memory, whose mapping lives as long
    // as `slices` is borrowed. Writing there breaks no rule of Rust's: no reference
    // to it exists, as all access is volatile. `message` is ours, and its list of
    // buffers outlives the call.
    let count = length(unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) })?;
    mark_written(slices, count);
    Ok(count)
}

/// Writes guest memory to `stream`; how many bytes it took.
///
/// # Errors
/// `WouldBlock` when it takes none; `BrokenPipe` when it never will.
pub fn send(stream: &UnixStream, slices: &[Slice<'_>]) -> io::Result<usize> {
    let (_guards, mut buffers) = buffers(slices);
    // SAFETY: as for `receive`, and the kernel only reads.
    unsafe { send_buffers(stream, &mut buffers) }
}

/// Writes bytes of the host to `stream`; how many it took.
///
/// # Errors
/// Those of `send`.
pub fn send_bytes(stream: &UnixStream, parts: [&[u8]; 2]) -> io::Result<usize> {
    let mut buffers = parts.map(|part| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() });
    // SAFETY: the parts are borrowed for longer than the call, which only reads.
    unsafe { send_buffers(stream, &mut buffers) }
}

/// Looks at the next bytes of `stream` without taking them.
///
/// # Errors
/// `WouldBlock` when there are none; 0 bytes are the end.
pub fn peek(stream: &UnixStream, bytes: &mut [u8]) -> io::Result<usize> {
    receive_bytes(stream, bytes, libc::MSG_PEEK)
}

/// Takes bytes of `stream` for the host itself.
///
/// # Errors
/// Those of `peek`.
pub fn take(stream: &UnixStream, bytes: &mut [u8]) -> io::Result<usize> {
    receive_bytes(stream, bytes, 0)
}

/// A connection to the unix socket at `path`, without ever waiting for one.
///
/// # Errors
/// Those of `connect`; a path that is too long.
pub fn connect(path: &OsStr) -> io::Result<UnixStream> {
    // SAFETY: all zeros are a valid address without a path.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    // The last byte stays zero.
    if path.len() >= address.sun_path.len() || path.as_bytes().contains(&0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in address.sun_path.iter_mut().zip(path.as_bytes()) {
        *to = from.cast_signed();
    }
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is involved.
    let fd = unsafe { libc::socket(libc::AF_UNIX, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor, and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let size = offset_of!(libc::sockaddr_un, sun_path) + path.len() + 1;
    // SAFETY: `address` outlives the call, and `size` is at most its size.
    let done = unsafe { libc::connect(fd.as_raw_fd(), (&raw const address).cast(), size as libc::socklen_t) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(UnixStream::from(fd)) }
}

/// The addresses of `slices`, valid as long as the guards live.
fn buffers<B: BitmapSlice>(slices: &[vm_memory::VolatileSlice<'_, B>]) -> (Vec<PtrGuardMut>, Vec<libc::iovec>) {
    let guards: Vec<_> = slices.iter().take(MAX_BUFFERS).map(vm_memory::VolatileSlice::ptr_guard_mut).collect();
    let buffers =
        guards.iter().map(|guard| libc::iovec { iov_base: guard.as_ptr().cast(), iov_len: guard.len() }).collect();
    (guards, buffers)
}

fn receive_bytes(stream: &UnixStream, bytes: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
    let flags = flags | libc::MSG_DONTWAIT;
    // SAFETY: `bytes` is ours to write for its whole length.
    length(unsafe { libc::recv(stream.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), flags) })
}

fn message(buffers: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: all zeros are a message without address, buffers and control data.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_name = ptr::null_mut();
    message.msg_iov = buffers.as_mut_ptr();
    message.msg_iovlen = buffers.len();
    message
}

/// # Safety
/// Each buffer may be read for its whole length during the call.
unsafe fn send_buffers(stream: &UnixStream, buffers: &mut [libc::iovec]) -> io::Result<usize> {
    let message = message(buffers);
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the caller promises readable buffers; `message` and its list outlive the call.
    length(unsafe { libc::sendmsg(stream.as_raw_fd(), &raw const message, flags) })
}

fn length(returned: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}
