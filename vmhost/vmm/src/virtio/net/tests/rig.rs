//! A card between a driver and a peer that a test plays.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use vm_memory::{Bytes as _, GuestAddress};
use vmm_sys_util::epoll::{Epoll, EpollEvent};

use super::super::*;
use crate::events::of_token;
use crate::virtio::testing::Bench;

pub const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const OPTIONS: NetOptions = NetOptions {
    mac: Mac(MAC),
    mtu: 1500,
    send_rate: RateLimit { bytes: None, operations: None },
    receive_rate: RateLimit { bytes: None, operations: None },
};

/// Where frames to send are written.
const OUT: u64 = 0x100_0000;
const DEADLINE_MS: i32 = 10_000;

pub struct Rig {
    pub bench: Bench<Net>,
    pub peer: UnixStream,
    epoll: Arc<Epoll>,
    /// Frames of a test don't overwrite each other before they are sent.
    out: u64,
    /// Buffers to receive that the device has.
    pub offered: usize,
}

/// A frame of the guest's, whose bytes tell where they belong.
pub fn frame(length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).expect("small")).collect();
    for (to, from) in bytes.iter_mut().skip(6).zip(MAC) {
        *to = from;
    }
    bytes
}

pub fn metric(rig: &Rig, name: &str) -> u64 {
    rig.bench.device.metrics().into_iter().find(|metric| metric.0 == name).expect("such a metric").1
}

impl Rig {
    pub fn passt(options: NetOptions) -> Self {
        let (ours, peer) = UnixStream::pair().expect("a socket pair");
        Self::new(Net::passt(options, ours).expect("a card"), peer)
    }

    /// With a tap device nobody uses `peer`.
    pub fn new(net: Net, peer: UnixStream) -> Self {
        let mut bench = Bench::new(net, 16);
        let epoll = Arc::new(Epoll::new().expect("epoll"));
        bench.device.attach(Poll::new(Arc::clone(&epoll), 0)).expect("watched");
        let mut rig = Self { bench, peer, epoll, out: OUT, offered: 0 };
        rig.start();
        rig
    }

    pub fn start(&mut self) {
        self.bench.with(Device::start).expect("a valid driver");
    }

    /// Waits for events and hands them to the device.
    pub fn turn(&mut self) {
        assert!(self.events(DEADLINE_MS), "nothing happens");
    }

    /// Handles all events that there are already, and expects that they end.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.events(0) {
                return;
            }
        }
        panic!("the device spins");
    }

    fn events(&mut self, timeout_ms: i32) -> bool {
        let mut events = [EpollEvent::default(); 8];
        let count = self.epoll.wait(timeout_ms, &mut events).expect("no error");
        for event in &events[..count] {
            let (_, source) = of_token(event.data());
            let ready = Ready::from(event.event_set());
            self.bench.with(|net, io| net.on_event(source, ready, io)).expect("a valid driver");
        }
        count > 0
    }

    /// Writes header and frame to memory, and offers them in buffers of such lengths, and the rest.
    pub fn prepare(&mut self, frame: &[u8], cuts: &[u32]) -> u16 {
        self.prepare_with(&[0; HEADER], frame, cuts)
    }

    /// The same, with a header of one's own.
    pub fn prepare_with(&mut self, header: &[u8; HEADER], frame: &[u8], cuts: &[u32]) -> u16 {
        let bytes = [&header[..], frame].concat();
        self.bench.ram.memory().write_slice(&bytes, GuestAddress(self.out)).expect("in memory");
        let (mut at, mut left) = (self.out, u32::try_from(bytes.len()).expect("short"));
        let mut chain = Vec::new();
        for &cut in cuts.iter().chain(&[u32::MAX]) {
            let part = cut.min(left);
            if part == 0 {
                break;
            }
            chain.push((at, part));
            at += u64::from(part);
            left -= part;
        }
        self.out = OUT + (at - OUT).next_multiple_of(64) % (8 << 20);
        self.bench.drivers[TRANSMIT].chain(self.bench.ram.memory(), &chain, &[])
    }

    pub fn transmit(&mut self) {
        self.bench.kick(TRANSMIT).expect("a valid driver");
    }

    pub fn transmitted(&mut self) -> Option<(u32, u32)> {
        self.bench.drivers[TRANSMIT].used(self.bench.ram.memory())
    }

    /// Offers a buffer to receive.
    pub fn offer(&mut self, buffers: &[(u64, u32)]) -> u16 {
        self.offered += 1;
        self.bench.drivers[RECEIVE].chain(self.bench.ram.memory(), &[], buffers)
    }

    pub fn receive(&mut self) {
        self.bench.kick(RECEIVE).expect("a valid driver");
    }

    pub fn received(&mut self) -> Option<(u32, u32)> {
        let used = self.bench.drivers[RECEIVE].used(self.bench.ram.memory());
        self.offered -= usize::from(used.is_some());
        used
    }

    pub fn memory(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.bench.ram.memory().read_slice(&mut bytes, GuestAddress(address)).expect("in memory");
        bytes
    }

    pub fn peer_sends(&mut self, frame: &[u8]) {
        self.peer.write_all(&framed(frame)).expect("the device is there");
    }

    pub fn peer_gets(&mut self) -> Vec<u8> {
        let mut prefix = [0; 4];
        self.peer.read_exact(&mut prefix).expect("a length");
        let mut frame = vec![0; u32::from_be_bytes(prefix) as usize];
        self.peer.read_exact(&mut frame).expect("a frame");
        frame
    }

    /// Whether nothing can be read now.
    pub fn peer_is_idle(&mut self) -> bool {
        self.peer.set_nonblocking(true).expect("a socket");
        let nothing = matches!(self.peer.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.peer.set_nonblocking(false).expect("a socket");
        nothing
    }

    pub fn lose_peer(&mut self) {
        let (_, other) = UnixStream::pair().expect("a socket pair");
        self.peer = other;
        self.settle();
    }
}

pub fn framed(frame: &[u8]) -> Vec<u8> {
    [&u32::try_from(frame.len()).expect("short").to_be_bytes(), frame].concat()
}
