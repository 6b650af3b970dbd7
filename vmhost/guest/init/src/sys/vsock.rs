//! `AF_VSOCK` stream sockets.
//!
//! A connection is handed out as a [`UnixStream`]: that type does nothing but call `read`, `send`,
//! `shutdown` and `setsockopt` on a descriptor, which are the same calls for every stream socket.

#![allow(unsafe_code, reason = "the standard library has no vsock addresses")]

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use super::check;

/// A socket that waits for connections of the host.
#[derive(Debug)]
pub(crate) struct Listener(OwnedFd);

/// Listens on `port` for any context id, as the guest's own may change with a restore.
pub(crate) fn listen(port: u32) -> io::Result<Listener> {
    let socket = socket()?;
    let address = address(libc::VMADDR_CID_ANY, port);
    // SAFETY: `address` is a whole sockaddr_vm and its length is given.
    unsafe {
        check(libc::bind(socket.as_raw_fd(), (&raw const address).cast(), LENGTH))?;
        check(libc::listen(socket.as_raw_fd(), 1024))?;
    }
    Ok(Listener(socket))
}

impl Listener {
    /// Waits for the next connection.
    pub(crate) fn accept(&self) -> io::Result<UnixStream> {
        let null = std::ptr::null_mut();
        // SAFETY: the peer's address isn't asked for.
        let socket =
            check(unsafe { libc::accept4(self.0.as_raw_fd(), null, std::ptr::null_mut(), libc::SOCK_CLOEXEC) })?;
        // SAFETY: the kernel just gave us this descriptor and nobody else has it.
        Ok(UnixStream::from(unsafe { OwnedFd::from_raw_fd(socket) }))
    }
}

/// Connects to a port of another context.
pub(crate) fn connect(context: u32, port: u32) -> io::Result<UnixStream> {
    let socket = socket()?;
    let address = address(context, port);
    // SAFETY: `address` is a whole sockaddr_vm and its length is given.
    check(unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), LENGTH) })?;
    Ok(UnixStream::from(socket))
}

const LENGTH: libc::socklen_t = size_of::<libc::sockaddr_vm>() as libc::socklen_t;

fn socket() -> io::Result<OwnedFd> {
    // SAFETY: takes plain numbers.
    let socket = check(unsafe { libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the kernel just gave us this descriptor and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(socket) })
}

fn address(context: u32, port: u32) -> libc::sockaddr_vm {
    // SAFETY: a sockaddr_vm consists of numbers, for which all-zero is a value.
    let mut address: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
    address.svm_family = libc::AF_VSOCK as libc::sa_family_t;
    address.svm_cid = context;
    address.svm_port = port;
    address
}
