//! Frames on a stream socket: a length, then JSON, and descriptors beside them.
//!
//! In:  bytes of a peer that may be hostile, slow, or gone.
//! Out: whole frames, each with its own descriptors.
//!
//! The length is a little-endian `u32`. Descriptors are attached to a frame's
//! first byte, so they are here before its last. What one peer can make us keep
//! is bounded: one frame and one frame's worth of descriptors.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest frame in bytes, without its length: no peer makes the other hold more.
pub const MAX_FRAME: usize = 1 << 20;
/// Most descriptors beside one frame; the kernel's own limit is 253.
pub const MAX_DESCRIPTORS: usize = 128;

const HEADER: usize = 4;
const READ: usize = 64 << 10;

/// What came isn't the protocol.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A length beyond the limit.
    #[error("a frame of {0} bytes is longer than {MAX_FRAME}")]
    TooLong(usize),
    /// Not JSON, or not of the expected shape.
    #[error("a frame can't be read: {0}")]
    Json(#[from] serde_json::Error),
    /// More descriptors than anyone may keep.
    #[error("more than {MAX_DESCRIPTORS} descriptors came at once")]
    TooManyDescriptors,
    /// A frame speaks of more descriptors than came.
    #[error("a frame speaks of {expected} descriptors, {found} came with it")]
    Descriptors {
        /// What it says.
        expected: usize,
        /// What is there.
        found: usize,
    },
}

/// Puts frames together from what arrives.
#[derive(Default)]
pub struct FrameReader {
    bytes: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl FrameReader {
    /// Receives once. `false`: the peer is gone.
    ///
    /// # Errors
    /// Those of the socket, `WouldBlock` among them; `InvalidData` for too many descriptors.
    pub fn fill(&mut self, socket: &UnixStream) -> io::Result<bool> {
        let start = self.bytes.len();
        self.bytes.resize(start + READ, 0);
        let result = self.receive(socket, start);
        self.bytes.truncate(start + *result.as_ref().unwrap_or(&0));
        Ok(result? > 0)
    }

    fn receive(&mut self, socket: &UnixStream, start: usize) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut room = [IoSliceMut::new(self.bytes.get_mut(start..).unwrap_or_default())];
        let message = recvmsg(socket, &mut room, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                self.descriptors.extend(received);
            }
        }
        if message.flags.contains(ReturnFlags::CTRUNC) || self.descriptors.len() > MAX_DESCRIPTORS {
            return Err(io::Error::new(io::ErrorKind::InvalidData, FrameError::TooManyDescriptors));
        }
        Ok(message.bytes)
    }

    /// The next frame, if all of it is here.
    ///
    /// # Errors
    /// When it is no such frame; the connection is of no use then.
    pub fn next_frame<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some(header) = self.bytes.first_chunk::<HEADER>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*header)).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err(FrameError::TooLong(length));
        }
        let Some(json) = self.bytes.get(HEADER..HEADER + length) else { return Ok(None) };
        let frame = serde_json::from_slice(json)?;
        self.bytes.drain(..HEADER + length);
        if self.bytes.is_empty() {
            // Idle connections shall not keep the room of their largest frame.
            self.bytes = Vec::new();
        }
        Ok(Some(frame))
    }

    /// The descriptors of the frame that came last. To be called for each frame, before the next.
    ///
    /// # Errors
    /// When there are fewer, or surely more.
    pub fn take_descriptors(&mut self, count: u32) -> Result<Vec<OwnedFd>, FrameError> {
        let (count, found) = (usize::try_from(count).unwrap_or(usize::MAX), self.descriptors.len());
        // Without a byte of a next frame, there is nobody that the rest could belong to.
        if count > found || (count < found && self.bytes.is_empty()) {
            return Err(FrameError::Descriptors { expected: count, found });
        }
        Ok(self.descriptors.drain(..count).collect())
    }

    /// Whether the peer's last words were cut off.
    pub fn is_amid_a_frame(&self) -> bool {
        !self.bytes.is_empty()
    }
}

/// A frame on its way out.
pub struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    descriptors: Vec<OwnedFd>,
}

/// How far a frame got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// All of it.
    All,
    /// The socket is full; go on when it isn't.
    Part,
}

