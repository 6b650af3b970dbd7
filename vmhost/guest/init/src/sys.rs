//! The system calls that the standard library doesn't offer, each behind a safe function.
//!
//! Only the modules in here contain `unsafe`.

pub(crate) mod block;
pub(crate) mod clock;
pub(crate) mod kernel;
pub(crate) mod netdev;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod vsock;

use std::io;

/// Turns the `-1` of a system call into the error it left.
fn check<T: PartialEq + From<i8>>(result: T) -> io::Result<T> {
    if result == T::from(-1) { Err(io::Error::last_os_error()) } else { Ok(result) }
}
