use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;

use super::guest::{Guest, Packet};
use crate::virtio::vsock::packet::{Header, Op};

/// The guest's end of a connection, with its half of the credit.
struct Flow {
    guest_port: u32,
    host_port: u32,
    sent: u32,
    peer_buffer: u32,
    peer_taken: u32,
    taken: u32,
    told: u32,
    bytes: Vec<u8>,
}

impl Flow {
    fn new(response: &Header) -> Self {
        let Header { src_port, dst_port, buf_alloc, fwd_cnt, .. } = *response;
        Self {
            guest_port: dst_port,
            host_port: src_port,
            sent: 0,
            peer_buffer: buf_alloc,
            peer_taken: fwd_cnt,
            taken: 0,
            told: 0,
            bytes: Vec::new(),
        }
    }

    fn room(&self) -> usize {
        (self.peer_buffer - self.sent.wrapping_sub(self.peer_taken)) as usize
    }

    fn header(&mut self, guest: &Guest, op: Op) -> Header {
        self.told = self.taken;
        Header { fwd_cnt: self.taken, ..guest.header(self.guest_port, self.host_port, op) }
    }

    /// Sends as much of `bytes` as one packet and the credit allow, and gives the rest back.
    fn send<'b>(&mut self, guest: &mut Guest, bytes: &'b [u8]) -> &'b [u8] {
        let (now, later) = bytes.split_at(bytes.len().min(self.room()).min(64 << 10));
        if !now.is_empty() {
            let header = self.header(guest, Op::Data);
            guest.send(header, now);
            self.sent = self.sent.wrapping_add(u32::try_from(now.len()).expect("a packet"));
        }
        later
    }

    fn receive(&mut self, guest: &mut Guest, packet: &Packet) {
        (self.peer_buffer, self.peer_taken) = (packet.header.buf_alloc, packet.header.fwd_cnt);
        self.bytes.extend_from_slice(&packet.payload);
        self.taken = self.taken.wrapping_add(packet.header.len);
        assert!(self.taken.wrapping_sub(self.told) <= guest.buffer, "the device has sent more than its credit");
        let asked = packet.op() == Op::CreditRequest;
        if asked || self.taken.wrapping_sub(self.told) > guest.buffer / 2 {
            let header = self.header(guest, Op::CreditUpdate);
            guest.send(header, &[]);
        }
    }
}

fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn echo(mut stream: UnixStream) {
    let mut bytes = vec![0; 48 << 10];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        stream.write_all(&bytes[..count]).expect("the device reads");
    }
}

fn echo_service(service: UnixListener, count: usize) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let echoes: Vec<_> = service
            .incoming()
            .take(count)
            .map(|stream| std::thread::spawn(|| echo(stream.expect("accepted"))))
            .collect();
        echoes.into_iter().for_each(|echo| echo.join().expect("no panic"));
    })
}

fn open(guest: &mut Guest, guest_port: u32, host_port: u32) -> Flow {
    guest.send(guest.header(guest_port, host_port, Op::Request), &[]);
    Flow::new(&guest.expect(Op::Response))
}

fn check_echo(length: usize, guest_buffer: u32) {
    let mut guest = Guest::new();
    guest.buffer = guest_buffer;
    let service = echo_service(guest.listen(7), 1);
    let mut flow = open(&mut guest, 1000, 7);
    let bytes = noise(length, guest_buffer);
    let mut rest = &bytes[..];
    while flow.bytes.len() < length {
        while flow.room() > 0 && !rest.is_empty() {
            rest = flow.send(&mut guest, rest);
        }
        let packet = guest.next();
        flow.receive(&mut guest, &packet);
    }
    assert!(flow.bytes == bytes, "the same bytes in the same order");
    assert_eq!((guest.metric("sent_bytes"), guest.metric("received_bytes")), (length as u64, length as u64));
    guest.send(guest.header(1000, 7, Op::Reset), &[]);
    service.join().expect("no panic");
}

#[test]
fn ten_megabytes_come_back_unchanged() {
    check_echo(10 << 20, 256 << 10);
}

#[test]
fn a_guest_of_little_memory_gets_everything_too() {
    check_echo(1 << 20, 5000);
    check_echo(4000, 1);
}

#[test]
fn many_connections_at_once_do_not_mix() {
    const COUNT: u32 = 100;
    const LENGTH: usize = 40_000;
    let mut guest = Guest::new();
    let service = echo_service(guest.listen(7), COUNT as usize);
    let mut flows: Vec<_> = (0..COUNT).map(|port| open(&mut guest, port, 7)).collect();
    let payloads: Vec<_> = (0..COUNT).map(|port| noise(LENGTH, port)).collect();
    let mut rests: Vec<_> = payloads.iter().map(Vec::as_slice).collect();
    while flows.iter().any(|flow| flow.bytes.len() < LENGTH) {
        for (flow, rest) in flows.iter_mut().zip(&mut rests) {
            *rest = flow.send(&mut guest, &rest[..]);
        }
        let packet = guest.next();
        let flow = &mut flows[packet.header.dst_port as usize];
        flow.receive(&mut guest, &packet);
    }
    for (port, (flow, payload)) in flows.iter().zip(&payloads).enumerate() {
        assert!(flow.bytes == *payload, "connection {port}");
        guest.send(guest.header(flow.guest_port, 7, Op::Reset), &[]);
    }
    service.join().expect("no panic");
}

