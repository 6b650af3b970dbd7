//! How a VM's process tells its parent that it is ready, or why it never will be.
//!
//! One line on a socket that the child inherits; the parent waits for it instead
//! of asking again and again. An empty line: the control socket answers.
//! Otherwise an error in JSON. An end without a line is a crash.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use crate::{ControlError, Inherited};

/// Longest line, in bytes.
const MAX_LINE: u64 = 64 << 10;

/// The child's end.
pub struct Ready(OwnedFd);

impl Ready {
    /// The end that was inherited under that number (`--ready-fd`).
    ///
    /// # Errors
    /// When there is none.
    pub fn inherited(number: u32) -> io::Result<Self> {
        Inherited::take(number).map(Self)
    }

    /// The end for whoever writes the empty line.
    ///
    /// # Errors
    /// When there are too many descriptors.
    pub fn try_clone(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }

    /// The control socket answers. A parent that no longer listens is no reason to stop.
    pub fn ready(self) {
        let _ = File::from(self.0).write_all(b"\n");
    }

    /// There will be no VM.
    pub fn failed(self, error: &ControlError) {
        let mut line = serde_json::to_vec(error).unwrap_or_default();
        line.push(b'\n');
        let _ = File::from(self.0).write_all(&line);
    }
}

/// Waits for the child's word, as long as the socket's time limit allows. `None`: it ended without one.
pub(crate) fn wait(socket: &UnixStream) -> io::Result<Option<Result<(), ControlError>>> {
    let mut line = String::new();
    BufReader::new(socket.take(MAX_LINE)).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        None => Ok(None),
        Some("") => Ok(Some(Ok(()))),
        Some(json) => Ok(Some(Err(serde_json::from_str(json)?))),
    }
}
