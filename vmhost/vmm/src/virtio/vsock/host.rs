//! A host socket and what the event loop watches it for.

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;

use crate::events::{Interest, Poll};

/// An open socket; dropping it stops the watch before the close.
pub struct HostSocket {
    stream: UnixStream,
    poll: Poll,
    source: u32,
    /// `None` once it isn't watched at all.
    watched: Option<Interest>,
}

impl HostSocket {
    /// Watches `stream` as `source`. Whether it blocks doesn't matter, as no call of `transfer` does.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn new(stream: UnixStream, poll: &Poll, source: u32, interest: Interest) -> io::Result<Self> {
        poll.add(stream.as_raw_fd(), source, interest)?;
        Ok(Self { stream, poll: poll.clone(), source, watched: Some(interest) })
    }

    /// The socket.
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Changes what it is watched for; after `unwatch` it stays unwatched.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn watch(&mut self, interest: Interest) -> io::Result<()> {
        if self.watched.is_some_and(|watched| watched != interest) {
            self.poll.modify(self.stream.as_raw_fd(), self.source, interest)?;
            self.watched = Some(interest);
        }
        Ok(())
    }

    /// Stops the watch for good: a hang-up is reported for as long as it is watched.
    pub fn unwatch(&mut self) {
        if self.watched.take().is_some() {
            // It was added, and isn't closed.
            let _ = self.poll.remove(self.stream.as_raw_fd());
        }
    }
}

impl Drop for HostSocket {
    fn drop(&mut self) {
        self.unwatch();
    }
}
