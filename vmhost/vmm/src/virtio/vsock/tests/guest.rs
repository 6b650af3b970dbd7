//! A model of the guest's driver that speaks packets, and the host's side around the device.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use vm_memory::{Bytes as _, GuestAddress};
use vmm_sys_util::epoll::{Epoll, EpollEvent};

use crate::events::{Poll, Ready, of_token};
use crate::virtio::testing::Bench;
use crate::virtio::vsock::packet::{HOST_CID, Header, Op, SIZE, STREAM};
use crate::virtio::vsock::{PeerConnector, VsockDevice};
use crate::virtio::{Device as _, Fault};

pub const CID: u64 = 42;
pub const RX: usize = 0;
pub const TX: usize = 1;
pub const EVENT: usize = 2;
/// Descriptors in each queue.
pub const QUEUE: u16 = 128;
/// Size of each receive buffer, header included.
pub const BUFFER: u32 = 4096;
const RX_BUFFERS: u64 = 0x80_0000;
const TX_BUFFERS: u64 = 0x100_0000;
/// Header and the longest packet's payload.
const TX_STEP: u64 = 0x1_1000;
/// Payload is sent in buffers of this size, which no other size is a multiple of.
const PART: usize = 9000;
/// Longer than anything takes, so that a hang is a failure.
const DEADLINE_MS: i32 = 20_000;

/// A packet that the guest has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub header: Header,
    pub payload: Vec<u8>,
}

impl Packet {
    pub fn op(&self) -> Op {
        self.header.op().expect("the device sends known operations")
    }
}

