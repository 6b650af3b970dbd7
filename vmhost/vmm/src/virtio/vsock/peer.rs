//! Where a guest's connection to a host port leads.

use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::transfer;

/// Connects to `{prefix}_{port}`.
///
/// The prefix is looked up at each connection, as a relative path from the
/// process's current directory: it must be one that is still there once the
/// process has shut itself in. A guest chooses nothing of it but the number.
#[derive(Debug, Clone)]
pub struct PeerConnector {
    prefix: OsString,
}

impl PeerConnector {
    /// Peers listen at this path, followed by `_` and the port in decimal.
    pub fn new(prefix: impl Into<PathBuf>) -> Self {
        Self { prefix: prefix.into().into_os_string() }
    }

    /// A connection that doesn't block.
    ///
    /// # Errors
    /// When nobody listens there, or more wait than the listener lets wait (`WouldBlock`).
    pub fn connect(&self, port: u32) -> io::Result<UnixStream> {
        let mut path = self.prefix.clone();
        path.push(format!("_{port}"));
        transfer::connect(&path)
    }
}
