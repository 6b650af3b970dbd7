//! Who is told when a descriptor is ready.
//!
//! One epoll instance carries every descriptor of a VM. Its 64-bit token says
//! whose it is: the upper half names the device (or the machine), the lower
//! half one of the device's own sources. Registering is safe from any thread.

use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

/// What a device waits for on one of its descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Nothing but errors and hang-up: kept registered while paused.
    None,
    /// Bytes (or an event count) to read.
    Read,
    /// Room to write.
    Write,
    /// Either.
    Both,
}

impl Interest {
    fn set(self) -> EventSet {
        match self {
            Self::None => EventSet::empty(),
            Self::Read => EventSet::IN,
            Self::Write => EventSet::OUT,
            Self::Both => EventSet::IN | EventSet::OUT,
        }
    }
}

/// What a descriptor is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Reading won't block.
    pub readable: bool,
    /// Writing won't block.
    pub writable: bool,
    /// The other side is gone, or the descriptor is broken.
    pub hangup: bool,
}

impl From<EventSet> for Ready {
    fn from(set: EventSet) -> Self {
        Self {
            readable: set.contains(EventSet::IN),
            writable: set.contains(EventSet::OUT),
            hangup: set.intersects(EventSet::HANG_UP | EventSet::ERROR),
        }
    }
}

/// One owner's handle on the event loop.
#[derive(Clone)]
pub struct Poll {
    epoll: Arc<Epoll>,
    owner: u32,
}

impl Poll {
    /// The handle of `owner`, whose number comes back in the upper half of each token.
    pub fn new(epoll: Arc<Epoll>, owner: u32) -> Self {
        Self { epoll, owner }
    }

    /// Starts to watch `fd`, level-triggered; readiness arrives as `source`.
    ///
    /// An event may still arrive after `remove`, if it was taken from the kernel
    /// before: owners of short-lived sources don't use a number twice in a row.
    ///
    /// # Errors
    /// Those of `epoll_ctl`.
    pub fn add(&self, fd: RawFd, source: u32, interest: Interest) -> io::Result<()> {
        self.control(ControlOperation::Add, fd, source, interest)
    }

    /// Changes what `fd` is watched for.
    ///
    /// # Errors
    /// Those of `epoll_ctl`.
    pub fn modify(&self, fd: RawFd, source: u32, interest: Interest) -> io::Result<()> {
        self.control(ControlOperation::Modify, fd, source, interest)
    }

    /// Stops watching `fd`. Must come before its close: another process may hold a copy.
    ///
    /// # Errors
    /// Those of `epoll_ctl`.
    pub fn remove(&self, fd: RawFd) -> io::Result<()> {
        self.epoll.ctl(ControlOperation::Delete, fd, EpollEvent::default())
    }

    fn control(&self, operation: ControlOperation, fd: RawFd, source: u32, interest: Interest) -> io::Result<()> {
        self.epoll.ctl(operation, fd, EpollEvent::new(interest.set(), token(self.owner, source)))
    }
}

/// The token of a source.
pub fn token(owner: u32, source: u32) -> u64 {
    u64::from(owner) << 32 | u64::from(source)
}

/// The owner and the source in a token.
pub fn of_token(token: u64) -> (u32, u32) {
    #[allow(clippy::cast_possible_truncation, reason = "both halves are 32 bits")]
    ((token >> 32) as u32, token as u32)
}

/// The event loop's own side: waits for all that was registered.
pub struct Events {
    epoll: Arc<Epoll>,
    buffer: Vec<EpollEvent>,
}

/// How many events are taken at once; more wait for the next turn, as registration is level-triggered.
const BATCH: usize = 64;

impl Events {
    /// An empty loop.
    ///
    /// # Errors
    /// When the host has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: Arc::new(Epoll::new()?), buffer: vec![EpollEvent::default(); BATCH] })
    }

    /// The handle of `owner`.
    pub fn poll(&self, owner: u32) -> Poll {
        Poll::new(Arc::clone(&self.epoll), owner)
    }

    /// Waits for the next events: owner, source and what is ready.
    ///
    /// # Errors
    /// Those of `epoll_wait`; a signal is none.
    pub fn wait(&mut self) -> io::Result<Vec<(u32, u32, Ready)>> {
        let count = loop {
            match self.epoll.wait(-1, &mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        let event = |event: &EpollEvent| {
            let (owner, source) = of_token(event.data());
            (owner, source, Ready::from(event.event_set()))
        };
        Ok(self.buffer.iter().take(count).map(event).collect())
    }
}
