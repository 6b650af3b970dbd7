//! One connection: what has happened, and what the guest must still be told.
//!
//! In:  headers of the guest, news of the host's socket.
//! Out: what to do next, as values. Nothing here reads or writes a socket.

use std::collections::VecDeque;
use std::time::Instant;

use super::credit::Credit;
use super::host::HostSocket;
use super::packet::{HOST_CID, Header, Op, SHUTDOWN_BOTH, SHUTDOWN_RECEIVE, SHUTDOWN_SEND, STREAM};
use crate::events::Interest;

/// The most chains that one turn of a connection fills: about a packet of 64 KiB in buffers of a page.
pub const MAX_BURST: usize = 32;

/// What names a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// Port on the guest's side.
    pub guest_port: u32,
    /// Port on the host's side.
    pub host_port: u32,
}

/// How far it has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A host client waits until the guest accepts.
    Requested {
        /// It waits no longer than this.
        deadline: Instant,
    },
    /// Both sides may send.
    Open,
    /// The guest has closed properly and forgotten it; the host still reads what is left.
    Draining,
    /// The host has closed, the guest was told or will be, and has the last word.
    Ending,
}

/// What a packet asks of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// See what its news means for the host's socket.
    Done,
    /// The guest has accepted: tell the client.
    Accepted,
    /// Pass the payload on.
    Deliver,
    /// Answer as if there were no connection: for the guest there is none any more.
    Stray,
    /// Both sides know that it is over.
    Forget,
    /// The guest must be told that it is over.
    Reset,
    /// The same, because the guest broke the protocol.
    Violation,
}

/// Control packets that the guest must still get, each at most once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owed {
    /// `REQUEST`.
    pub request: bool,
    /// `RESPONSE`.
    pub response: bool,
    /// `CREDIT_UPDATE`.
    pub update: bool,
    /// `CREDIT_REQUEST`.
    pub credit: bool,
    /// `SHUTDOWN`.
    pub shutdown: bool,
}

/// One connection.
pub struct Connection {
    /// Its name.
    pub key: Key,
    /// How far it has got.
    pub phase: Phase,
    /// Who may send how much.
    pub credit: Credit,
    /// What the host's socket hasn't taken yet: at most the credit's window.
    pub backlog: VecDeque<u8>,
    /// The host's side; none once it is closed.
    pub host: Option<HostSocket>,
    /// What the guest must be told.
    pub owed: Owed,
    /// The host's socket may have bytes, or its end, to read.
    pub readable: bool,
    /// The host's socket has given its last byte.
    pub finished: bool,
    /// The host's socket has hung up: it takes no byte any more.
    pub hung_up: bool,
    /// Bytes of the guest were lost, as the host's socket took no more.
    pub lost: bool,
    /// It is in the list of those who want to send to the guest.
    pub queued: bool,
    /// How many chains the next turn tries to fill.
    pub burst: usize,
    /// What the guest has shut (`SHUTDOWN_*`).
    guest_shut: u32,
    /// What the guest was or will be told that the host has shut.
    host_shut: u32,
    /// The guest was asked for credit, and hasn't given any since.
    starved: bool,
}

impl Connection {
    fn new(key: Key, phase: Phase, window: u32, host: HostSocket, owed: Owed) -> Self {
        Self {
            key,
            phase,
            credit: Credit::new(window),
            backlog: VecDeque::new(),
            host: Some(host),
            owed,
            readable: false,
            finished: false,
            hung_up: false,
            lost: false,
            queued: false,
            burst: 1,
            guest_shut: 0,
            host_shut: 0,
            starved: false,
        }
    }

    /// A host client wants to reach the guest.
    pub fn outgoing(key: Key, window: u32, host: HostSocket, deadline: Instant) -> Self {
        Self::new(key, Phase::Requested { deadline }, window, host, Owed { request: true, ..Owed::default() })
    }

    /// The guest has asked by `request`, and the host has accepted.
    pub fn incoming(key: Key, window: u32, host: HostSocket, request: &Header) -> Self {
        let mut new = Self::new(key, Phase::Open, window, host, Owed { response: true, ..Owed::default() });
        new.credit.update(request.buf_alloc, request.fwd_cnt);
        new
    }

    /// Takes note of a packet. Payload is counted as received, if it is to be delivered.
    pub fn on_packet(&mut self, header: &Header) -> Step {
        if self.phase == Phase::Draining {
            return Step::Stray;
        }
        if self.owed.request {
            // An answer to what wasn't asked yet.
            return Step::Violation;
        }
        self.credit.update(header.buf_alloc, header.fwd_cnt);
        self.starved &= self.credit.sendable() == 0;
        match header.op() {
            Some(Op::Response) => match self.phase {
                Phase::Requested { .. } => {
                    self.phase = Phase::Open;
                    Step::Accepted
                }
                _ => Step::Violation,
            },
            Some(Op::Data) => self.on_data(header.len),
            Some(Op::Shutdown) => self.on_shutdown(header.flags),
            Some(Op::Reset) if self.phase == Phase::Open && self.guest_closed() && !self.backlog.is_empty() => {
                self.phase = Phase::Draining;
                self.owed = Owed::default();
                Step::Done
            }
            Some(Op::Reset) => Step::Forget,
            Some(Op::CreditUpdate) => Step::Done,
            Some(Op::CreditRequest) => {
                self.owed.update = true;
                Step::Done
            }
            Some(Op::Request) | None => Step::Violation,
        }
    }