#[test]
fn a_busy_connection_leaves_turns_to_the_others() {
    let mut guest = Guest::new();
    guest.refill = false;
    guest.buffer = u32::MAX;
    let service = guest.listen(80);
    let mut busy = guest.connect(1, 80, &service);
    let mut quiet = guest.connect(2, 80, &service);
    busy.set_nonblocking(true).expect("set");
    let chunk = vec![0; 64 << 10];
    while busy.write(&chunk).is_ok_and(|count| count == chunk.len()) {}
    quiet.write_all(b"me too").expect("written");
    let packet = guest.until(|guest| guest.inbox.pop_front().filter(|packet| packet.header.dst_port == 2));
    assert_eq!(packet.payload, b"me too");
}

#[test]
fn a_slow_reader_is_sent_no_more_than_its_buffer_holds() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    let mut flow = Flow { guest_port: 1000, host_port: 80, peer_buffer: 256 << 10, ..Flow::new(&Header::default()) };
    let bytes = noise(4 << 20, 3);
    let mut rest = &bytes[..];
    // Nobody reads: it ends by lack of credit.
    loop {
        while flow.room() > 0 {
            rest = flow.send(&mut guest, rest);
        }
        guest.settle();
        let Some(packet) = guest.inbox.pop_front() else { break };
        flow.receive(&mut guest, &packet);
    }
    let sent = bytes.len() - rest.len();
    assert!(sent > 256 << 10 && sent < 2 << 20, "{sent} is a host socket's buffer and a window");
    let held: usize = guest.bench.device.table.iter().map(|(_, connection)| connection.backlog.len()).sum();
    assert!(held <= 256 << 10, "{held} bytes are held");
    // It reads at last, and gets everything.
    let mut found = vec![0; sent];
    let reader = std::thread::spawn(move || {
        stream.read_exact(&mut found).expect("read");
        (stream, found)
    });
    guest.until(|guest| {
        let mut connections = guest.bench.device.table.iter();
        connections.all(|(_, connection)| connection.backlog.is_empty()).then_some(())
    });
    let (_stream, found) = reader.join().expect("no panic");
    assert!(found == bytes[..sent]);
    guest.until(|guest| {
        let packet = guest.inbox.pop_front()?;
        flow.receive(guest, &packet);
        (flow.room() == 256 << 10 || flow.room() > 128 << 10).then_some(())
    });
}

#[test]
fn bytes_beyond_the_credit_reset_the_connection() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    let packet = vec![1; 64 << 10];
    // A guest that believes in no credit.
    let last = loop {
        guest.send(guest.header(1000, 80, Op::Data), &packet);
        if let Some(last) = guest.inbox.pop_front().filter(|packet| packet.op() == Op::Reset) {
            break last;
        }
    };
    assert_eq!((last.header.src_port, last.header.dst_port), (80, 1000));
    assert_eq!(guest.metric("protocol_errors"), 1);
    assert_eq!(guest.metric("open_connections"), 0);
    while stream.read(&mut vec![0; 1 << 20]).is_ok_and(|count| count > 0) {}
}

#[test]
fn without_receive_buffers_everything_waits_and_nothing_is_lost() {
    let mut guest = Guest::without_buffers(std::time::Duration::from_secs(60));
    guest.refill = false;
    let service = guest.listen(80);
    guest.send(guest.header(1000, 80, Op::Request), &[]);
    let (mut stream, _) = service.accept().expect("connected");
    let bytes = noise(100_000, 5);
    stream.write_all(&bytes).expect("the host's socket takes it");
    guest.send(guest.header(1000, 80, Op::CreditRequest), &[]);
    guest.expect_nothing(); // and without spinning
    guest.offer(1);
    guest.expect(Op::Response);
    let mut found = Vec::new();
    while found.len() < bytes.len() {
        guest.offer(3);
        found.extend(guest.until(|guest| guest.inbox.pop_front()).payload);
        while let Some(packet) = guest.inbox.pop_front() {
            found.extend(packet.payload);
        }
    }
    assert!(found == bytes);
}

