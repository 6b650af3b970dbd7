//! A network card (virtio 1.2, 5.1): one pair of queues, and a link that carries the frames.
//!
//! In:  frames of the guest, whose sender's address is checked; frames of the link.
//! Out: the same, at the rates allowed.
//!
//! Who can't take more stops who sends: a slow host leaves frames in the
//! guest's queue, a slow guest leaves them in the host's socket. A frame is
//! dropped only for what it is, or because its link has ended, and each drop
//! is counted by its reason. A link that ends takes no VM along: the driver
//! sees the cable pulled, and `reconnect` plugs in another one.
//!
//! A tap device and the guest may leave checksums and segmentation to each
//! other; a stream knows frames only, so with it nothing of that is offered.

mod buffers;
mod fuzz;
mod link;
mod passt;
mod receive;
mod system;
mod tap;
mod transmit;

use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;

use serde::{Deserialize, Serialize};
use virtio_bindings::virtio_net::{
    VIRTIO_NET_F_MAC, VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_F_MTU, VIRTIO_NET_F_STATUS, VIRTIO_NET_S_LINK_UP,
};
use vmm_control::{Mac, RateLimit};

pub use self::fuzz::fuzz_net;
use self::link::Link;
use self::passt::Passt;
use self::tap::Tap;
pub use self::tap::open_tap;
use super::wake::Wake;
use super::{Device, Fault, Io, Kind};
use crate::events::{Interest, Poll, Ready};
use crate::rate::RateLimiter;
use crate::state::{StateError, decode, encode};

/// The virtio header before each frame (5.1.6); always with its last field, as virtio 1 has it.
const HEADER: usize = 12;
/// Destination, sender and type: no frame is shorter.
const ETHERNET: usize = 14;
/// What a frame has beside its payload: the above, and a VLAN tag.
const OVERHEAD: usize = ETHERNET + 4;
/// The longest frame: an IP packet can't be longer, be it a segment to come.
const MAX_FRAME: usize = 65535 + OVERHEAD;

const RECEIVE: usize = 0;
const TRANSMIT: usize = 1;

const SEND_TIMER: u32 = 0;
const RECEIVE_TIMER: u32 = 1;
const WAKE: u32 = 2;
/// The first link's; each that follows has the next number, so that a late event isn't taken for its own.
const FIRST_LINK: u32 = 0x100;

/// After so many frames one way, other devices have their turn.
const FRAMES_A_TURN: usize = 256;

/// What a network card is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetOptions {
    /// The card's address; frames that the guest sends by another are dropped.
    pub mac: Mac,
    /// The largest payload of a frame, in bytes; the guest takes it over.
    pub mtu: u16,
    /// How fast the guest may send.
    pub send_rate: RateLimit,
    /// How fast the guest may receive.
    pub receive_rate: RateLimit,
}

/// The device.
pub struct Net {
    mac: Mac,
    mtu: u16,
    link: Option<Link>,
    /// Feature bits that the link brings.
    link_features: u64,
    /// The number of the link's events.
    source: u32,
    poll: Option<Poll>,
    /// What the link is watched for.
    interest: Interest,
    send_limiter: RateLimiter,
    receive_limiter: RateLimiter,
    send_wait: Wait,
    receive_wait: Wait,
    wake: Wake,
    /// The driver believes something else about the link, as a snapshot says.
    link_news: bool,
    counters: Counters,
}

/// What one direction waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// Buffers or frames of the driver: it will notify.
    Driver,
    /// The link's descriptor.
    Link,
    /// The timer of the rate limit.
    Tokens,
}

/// What comes after a frame.
enum Turn {
    Next,
    Wait(Wait),
    /// The link has ended.
    Ended,
}

#[derive(Debug, Default)]
struct Counters {
    sent_frames: u64,
    sent_bytes: u64,
    received_frames: u64,
    received_bytes: u64,
    spoofed: u64,
    short: u64,
    long: u64,
    no_buffer: u64,
    link: u64,
    send_throttled: u64,
    receive_throttled: u64,
    link_losses: u64,
}

/// What a snapshot keeps: what the driver has read, and doesn't read again.
#[derive(Serialize, Deserialize)]
struct State {
    mac: [u8; 6],
    mtu: u16,
    link_up: bool,
}

