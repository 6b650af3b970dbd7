//! Who carries the frames, seen from queues: a tap device or a stream.
//!
//! A link never waits. What it can't take now it refuses, and the frame stays
//! in the guest's queue; a link that has ended ends for good.

use std::io;
use std::os::fd::{AsRawFd as _, RawFd};

use super::super::chain::Slice;
use super::passt::Passt;
use super::tap::Tap;
use super::{ETHERNET, HEADER};

/// What became of a frame to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is the host's now.
    Done,
    /// There is no room; ask again when the descriptor is writable.
    Full,
    /// The host refuses this frame, but may take others.
    Refused,
    /// The link has ended.
    Ended,
}

/// What there is to receive.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// The next frame; it comes again until `consume`.
    Frame {
        /// What goes before it, all but the number of buffers.
        header: [u8; HEADER],
        /// From its destination address on.
        frame: &'a [u8],
    },
    /// Nothing now; ask again when the descriptor is readable.
    Nothing,
    /// The link has ended.
    Ended,
}

/// A link.
pub enum Link {
    /// A tap device.
    Tap(Tap),
    /// A stream to passt.
    Passt(Box<Passt>),
}

impl Link {
    /// The descriptor to watch.
    pub fn fd(&self) -> RawFd {
        match self {
            Self::Tap(tap) => tap.file().as_raw_fd(),
            Self::Passt(passt) => passt.stream().as_raw_fd(),
        }
    }

    /// Sends a frame whose first part was looked at, and is therefore not in the guest's memory.
    pub fn send(&mut self, head: &[u8; HEADER + ETHERNET], rest: &[Slice<'_>]) -> Sent {
        match self {
            Self::Tap(tap) => tap.send(head, rest),
            Self::Passt(passt) => passt.send(&head[HEADER..], rest),
        }
    }

    /// Sends what is left of the frame before; only then there is room for another.
    pub fn flush(&mut self) -> Sent {
        match self {
            Self::Tap(_) => Sent::Done,
            Self::Passt(passt) => passt.flush(),
        }
    }

    /// The next frame, in the host's memory.
    pub fn incoming(&mut self) -> Incoming<'_> {
        match self {
            Self::Tap(tap) => tap.incoming(),
            Self::Passt(passt) => passt.incoming(),
        }
    }

    /// Forgets the frame that `incoming` has given.
    pub fn consume(&mut self) {
        match self {
            Self::Tap(tap) => tap.consume(),
            Self::Passt(passt) => passt.consume(),
        }
    }
}

/// Whether an error means "later".
pub fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