impl Outgoing {
    /// The frame of `value`; its descriptors are kept until it is sent.
    ///
    /// # Errors
    /// When it is too long or has too many descriptors.
    pub fn new<T: Serialize>(value: &T, descriptors: Vec<OwnedFd>) -> Result<Self, FrameError> {
        let mut bytes = vec![0; HEADER];
        serde_json::to_writer(&mut bytes, value)?;
        let length = bytes.len() - HEADER;
        if length > MAX_FRAME {
            return Err(FrameError::TooLong(length));
        }
        if descriptors.len() > MAX_DESCRIPTORS {
            return Err(FrameError::TooManyDescriptors);
        }
        let header = u32::try_from(length).map_err(|_| FrameError::TooLong(length))?.to_le_bytes();
        for (byte, value) in bytes.iter_mut().zip(header) {
            *byte = value;
        }
        Ok(Self { bytes, sent: 0, descriptors })
    }

    /// How many bytes are left to send.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Sends as much as the socket takes: all of it if it is a blocking one.
    ///
    /// # Errors
    /// Those of the socket, but for a full one.
    pub fn send(&mut self, socket: &UnixStream) -> io::Result<Sent> {
        while self.left() > 0 {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            let borrowed: Vec<_> = self.descriptors.iter().map(AsFd::as_fd).collect();
            if !borrowed.is_empty() {
                let fits = control.push(SendAncillaryMessage::ScmRights(&borrowed));
                debug_assert!(fits, "there is room for MAX_DESCRIPTORS");
            }
            let rest = self.bytes.get(self.sent..).unwrap_or_default();
            match sendmsg(socket, &[IoSlice::new(rest)], &mut control, SendFlags::NOSIGNAL) {
                Ok(count) => self.sent += count,
                Err(rustix::io::Errno::AGAIN) => return Ok(Sent::Part),
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            // They went with the first byte.
            self.descriptors.clear();
        }
        Ok(Sent::All)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<serde_json::Value>, FrameError> {
        let (mut near, far) = UnixStream::pair().expect("a pair");
        near.write_all(bytes).expect("room");
        let mut reader = FrameReader::default();
        reader.fill(&far).expect("bytes");
        reader.next_frame()
    }

    fn check(bytes: &[u8], expected: &str) {
        let found = match read(bytes) {
            Ok(Some(value)) => value.to_string(),
            Ok(None) => "incomplete".into(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{bytes:?}");
    }

    #[test]
    fn frames_are_whole_or_refused() {
        check(b"\x02\0\0\0{}", "{}");
        check(b"\x02\0\0\0{}\x09\0", "{}");
        check(b"\x03\0\0\0{}", "incomplete");
        check(b"\x03\0", "incomplete");
        check(b"\xff\xff\xff\xff", "a frame of 4294967295 bytes is longer than 1048576");
        check(b"\x01\0\x10\0", "a frame of 1048577 bytes is longer than 1048576");
        check(b"\0\0\0\0", "a frame can't be read: EOF while parsing a value at line 1 column 0");
        check(b"\x02\0\0\0{x", "a frame can't be read: key must be a string at line 1 column 2");
    }

    #[test]
    fn descriptors_arrive_with_their_own_frame() {
        let (near, far) = UnixStream::pair().expect("a pair");
        let (mut first, first_far) = UnixStream::pair().expect("a pair");
        let (mut second, second_far) = UnixStream::pair().expect("a pair");
        for (value, fd) in [(1, Some(first_far)), (2, None), (3, Some(second_far))] {
            let descriptors = fd.into_iter().map(OwnedFd::from).collect();
            let mut frame = Outgoing::new(&value, descriptors).expect("small");
            assert_eq!(frame.send(&near).expect("room"), Sent::All);
        }
        first.write_all(b"A").expect("room");
        second.write_all(b"B").expect("room");
        let mut reader = FrameReader::default();
        let mut found = Vec::new();
        while found.len() < 3 {
            let Some(value) = reader.next_frame::<u32>().expect("a frame") else {
                assert!(reader.fill(&far).expect("bytes"));
                continue;
            };
            found.push(value);
            for fd in reader.take_descriptors(u32::from(value != 2)).expect("it came") {
                let mut byte = [0];
                UnixStream::from(fd).read_exact(&mut byte).expect("a byte");
                assert_eq!(byte, if value == 1 { *b"A" } else { *b"B" });
            }
        }
        assert_eq!(found, [1, 2, 3]);
        assert_eq!(
            reader.take_descriptors(1).expect_err("none is left").to_string(),
            "a frame speaks of 1 descriptors, 0 came with it"
        );
    }
}
