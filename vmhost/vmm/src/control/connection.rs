//! One client: what it has sent so far, and what it has yet to take.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use vmm_control::{
    Code, ControlError, FrameReader, FromVm, Hello, Outcome, Outgoing, Request, RequestFrame, Sent, VERSION, Welcome,
};

use crate::events::{Interest, Poll};

/// Most requests of one client without an answer; it isn't read from while there are so many.
const MAX_PENDING: usize = 32;
/// A client with so many bytes to take isn't read from.
const MANY_BYTES: usize = 256 << 10;
/// A client with so many bytes to take isn't worth them.
const MAX_BYTES: usize = 4 << 20;

/// A frame that a client has sent.
pub enum Incoming {
    /// It has said hello and was welcomed.
    Greeted,
    /// It asks for something.
    Request {
        /// Its number for it.
        id: u64,
        /// What it asks, if that can be understood.
        request: Result<Request, ControlError>,
        /// What came with it.
        descriptors: Vec<OwnedFd>,
    },
}

/// One client.
pub struct Connection {
    stream: UnixStream,
    reader: FrameReader,
    out: VecDeque<Outgoing>,
    interest: Interest,
    broken: bool,
    /// It has said hello.
    pub greeted: bool,
    /// It wants events.
    pub subscribed: bool,
    /// How many requests have no answer yet.
    pub pending: usize,
}

impl Connection {
    /// A client that is watched for reading.
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            reader: FrameReader::default(),
            out: VecDeque::new(),
            interest: Interest::Read,
            broken: false,
            greeted: false,
            subscribed: false,
            pending: 0,
        }
    }

    /// Says why a client is not let in; it need not hear it.
    pub fn refuse(stream: &UnixStream, error: ControlError) {
        if let Ok(mut frame) = Outgoing::new(&FromVm::Refused(error), Vec::new()) {
            let _ = frame.send(stream);
        }
    }

    /// Receives once. `false`: it is gone or out of bounds.
    pub fn receive(&mut self) -> bool {
        match self.reader.fill(&self.stream) {
            Ok(alive) => alive,
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
    }

    /// Whether it may ask for more.
    pub fn may_ask(&self) -> bool {
        self.pending < MAX_PENDING && self.bytes() < MANY_BYTES
    }

    /// The next frame, if all of it is here.
    pub fn next(&mut self) -> Result<Option<Incoming>, ControlError> {
        let bad = |error: vmm_control::FrameError| ControlError::new(Code::BadRequest, error.to_string());
        if !self.greeted {
            let Some(hello) = self.reader.next_frame::<Hello>().map_err(bad)? else { return Ok(None) };
            self.reader.take_descriptors(0).map_err(bad)?;
            hello.check()?;
            self.greeted = true;
            let program = concat!("vmm ", env!("CARGO_PKG_VERSION")).to_owned();
            self.queue(&FromVm::Welcome(Welcome { version: VERSION, program }), Vec::new());
            return Ok(Some(Incoming::Greeted));
        }
        // In two steps, so that a request of an unknown kind still has a number to answer to.
        let Some(frame) = self.reader.next_frame::<RequestFrame<serde_json::Value>>().map_err(bad)? else {
            return Ok(None);
        };
        let descriptors = self.reader.take_descriptors(frame.descriptors).map_err(bad)?;
        let request = serde_json::from_value(frame.request)
            .map_err(|error| ControlError::new(Code::BadRequest, format!("the request can't be read: {error}")));
        Ok(Some(Incoming::Request { id: frame.id, request, descriptors }))
    }

    /// Puts a reply in the queue; one that is too long becomes an error.
    pub fn reply(&mut self, id: u64, outcome: Outcome, descriptors: Vec<OwnedFd>) {
        let count = u32::try_from(descriptors.len()).unwrap_or(u32::MAX);
        match Outgoing::new(&FromVm::Reply { id, descriptors: count, outcome }, descriptors) {
            Ok(frame) => self.out.push_back(frame),
            Err(error) => {
                let error = ControlError::new(Code::Internal, format!("the answer can't be sent: {error}"));
                self.queue(&FromVm::Reply { id, descriptors: 0, outcome: Outcome::Failed(error) }, Vec::new());
            }
        }
    }

    /// Puts a frame in the queue.
    pub fn queue(&mut self, frame: &FromVm, descriptors: Vec<OwnedFd>) {
        match Outgoing::new(frame, descriptors) {
            Ok(frame) => self.out.push_back(frame),
            // It would miss something without knowing.
            Err(_) => self.broken = true,
        }
        self.broken |= self.bytes() > MAX_BYTES;
    }

    /// Sends as much as the socket takes. `false`: it is gone or out of bounds.
    pub fn flush(&mut self) -> bool {
        while let Some(frame) = self.out.front_mut() {
            match frame.send(&self.stream) {
                Ok(Sent::All) => drop(self.out.pop_front()),
                Ok(Sent::Part) => break,
                Err(_) => return false,
            }
        }
        !self.broken
    }

    /// Watches for what comes next.
    ///
    /// # Errors
    /// Those of the event loop.
    pub fn watch(&mut self, poll: &Poll, source: u32) -> io::Result<()> {
        let interest = match (self.may_ask(), !self.out.is_empty()) {
            (true, true) => Interest::Both,
            (true, false) => Interest::Read,
            (false, true) => Interest::Write,
            (false, false) => Interest::None,
        };
        if interest != self.interest {
            poll.modify(self.stream.as_raw_fd(), source, interest)?;
            self.interest = interest;
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.out.iter().map(Outgoing::left).sum()
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}