#[test]
fn the_guest_is_asked_for_credit_once() {
    let mut guest = Guest::new();
    guest.buffer = 10;
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    stream.write_all(b"0123456789abcdef").expect("written");
    assert_eq!(guest.next().payload, b"0123456789");
    guest.expect(Op::CreditRequest);
    guest.expect_nothing();
    stream.write_all(b"ghi").expect("written");
    guest.expect_nothing();
    assert_eq!(guest.metric("credit_stalls"), 1);
    // No more than before: still nothing.
    guest.send(guest.header(1000, 80, Op::CreditUpdate), &[]);
    guest.expect_nothing();
    guest.send(Header { fwd_cnt: 7, ..guest.header(1000, 80, Op::CreditUpdate) }, &[]);
    assert_eq!(guest.next().payload, b"abcdefg");
    guest.expect(Op::CreditRequest);
    guest.expect_nothing();
}

#[test]
fn the_guest_is_told_of_credit_when_it_asks() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let _stream = guest.connect(1000, 80, &service);
    guest.send(guest.header(1000, 80, Op::Data), b"12345");
    guest.send(guest.header(1000, 80, Op::CreditRequest), &[]);
    let update = guest.expect(Op::CreditUpdate);
    assert_eq!((update.buf_alloc, update.fwd_cnt), (256 << 10, 5));
}

#[test]
fn credit_travels_with_data_where_there_is_data() {
    let mut guest = Guest::without_buffers(std::time::Duration::from_secs(60));
    guest.offer(1);
    guest.refill = false;
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    let question = noise(128 << 10, 1);
    for part in question.chunks(64 << 10) {
        guest.send(guest.header(1000, 80, Op::Data), part);
    }
    let mut bytes = vec![0; question.len()];
    stream.set_nonblocking(false).expect("set");
    // What the host's socket didn't take at once follows as it is read.
    let reader = std::thread::spawn(move || stream.read_exact(&mut bytes).map(|()| (stream, bytes)));
    while !reader.is_finished() {
        guest.pump(1);
    }
    let (mut stream, bytes) = reader.join().expect("no panic").expect("read");
    assert!(bytes == question);
    stream.write_all(b"answer").expect("written");
    guest.settle();
    guest.offer(4);
    let packet = guest.next();
    assert_eq!((packet.payload.as_slice(), packet.header.fwd_cnt), (&b"answer"[..], 128 << 10));
    guest.expect_nothing();
}

#[test]
fn buffers_that_a_short_read_leaves_over_are_used_by_the_next() {
    let mut guest = Guest::without_buffers(std::time::Duration::from_secs(60));
    guest.offer(33);
    guest.refill = false;
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    // A long write makes the device try many buffers at once.
    let long = noise(4052 * 16, 1);
    stream.write_all(&long).expect("written");
    let mut found = Vec::new();
    while found.len() < long.len() {
        found.extend(guest.next().payload);
    }
    assert!(found == long);
    for number in 0..16u8 {
        stream.write_all(&[number]).expect("written");
        assert_eq!(guest.next().payload, [number]);
    }
    guest.expect_nothing();
}

#[test]
fn the_payload_of_a_receive_buffer_is_marked_for_the_next_snapshot() {
    use vm_memory::bitmap::Bitmap as _;
    use vm_memory::{GuestMemoryBackend as _, GuestMemoryRegion as _};
    const HEADER: u64 = 0x60_0000;
    const PAYLOAD: u64 = 0x61_0000;
    let mut guest = Guest::without_buffers(std::time::Duration::from_secs(60));
    guest.offer(1);
    guest.refill = false;
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    let memory = guest.bench.ram.memory().clone();
    guest.bench.drivers[0].chain(&memory, &[], &[(HEADER, 44), (PAYLOAD, 8192)]);
    stream.write_all(b"payload").expect("written");
    guest.event().expect("no fault");
    let region = memory.iter().next().expect("a region");
    let dirty = |at: u64| region.bitmap().dirty_at(usize::try_from(at).expect("small"));
    assert_eq!((dirty(HEADER), dirty(PAYLOAD), dirty(PAYLOAD + 4096)), (true, true, false));
}

#[test]
fn a_long_batch_goes_on_without_another_notification() {
    let mut guest = Guest::without_buffers(std::time::Duration::from_secs(60));
    guest.refill = false;
    let memory = guest.bench.ram.memory().clone();
    let stray = guest.header(1000, 81, Op::Data).encode();
    vm_memory::Bytes::write_slice(&memory, &stray, vm_memory::GuestAddress(0x60_0000)).expect("in memory");
    for _ in 0..100 {
        guest.bench.drivers[1].chain(&memory, &[(0x60_0000, 44)], &[]);
    }
    guest.bench.kick(1).expect("no fault");
    guest.settle();
    let sent = std::iter::from_fn(|| guest.bench.drivers[1].used(&memory)).count();
    assert_eq!(sent, 100);
    guest.offer(100);
    guest.settle();
    assert_eq!(guest.inbox.len(), 100);
}
