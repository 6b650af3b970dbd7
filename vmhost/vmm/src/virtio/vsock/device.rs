//! The device: what the transport calls, and who is called for it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use vmm_sys_util::timerfd::TimerFd;

use super::client::{Client, Clients, MAX_CLIENTS, Said};
use super::connection::{Connection, Key, Phase};
use super::credit;
use super::host::HostSocket;
use super::metrics::Counters;
use super::packet::Header;
use super::peer::PeerConnector;
use super::state::VsockState;
use super::table::Table;
use crate::events::{Interest, Poll, Ready};
use crate::state::{self, StateError};
use crate::virtio::{Device, Fault, Io, Kind};

/// Queue of packets to the guest.
pub const RX: usize = 0;
/// Queue of packets from the guest.
pub const TX: usize = 1;
/// Queue of events for the guest.
pub const EVENT: usize = 2;

/// The driver knows stream sockets (`VIRTIO_VSOCK_F_STREAM`).
const FEATURE_STREAM: u64 = 1;

/// `VIRTIO_VSOCK_EVENT_TRANSPORT_RESET`.
const TRANSPORT_RESET: u32 = 0;

const LISTENER: u32 = 0;
const TIMER: u32 = 1;
const WAKE: u32 = 2;
/// Sources from here to below the transport's own are those of sockets.
const FIRST_ID: u32 = 16;
const LAST_ID: u32 = 0x7fff_ffff;

/// How long a client may take to say what it wants, and the guest to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many chains are handled before other devices have their turn.
pub const BATCH: usize = 64;

/// A vsock device.
pub struct VsockDevice {
    pub(super) cid: u32,
    pub(super) peers: PeerConnector,
    pub(super) table: Table,
    /// Resets for packets without a connection, and for connections that were taken out.
    pub(super) replies: VecDeque<Header>,
    /// Connections that have something for the guest, in the order of their turns.
    pub(super) ready: VecDeque<u32>,
    /// The guest's packets wait, as there are too many replies already.
    pub(super) stalled: bool,
    pub(super) counters: Counters,
    pub(super) poll: Option<Poll>,
    clients: Clients,
    listener: UnixListener,
    /// The listener is watched.
    listening: bool,
    wake: EventFd,
    timer: TimerFd,
    armed: bool,
    patience: Duration,
    next_id: u32,
    /// The guest must be told that its connections are void.
    reset_due: bool,
}

impl VsockDevice {
    /// A device of a guest with context id `cid`, whose host clients come to `listener`.
    ///
    /// # Errors
    /// When the host has no descriptors left.
    pub fn new(cid: u32, listener: UnixListener, peers: PeerConnector) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            cid,
            peers,
            table: Table::new(),
            replies: VecDeque::new(),
            ready: VecDeque::new(),
            stalled: false,
            counters: Counters::default(),
            poll: None,
            clients: Clients::new(),
            listener,
            listening: true,
            wake: EventFd::new(EFD_NONBLOCK)?,
            timer: TimerFd::new().map_err(io::Error::from)?,
            armed: false,
            patience: PATIENCE,
            next_id: FIRST_ID,
            reset_due: false,
        })
    }

    /// Waits for silent clients and guests as long as this instead of ten seconds.
    #[cfg(test)]
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The guest's context id from now on: a clone may have another one than its parent.
    ///
    /// The driver reads it again when `on_new_generation` tells it of the reset.
    pub fn set_cid(&mut self, cid: u32) {
        self.cid = cid;
    }

    /// The guest's context id.
    pub fn cid(&self) -> u32 {
        self.cid
    }

    /// Handles the rest of a batch later.
    pub(super) fn call_again(&self) {
        // Only a full counter could make this fail, and then it is readable already.
        let _ = self.wake.write(1);
    }

    /// A number that no socket has, and that none had lately.
    pub(super) fn free_id(&mut self) -> u32 {
        // There are more numbers than sockets, so this ends.
        loop {
            let id = self.next_id;
            self.next_id = if id >= LAST_ID { FIRST_ID } else { id + 1 };
            if !self.table.contains(id) && !self.clients.contains_key(&id) {
                return id;
            }
        }
    }

    /// Both directions: what the guest has sent, and then what it can be sent.
    fn run(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        self.transmit(io)?;
        self.serve(io)?;
        if self.stalled {
            self.transmit(io)?;
        }
        Ok(())
    }

    fn accept(&mut self) -> Result<(), Fault> {
        let Some(poll) = self.poll.clone() else { return Ok(()) };
        while self.clients.len() < MAX_CLIENTS {
            let id = self.free_id();
            let accepted = match self.listener.accept() {
                Ok((stream, _)) => HostSocket::new(stream, &poll, id, Interest::Read),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => Err(error),
            };
            match accepted {
                Ok(host) => drop(self.clients.insert(id, Client::new(host, Instant::now() + self.patience))),
                // Out of descriptors: without a pause the listener would stay ready for ever.
                Err(_) => {
                    self.listen(false)?;
                    break;
                }
            }
        }
        if self.clients.len() >= MAX_CLIENTS {
            self.listen(false)?;
        }
        self.arm()
    }

    fn listen(&mut self, listening: bool) -> Result<(), Fault> {
        if let (Some(poll), true) = (&self.poll, listening != self.listening) {
            let interest = if listening { Interest::Read } else { Interest::None };
            poll.modify(self.listener.as_raw_fd(), LISTENER, interest)
                .map_err(|source| Fault::Host { context: "watching for host clients", source })?;
            self.listening = listening;
        }
        Ok(())
    }

    fn on_client(&mut self, id: u32) -> Result<(), Fault> {
        let said = self.clients.get_mut(&id).map_or(Said::Nothing, Client::read);
        if said == Said::Nothing {
            return Ok(());
        }
        let client = self.clients.remove(&id);
        if let (Said::Port(port), Some(client)) = (said, client) {
            self.request(id, client.host, port);
        }
        self.listen(true)
    }

    /// Asks the guest for a connection in the name of a client.
    fn request(&mut self, id: u32, host: HostSocket, guest_port: u32) {
        if !self.make_room() {
            self.counters.refused += 1;
            return;
        }
        let key = Key { guest_port, host_port: self.table.free_port(guest_port) };
        let window = credit::window(self.table.len());
        self.table.insert(id, Connection::outgoing(key, window, host, Instant::now() + self.patience));
        self.enqueue(id);
        self.settle(id);
    }

    /// Fires while anybody waits who may wait too long, or while the listener rests.
    fn arm(&mut self) -> Result<(), Fault> {
        let waits = !self.listening
            || !self.clients.is_empty()
            || self.table.iter().any(|(_, connection)| matches!(connection.phase, Phase::Requested { .. }));
        let set = match (waits, self.armed) {
            (true, false) => self.timer.reset(self.patience / 4, None),
            (false, true) => self.timer.clear(),
            _ => Ok(()),
        };
        set.map_err(|error| Fault::Host { context: "setting a timer", source: error.into() })?;
        self.armed = waits;
        Ok(())
    }

    fn on_timer(&mut self) -> Result<(), Fault> {
        let now = Instant::now();
        self.clients.retain(|_, client| client.deadline > now);
        let late =
            |connection: &Connection| matches!(connection.phase, Phase::Requested { deadline } if deadline <= now);
        let late: Vec<_> = self.table.iter().filter(|(_, connection)| late(connection)).map(|(id, _)| id).collect();
        for id in late {
            self.reset_connection(id);
        }
        self.listen(true)?;
        // It has fired: whether set again or cleared, it isn't ready any more.
        self.timer.clear().map_err(|error| Fault::Host { context: "clearing a timer", source: error.into() })?;
        self.armed = false;
        self.arm()
    }

    fn close_all(&mut self) {
        self.counters.closed += self.table.clear() as u64;
        self.ready.clear();
        self.replies.clear();
        self.stalled = false;
    }

    fn tell_reset(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        if !self.reset_due {
            return Ok(());
        }
        let Some(chain) = io.pop(EVENT)? else { return Ok(()) };
        let mut writer = chain.writer(io.memory);
        writer.write(&TRANSPORT_RESET.to_le_bytes())?;
        let written = writer.written();
        io.push(EVENT, chain.head(), written)?;
        self.reset_due = false;
        io.notify(EVENT)
    }
}