impl Net {
    /// A card at a tap device, which `open_tap` has opened.
    ///
    /// # Errors
    /// When it is no tap device, or the host has no descriptor left.
    pub fn tap(options: NetOptions, tap: File) -> io::Result<Self> {
        let tap = Tap::new(tap)?;
        let features = tap.features();
        Self::new(options, Link::Tap(tap), features)
    }

    /// A card at a socket that is connected to passt.
    ///
    /// # Errors
    /// When the host has no descriptor left.
    pub fn passt(options: NetOptions, stream: UnixStream) -> io::Result<Self> {
        Self::new(options, Link::Passt(Passt::new(stream)?.into()), 0)
    }

    fn new(options: NetOptions, link: Link, link_features: u64) -> io::Result<Self> {
        let NetOptions { mac, mtu, send_rate, receive_rate } = options;
        Ok(Self {
            mac,
            mtu,
            link: Some(link),
            link_features,
            source: FIRST_LINK,
            poll: None,
            interest: Interest::None,
            send_limiter: RateLimiter::new(send_rate)?,
            receive_limiter: RateLimiter::new(receive_rate)?,
            send_wait: Wait::Driver,
            receive_wait: Wait::Driver,
            wake: Wake::new()?,
            link_news: false,
            counters: Counters::default(),
        })
    }

    /// Other limits from now on, in full buckets.
    pub fn set_rates(&mut self, send: RateLimit, receive: RateLimit) {
        self.send_limiter.set(send);
        self.receive_limiter.set(receive);
    }

    /// Whether frames are carried.
    pub fn is_link_up(&self) -> bool {
        self.link.is_some()
    }

    /// Goes on by another connection to passt, instead of one that is lost or not wanted any more.
    ///
    /// # Errors
    /// When the card is at a tap device, or the host has no descriptor left.
    pub fn reconnect(&mut self, io: &mut Io<'_>, stream: UnixStream) -> io::Result<()> {
        if self.link_features != 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the driver relies on what its tap device does"));
        }
        let link = Link::Passt(Passt::new(stream)?.into());
        self.unplug()?;
        self.source = self.source.checked_add(1).unwrap_or(FIRST_LINK);
        if let Some(poll) = &self.poll {
            poll.add(link.fd(), self.source, Interest::None)?;
        }
        self.interest = Interest::None;
        self.link = Some(link);
        self.announce(io);
        self.wake.ask();
        Ok(())
    }

    fn unplug(&mut self) -> io::Result<()> {
        match (self.link.take(), &self.poll) {
            (Some(link), Some(poll)) => poll.remove(link.fd()),
            _ => Ok(()),
        }
    }

    /// The link has ended by itself.
    fn lose_link(&mut self, io: &Io<'_>) {
        // Its descriptor is closed in any case, and nobody else has it.
        let _ = self.unplug();
        self.counters.link_losses += 1;
        self.announce(io);
    }

    /// Tells the driver that the link isn't what it was.
    fn announce(&self, io: &Io<'_>) {
        if io.has(VIRTIO_NET_F_STATUS) && io.queues.iter().any(super::Queue::is_ready) {
            io.interrupt.config();
        }
    }

    /// Watches the link for what is waited for, and for nothing else: a level would come again and again.
    fn watch(&mut self) -> Result<(), Fault> {
        let wanted = match (self.receive_wait == Wait::Link, self.send_wait == Wait::Link) {
            (false, false) => Interest::None,
            (true, false) => Interest::Read,
            (false, true) => Interest::Write,
            (true, true) => Interest::Both,
        };
        if let (Some(link), Some(poll)) = (&self.link, &self.poll)
            && wanted != self.interest
        {
            poll.modify(link.fd(), self.source, wanted).map_err(host("watch a link"))?;
            self.interest = wanted;
        }
        Ok(())
    }

    /// The longest frame that may go a way on which `segments` says whether segments to come are allowed.
    fn longest(&self, segments: bool) -> usize {
        if segments { MAX_FRAME } else { usize::from(self.mtu) + OVERHEAD }
    }
}

fn host(context: &'static str) -> impl Fn(io::Error) -> Fault {
    move |source| Fault::Host { context, source }
}

impl Device for Net {
    fn kind(&self) -> Kind {
        Kind::Net
    }

