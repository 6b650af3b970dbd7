//! How a VM's process tells its parent that it is ready, or why it never will be.
//!
//! One frame on a socket that the child inherits; the parent waits for it
//! instead of asking again and again. An end without a frame is a crash.

use std::io;
use std::os::unix::net::UnixStream;

use serde::{Deserialize, Serialize};

use crate::{ControlError, FrameError, FrameReader, Inherited, Outgoing};

/// What a VM's process tells its parent, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// The control socket listens.
    Ready,
    /// The VM can't be made.
    Failed(ControlError),
}

/// The child's end.
pub struct Ready(UnixStream);

impl Ready {
    /// The end that was inherited under that number (`--ready-fd`).
    ///
    /// # Errors
    /// When there is none.
    pub fn inherited(number: u32) -> io::Result<Self> {
        Inherited::take(number).map(|fd| Self(fd.into()))
    }

    /// Tells the parent. One that no longer listens is no reason to stop.
    pub fn tell(self, readiness: &Readiness) {
        if let Ok(mut frame) = Outgoing::new(readiness, Vec::new()) {
            let _ = frame.send(&self.0);
        }
    }
}

/// Waits for the child's word, as long as the socket's time limit allows. `None`: it ended without one.
pub(crate) fn wait(socket: &UnixStream) -> Result<Option<Readiness>, io::Error> {
    let invalid = |error: FrameError| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut reader = FrameReader::default();
    loop {
        if let Some(readiness) = reader.next_frame().map_err(invalid)? {
            return Ok(Some(readiness));
        }
        if !reader.fill(socket)? {
            return Ok(None);
        }
    }
}