impl Device for VsockDevice {
    fn kind(&self) -> Kind {
        Kind::Vsock
    }

    fn features(&self) -> u64 {
        FEATURE_STREAM
    }

    fn queue_sizes(&self) -> &[u16] {
        &[256, 256, 256]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let config = u64::from(self.cid).to_le_bytes();
        let rest = usize::try_from(offset).ok().and_then(|offset| config.get(offset..)).unwrap_or_default();
        for (to, from) in data.iter_mut().zip(rest) {
            *to = *from;
        }
    }

    fn attach(&mut self, poll: Poll) -> io::Result<()> {
        poll.add(self.listener.as_raw_fd(), LISTENER, Interest::Read)?;
        poll.add(self.timer.as_raw_fd(), TIMER, Interest::Read)?;
        poll.add(self.wake.as_raw_fd(), WAKE, Interest::Read)?;
        self.poll = Some(poll);
        Ok(())
    }

    fn start(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        self.tell_reset(io)?;
        self.run(io)
    }

    fn on_queue(&mut self, queue: usize, io: &mut Io<'_>) -> Result<(), Fault> {
        match queue {
            RX if !self.stalled => self.serve(io),
            RX => {
                self.serve(io)?;
                self.run(io)
            }
            TX => self.run(io),
            _ => self.tell_reset(io),
        }
    }

    fn on_event(&mut self, source: u32, ready: Ready, io: &mut Io<'_>) -> Result<(), Fault> {
        match source {
            LISTENER => self.accept(),
            TIMER => {
                self.on_timer()?;
                self.serve(io)
            }
            WAKE => {
                // A wake-up that was taken already is no error.
                let _ = self.wake.read();
                self.run(io)
            }
            id => {
                if self.clients.contains_key(&id) {
                    self.on_client(id)?;
                } else {
                    self.on_host(id, ready);
                }
                self.serve(io)
            }
        }
    }

    fn reset(&mut self) {
        self.close_all();
        // The next driver reads its context id anyway.
        self.reset_due = false;
    }

    fn save(&self) -> Vec<u8> {
        let lost_connections = u32::try_from(self.table.len()).unwrap_or(u32::MAX);
        state::encode(&VsockState { cid: self.cid, lost_connections })
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        let VsockState { cid, .. } = state::decode("vsock", state)?;
        if cid < 3 {
            return Err(StateError::Invalid { part: "vsock", reason: format!("context id {cid} is reserved") });
        }
        self.close_all();
        self.cid = cid;
        self.reset_due = true;
        Ok(())
    }

    fn on_new_generation(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        self.close_all();
        self.reset_due = true;
        self.tell_reset(io)
    }

    fn metrics(&self) -> Vec<(&'static str, u64)> {
        self.counters.list(self.table.len())
    }
}