/// A guest, its device, and a directory for the host's sockets.
pub struct Guest {
    pub bench: Bench<VsockDevice>,
    pub inbox: VecDeque<Packet>,
    /// Used receive buffers are offered again at once.
    pub refill: bool,
    /// `buf_alloc` of packets that don't say otherwise.
    pub buffer: u32,
    epoll: Arc<Epoll>,
    directory: PathBuf,
    sent: u64,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Guest {
    /// A guest with receive buffers in its queue.
    pub fn new() -> Self {
        let mut guest = Self::without_buffers(Duration::from_secs(60));
        guest.offer(QUEUE);
        guest
    }

    pub fn without_buffers(patience: Duration) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("vsock-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let socket = directory.join("s");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let cid = u32::try_from(CID).expect("small");
        let device = VsockDevice::new(cid, listener, PeerConnector::new(&socket)).expect("descriptors");
        let epoll = Arc::new(Epoll::new().expect("an epoll"));
        let mut bench = Bench::new(device.with_patience(patience), QUEUE);
        bench.device.attach(Poll::new(Arc::clone(&epoll), 7)).expect("watched");
        bench.with(VsockDevice::start).expect("started");
        Self { bench, inbox: VecDeque::new(), refill: true, buffer: 256 << 10, epoll, directory, sent: 0 }
    }

    /// A service of the host at `port`.
    pub fn listen(&self, port: u32) -> UnixListener {
        UnixListener::bind(self.directory.join(format!("s_{port}"))).expect("a socket")
    }

    /// A host client that has asked for nothing yet.
    pub fn client(&self) -> UnixStream {
        let stream = UnixStream::connect(self.directory.join("s")).expect("the device listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream
    }

    /// Offers so many receive buffers.
    pub fn offer(&mut self, count: u16) {
        for _ in 0..count {
            self.offer_one(BUFFER);
        }
        self.bench.kick(RX).expect("valid buffers");
    }

    /// Offers a receive buffer of that size, and doesn't notify.
    pub fn offer_one(&mut self, size: u32) {
        // Each chain is one descriptor: the next one's number is known by counting.
        let next = self.bench.drivers[RX].chain(self.bench.ram.memory(), &[], &[(0, 1)]);
        let address = RX_BUFFERS + u64::from(next) * u64::from(BUFFER);
        self.bench.drivers[RX].descriptor(self.bench.ram.memory(), next, address, size, 2, 0);
    }

    /// Sends bytes as they are, in one chain.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let address = TX_BUFFERS + self.sent % 64 * TX_STEP;
        self.sent += 1;
        self.bench.ram.memory().write_slice(bytes, GuestAddress(address)).expect("it fits");
        // The header is one buffer, as drivers have it; the payload is several.
        let (header, payload) = bytes.split_at(bytes.len().min(SIZE));
        let mut buffers = vec![(address, u32::try_from(header.len()).expect("short"))];
        for (part, at) in payload.chunks(PART).zip((address + SIZE as u64..).step_by(PART)) {
            buffers.push((at, u32::try_from(part.len()).expect("short")));
        }
        self.bench.drivers[TX].chain(self.bench.ram.memory(), &buffers, &[]);
        self.bench.kick(TX)?;
        while self.bench.drivers[TX].used(self.bench.ram.memory()).is_some() {}
        self.collect();
        Ok(())
    }

    /// Queues a packet of 44 bytes, and doesn't wait until it is taken; at most as many as the queue holds wait.
    pub fn queue_raw(&mut self, bytes: &[u8; SIZE]) {
        let address = TX_BUFFERS + self.sent % 2048 * SIZE as u64;
        self.sent += 1;
        self.bench.ram.memory().write_slice(bytes, GuestAddress(address)).expect("it fits");
        self.bench.drivers[TX].chain(self.bench.ram.memory(), &[(address, 44)], &[]);
        self.bench.kick(TX).expect("no fault");
        while self.bench.drivers[TX].used(self.bench.ram.memory()).is_some() {}
    }

    /// The header that answers these bytes, whoever it comes from.
    pub fn reply_to(&mut self, bytes: &[u8]) -> Header {
        let address = TX_BUFFERS;
        self.bench.ram.memory().write_slice(bytes, GuestAddress(address)).expect("it fits");
        self.bench.drivers[TX].chain(self.bench.ram.memory(), &[(address, 44)], &[]);
        self.bench.kick(TX).expect("no fault");
        let (head, written) = self.bench.drivers[RX].used(self.bench.ram.memory()).expect("an answer");
        assert_eq!(written, 44);
        let mut bytes = [0; SIZE];
        let address = RX_BUFFERS + u64::from(head) * u64::from(BUFFER);
        self.bench.ram.memory().read_slice(&mut bytes, GuestAddress(address)).expect("in memory");
        Header::decode(&bytes)
    }

    /// Handles the next event, and leaves what it brings where it is.
    pub fn event(&mut self) -> Result<(), Fault> {
        let mut events = [EpollEvent::default(); 1];
        assert_eq!(self.epoll.wait(DEADLINE_MS, &mut events).expect("epoll"), 1);
        let (_, source) = of_token(events[0].data());
        let ready = Ready::from(events[0].event_set());
        self.bench.with(|device, io| device.on_event(source, ready, io))
    }

    pub fn send(&mut self, header: Header, payload: &[u8]) {
        let len = if header.len == 0 { u32::try_from(payload.len()).expect("short") } else { header.len };
        let mut bytes = Header { len, ..header }.encode().to_vec();
        bytes.extend_from_slice(payload);
        self.send_raw(&bytes).expect("no fault");
    }

    /// A header from `guest_port` to `host_port`.
    pub fn header(&self, guest_port: u32, host_port: u32, op: Op) -> Header {
        Header {
            src_cid: CID,
            dst_cid: HOST_CID,
            src_port: guest_port,
            dst_port: host_port,
            kind: STREAM,
            op: op as u16,
            buf_alloc: self.buffer,
            ..Header::default()
        }
    }

    /// Takes what the device has written, and offers the buffers again.
    fn collect(&mut self) {
        let mut again = false;
        while let Some((head, written)) = self.bench.drivers[RX].used(self.bench.ram.memory()) {
            let mut bytes = vec![0; written as usize];
            let address = RX_BUFFERS + u64::from(head) * u64::from(BUFFER);
            self.bench.ram.memory().read_slice(&mut bytes, GuestAddress(address)).expect("in memory");
            let header = Header::decode(bytes[..SIZE].try_into().expect("44 bytes"));
            let payload = bytes.split_off(SIZE);
            assert_eq!(payload.len(), header.len as usize, "the length is that of the payload");
            assert_eq!((header.src_cid, header.dst_cid), (HOST_CID, CID));
            self.inbox.push_back(Packet { header, payload });
            if self.refill {
                self.offer_one(BUFFER);
                again = true;
            }
        }
        if again {
            self.bench.kick(RX).expect("valid buffers");
            // What this let in is seen at the next call.
        }
    }

    /// Handles what the event loop has, waiting at most so long; how many events there were.
    pub fn pump(&mut self, wait_ms: i32) -> usize {
        // What a notification has brought is news without an event.
        self.collect();
        let wait_ms = if self.inbox.is_empty() { wait_ms } else { 0 };
        let mut events = [EpollEvent::default(); 64];
        let count = self.epoll.wait(wait_ms, &mut events).expect("epoll");
        for event in &events[..count] {
            let (owner, source) = of_token(event.data());
            assert_eq!(owner, 7);
            self.bench
                .with(|device, io| device.on_event(source, Ready::from(event.event_set()), io))
                .expect("no fault");
        }
        self.collect();
        count
    }

    /// Handles all that there is now, without waiting; fails if that never ends.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let before = self.inbox.len();
            if self.pump(0) == 0 && self.inbox.len() == before {
                return;
            }
        }
        panic!("the event loop spins");
    }

    /// Pumps until `done` says so.
    pub fn until<T>(&mut self, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        loop {
            if let Some(value) = done(self) {
                return value;
            }
            let before = self.inbox.len();
            let wait = if before > 0 { 0 } else { DEADLINE_MS };
            assert!(self.pump(wait) > 0 || self.inbox.len() > before || wait == 0, "nothing happens any more");
        }
    }

    /// The next packet.
    pub fn next(&mut self) -> Packet {
        self.until(|guest| guest.inbox.pop_front())
    }

    /// The next packet, which must be this.
    pub fn expect(&mut self, op: Op) -> Header {
        let packet = self.next();
        assert_eq!(packet.op(), op, "{packet:?}");
        packet.header
    }

    /// No packet comes, whatever the loop does now.
    pub fn expect_nothing(&mut self) {
        self.settle();
        assert_eq!(self.inbox, []);
    }

    /// A connection of a host client to `port` that the guest has accepted: the client and the host's port.
    pub fn accept(&mut self, port: u32) -> (UnixStream, u32) {
        let mut client = self.client();
        client.write_all(format!("CONNECT {port}\n").as_bytes()).expect("written");
        let request = self.expect(Op::Request);
        assert_eq!(request.dst_port, port);
        self.send(self.header(port, request.src_port, Op::Response), &[]);
        let mut line = String::new();
        BufReader::with_capacity(1, &client).read_line(&mut line).expect("a line");
        assert_eq!(line, format!("OK {}\n", request.src_port));
        (client, request.src_port)
    }

    /// A connection of the guest to a service, and the service's end of it.
    pub fn connect(&mut self, guest_port: u32, host_port: u32, service: &UnixListener) -> UnixStream {
        self.send(self.header(guest_port, host_port, Op::Request), &[]);
        self.expect(Op::Response);
        let (stream, _) = service.accept().expect("the device has connected");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream
    }

    pub fn metric(&self, name: &str) -> u64 {
        let metrics = self.bench.device.metrics();
        metrics.iter().find(|(found, _)| *found == name).expect("it is counted").1
    }
}