    fn features(&self) -> u64 {
        let own = [VIRTIO_NET_F_MAC, VIRTIO_NET_F_STATUS, VIRTIO_NET_F_MTU, VIRTIO_NET_F_MRG_RXBUF];
        own.iter().fold(self.link_features, |all, bit| all | 1 << bit)
    }

    fn queue_sizes(&self) -> &[u16] {
        &[256, 256]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let status = if self.is_link_up() { VIRTIO_NET_S_LINK_UP as u16 } else { 0 };
        let pairs = 1u16;
        let bytes = [&self.mac.0[..], &status.to_le_bytes(), &pairs.to_le_bytes(), &self.mtu.to_le_bytes()].concat();
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
        data.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    }

    fn attach(&mut self, poll: Poll) -> io::Result<()> {
        poll.add(self.send_limiter.fd(), SEND_TIMER, Interest::Read)?;
        poll.add(self.receive_limiter.fd(), RECEIVE_TIMER, Interest::Read)?;
        poll.add(self.wake.fd(), WAKE, Interest::Read)?;
        if let Some(link) = &self.link {
            poll.add(link.fd(), self.source, self.interest)?;
        }
        self.poll = Some(poll);
        Ok(())
    }

    fn start(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        if let Some(Link::Tap(tap)) = &self.link {
            tap.negotiated(io.features).map_err(host("set up a tap device"))?;
        }
        if std::mem::take(&mut self.link_news) {
            self.announce(io);
        }
        self.transmit(io)?;
        self.receive(io)
    }

    fn on_queue(&mut self, queue: usize, io: &mut Io<'_>) -> Result<(), Fault> {
        match queue {
            TRANSMIT => self.transmit(io),
            _ => self.receive(io),
        }
    }

    fn on_event(&mut self, source: u32, ready: Ready, io: &mut Io<'_>) -> Result<(), Fault> {
        match source {
            SEND_TIMER => {
                self.send_limiter.fired().map_err(host("read a timer"))?;
                self.transmit(io)
            }
            RECEIVE_TIMER => {
                self.receive_limiter.fired().map_err(host("read a timer"))?;
                self.receive(io)
            }
            WAKE => {
                self.wake.taken();
                self.transmit(io)?;
                self.receive(io)
            }
            source if source == self.source && self.link.is_some() => {
                // Who isn't listened to can't say that it ends, and would go on trying to.
                if ready.hangup && !matches!(self.interest, Interest::Read | Interest::Both) {
                    self.lose_link(io);
                }
                if self.send_wait == Wait::Link {
                    self.transmit(io)?;
                }
                self.receive(io)
            }
            _ => Ok(()),
        }
    }

    fn reset(&mut self) {
        // Being called on a vCPU's thread too, it makes no system calls: the link stays watched until
        // the first event finds no queue. The tail of a frame stays: the stream needs it.
        (self.send_wait, self.receive_wait) = (Wait::Driver, Wait::Driver);
        self.link_news = false;
    }

    fn save(&self) -> Vec<u8> {
        encode(&State { mac: self.mac.0, mtu: self.mtu, link_up: self.is_link_up() })
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        let State { mac, mtu, link_up } = decode("a network card", state)?;
        // The driver won't read them again: what it has seen counts, whatever the options say.
        (self.mac, self.mtu) = (Mac(mac), mtu);
        self.link_news = link_up != self.is_link_up();
        Ok(())
    }

    fn metrics(&self) -> Vec<(&'static str, u64)> {
        let counters = &self.counters;
        vec![
            ("sent_frames", counters.sent_frames),
            ("sent_bytes", counters.sent_bytes),
            ("received_frames", counters.received_frames),
            ("received_bytes", counters.received_bytes),
            ("dropped_spoofed_frames", counters.spoofed),
            ("dropped_short_frames", counters.short),
            ("dropped_long_frames", counters.long),
            ("dropped_no_buffer_frames", counters.no_buffer),
            ("dropped_link_frames", counters.link),
            ("send_throttled_count", counters.send_throttled),
            ("receive_throttled_count", counters.receive_throttled),
            ("link_losses_count", counters.link_losses),
            ("link_up", u64::from(self.is_link_up())),
        ]
    }
}

#[cfg(test)]
mod tests;