    fn on_data(&mut self, length: u32) -> Step {
        match self.phase {
            // Sent before the guest could know.
            Phase::Ending => Step::Reset,
            Phase::Open if self.guest_shut & SHUTDOWN_SEND == 0 && self.credit.receive(length) => Step::Deliver,
            _ => Step::Violation,
        }
    }

    fn on_shutdown(&mut self, flags: u32) -> Step {
        // What was shut stays shut, whatever later packets say (5.10.6.5).
        self.guest_shut |= flags & SHUTDOWN_BOTH;
        match self.phase {
            Phase::Open => Step::Done,
            Phase::Ending if self.guest_closed() => Step::Reset,
            Phase::Ending => Step::Done,
            _ => Step::Violation,
        }
    }

    /// Whether the guest neither sends nor receives any more.
    pub fn guest_closed(&self) -> bool {
        self.guest_shut == SHUTDOWN_BOTH
    }

    /// Whether the guest has sent its last byte.
    pub fn guest_finished(&self) -> bool {
        self.guest_shut & SHUTDOWN_SEND != 0
    }

    /// Whether the guest refuses to receive more.
    pub fn guest_refuses(&self) -> bool {
        self.guest_shut & SHUTDOWN_RECEIVE != 0
    }

    /// The host has given its last byte.
    pub fn host_finished(&mut self) {
        self.finished = true;
        self.readable = false;
        self.tell(SHUTDOWN_SEND);
    }

    /// The host takes no more bytes: those that wait are lost.
    pub fn host_refuses(&mut self) {
        let waiting = std::mem::take(&mut self.backlog).len();
        self.lost = true;
        self.forwarded(waiting);
        self.tell(SHUTDOWN_RECEIVE);
    }

    /// The host has closed: all that is left is to tell the guest.
    pub fn end(&mut self) {
        self.host = None;
        self.phase = Phase::Ending;
        self.readable = false;
        self.tell(SHUTDOWN_BOTH);
    }

    /// The host has hung up, which is told once: no byte goes there, but some may still come from there.
    pub fn hang_up(&mut self) {
        self.hung_up = true;
        self.readable = !self.finished;
        if let Some(host) = &mut self.host {
            host.unwatch();
        }
    }

    fn tell(&mut self, flags: u32) {
        self.owed.shutdown |= self.host_shut & flags != flags;
        self.host_shut |= flags;
    }

    /// Whether it is over on the host's side: nothing will be read from the socket nor written to it.
    pub fn host_is_done(&self) -> bool {
        let read = self.finished || self.guest_refuses();
        let written = self.hung_up || self.lost || self.guest_finished();
        read && written && self.backlog.is_empty()
    }

    /// Notes that the host has taken `count` bytes of the guest's.
    pub fn forwarded(&mut self, count: usize) {
        let count = u32::try_from(count).expect("no more than the window");
        self.owed.update |= self.credit.forward(count);
    }

    /// How many bytes of the host the guest may get now.
    pub fn sendable(&self) -> usize {
        let may = self.phase == Phase::Open && self.readable && !self.finished && !self.guest_refuses();
        if may { self.credit.sendable() as usize } else { 0 }
    }

    /// Whether the guest must be told something.
    fn has_control(&self) -> bool {
        self.owed != Owed::default()
    }

    /// Whether a control packet is due. An update of credit isn't, if data goes out, whose header has it.
    pub fn control_comes_first(&self) -> bool {
        let update_only = Owed { update: false, ..self.owed } == Owed::default();
        self.has_control() && !(update_only && self.sendable() > 0)
    }

    /// Whether there is anything for the guest.
    pub fn wants_turn(&self) -> bool {
        self.has_control() || self.sendable() > 0
    }

    /// If the host has bytes but the guest has no credit, asks for some, once; yes if it just did.
    pub fn starve(&mut self) -> bool {
        let waits = self.phase == Phase::Open && self.readable && !self.finished && !self.guest_refuses();
        if !waits || self.starved || self.credit.sendable() > 0 {
            return false;
        }
        self.starved = true;
        self.owed.credit = true;
        true
    }

    /// What to watch the host's socket for.
    pub fn interest(&self) -> Interest {
        // What is known to be readable needn't be told again.
        let read = self.phase == Phase::Open && !self.readable && !self.finished && !self.guest_refuses();
        match (read, !self.backlog.is_empty()) {
            (false, false) => Interest::None,
            (true, false) => Interest::Read,
            (false, true) => Interest::Write,
            (true, true) => Interest::Both,
        }
    }

    /// The next control packet; asking for it is sending it.
    pub fn control(&mut self) -> Option<(Op, u32)> {
        let owed = &mut self.owed;
        for (due, op) in [
            (&mut owed.request, Op::Request),
            (&mut owed.response, Op::Response),
            (&mut owed.update, Op::CreditUpdate),
            (&mut owed.credit, Op::CreditRequest),
            (&mut owed.shutdown, Op::Shutdown),
        ] {
            if std::mem::take(due) {
                return Some((op, if op == Op::Shutdown { self.host_shut } else { 0 }));
            }
        }
        None
    }

    /// A header for the guest, which also tells it of its credit.
    pub fn header(&mut self, cid: u64, op: Op, flags: u32, len: u32) -> Header {
        let (buf_alloc, fwd_cnt) = self.credit.announce();
        self.owed.update = false;
        Header {
            src_cid: HOST_CID,
            dst_cid: cid,
            src_port: self.key.host_port,
            dst_port: self.key.guest_port,
            len,
            kind: STREAM,
            op: op as u16,
            flags,
            buf_alloc,
            fwd_cnt,
        }
    }
}
