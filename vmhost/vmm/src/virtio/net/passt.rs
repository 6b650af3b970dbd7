//! A stream socket of passt: user-mode networking without root.
//!
//! Each frame has its length before it, in 32 bits, the highest byte first.
//! Frames have no virtio header, so nothing can be left to the other side.
//!
//! Bytes come and go as the socket pleases: what was received stays here until
//! a whole frame is there, and the tail of a frame that was sent in part stays
//! here until there is room, as the stream would be out of step without it.

use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;

use super::super::chain::Slice;
use super::link::{Incoming, Sent, is_later};
use super::{HEADER, MAX_FRAME, system};

const PREFIX: usize = 4;
/// The longest frame, with its length.
const WHOLE: usize = PREFIX + MAX_FRAME;
/// Room for many frames of usual size in one read; twice the longest, so that little is moved about.
const ROOM: usize = 2 * WHOLE;

/// A connection to passt.
pub struct Passt {
    stream: UnixStream,
    received: Box<[u8]>,
    /// What lies between is received and not yet consumed.
    start: usize,
    end: usize,
    /// The tail of a frame that was sent in part.
    unsent: Vec<u8>,
}

impl Passt {
    /// A connected socket.
    ///
    /// # Errors
    /// When it can't be made non-blocking.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        // Not by the library's ioctl, which a confined process may not make.
        system::set_nonblocking(stream.as_raw_fd())?;
        Ok(Self { stream, received: vec![0; ROOM].into(), start: 0, end: 0, unsent: Vec::new() })
    }

    /// The socket.
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Sends start and rest of a frame.
    pub fn send(&mut self, head: &[u8], rest: &[Slice<'_>]) -> Sent {
        match self.flush() {
            Sent::Done => {}
            other => return other,
        }
        let length = head.len() + rest.iter().map(Slice::len).sum::<usize>();
        let Ok(prefix) = u32::try_from(length) else { return Sent::Refused };
        let start = [&prefix.to_be_bytes(), head].concat();
        match system::send(&self.stream, &start, rest) {
            Ok(count) => {
                self.keep_tail(&start, rest, count);
                Sent::Done
            }
            Err(error) if is_later(&error) => Sent::Full,
            Err(_) => Sent::Ended,
        }
    }

    /// Sends what is left of the frame before.
    pub fn flush(&mut self) -> Sent {
        while !self.unsent.is_empty() {
            match system::send(&self.stream, &self.unsent, &[]) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if is_later(&error) => return Sent::Full,
                Err(_) => return Sent::Ended,
            }
        }
        Sent::Done
    }

    /// Copies what lies beyond the first `sent` bytes: the guest gets its buffers back.
    fn keep_tail(&mut self, start: &[u8], rest: &[Slice<'_>], mut sent: usize) {
        let skipped = sent.min(start.len());
        self.unsent.extend_from_slice(&start[skipped..]);
        sent -= skipped;
        for slice in rest {
            let skipped = sent.min(slice.len());
            sent -= skipped;
            if let Ok(tail) = slice.offset(skipped) {
                let at = self.unsent.len();
                self.unsent.resize(at + tail.len(), 0);
                tail.copy_to(&mut self.unsent[at..]);
            }
        }
    }

    /// The next whole frame.
    pub fn incoming(&mut self) -> Incoming<'_> {
        loop {
            match self.frame_length() {
                // No frame is that long: the peer is out of step, and nothing after this can be believed.
                Some(length) if length > MAX_FRAME => return Incoming::Ended,
                Some(length) if self.end - self.start >= PREFIX + length => {
                    let start = self.start + PREFIX;
                    return Incoming::Frame { header: [0; HEADER], frame: &self.received[start..start + length] };
                }
                _ => {}
            }
            match self.fill() {
                Ok(0) => return Incoming::Ended,
                Ok(_) => {}
                Err(error) if is_later(&error) => return Incoming::Nothing,
                Err(_) => return Incoming::Ended,
            }
        }
    }

    /// Forgets the frame that `incoming` has given.
    pub fn consume(&mut self) {
        if let Some(length) = self.frame_length() {
            self.start = (self.start + PREFIX + length).min(self.end);
        }
    }

    fn frame_length(&self) -> Option<usize> {
        let (prefix, _) = self.received[self.start..self.end].split_first_chunk()?;
        // Kept as it is if it doesn't fit: still far too long.
        Some(usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX))
    }

    fn fill(&mut self) -> io::Result<usize> {
        // Only a frame that might not fit at the end is moved; the start has room for any.
        if self.start == self.end || self.received.len() - self.start < WHOLE {
            self.received.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let count = self.stream.read(&mut self.received[self.end..])?;
        self.end += count;
        Ok(count)
    }
}
