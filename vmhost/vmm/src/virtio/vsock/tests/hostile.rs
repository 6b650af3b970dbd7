use std::io::Write as _;

use super::guest::{CID, Guest, RX};
use crate::virtio::vsock::packet::{Header, Op};

const REQUEST: u16 = Op::Request as u16;
const RESPONSE: u16 = Op::Response as u16;
const RESET: u16 = Op::Reset as u16;

/// What a packet comes to, sent by a guest whose only connection is from 1000 to 80.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Nothing is said, and the connection stays.
    Silence,
    /// The packet is refused, and the connection stays.
    Refused,
    /// The connection is reset.
    Over,
    /// The connection is gone, and nothing is said.
    Gone,
}

fn check(change: impl FnOnce(&mut Header), payload: &[u8], expected: Answer) {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let _stream = guest.connect(1000, 80, &service);
    let mut header = guest.header(1000, 80, Op::Data);
    header.len = u32::try_from(payload.len()).expect("short");
    change(&mut header);
    let mut bytes = header.encode().to_vec();
    bytes.extend_from_slice(payload);
    guest.send_raw(&bytes).expect("no fault");
    guest.settle();
    let alive = guest.metric("open_connections") == 1;
    let reply = guest.inbox.pop_front().map(|packet| packet.header);
    let found = match (reply, alive) {
        (None, true) => Answer::Silence,
        (None, false) => Answer::Gone,
        (Some(reply), alive) => {
            assert_eq!((reply.op, reply.src_port, reply.dst_port), (RESET, header.dst_port, header.src_port));
            assert_eq!(reply.kind, header.kind);
            if alive { Answer::Refused } else { Answer::Over }
        }
    };
    assert_eq!(found, expected, "{header:?}");
    guest.expect_nothing();
}

#[test]
fn packets_are_answered_as_the_protocol_has_it() {
    check(|_| {}, b"fine", Answer::Silence);
    check(|_| {}, b"", Answer::Silence);
    check(|header| header.src_cid = 3, b"x", Answer::Silence);
    check(|header| header.src_cid = u64::MAX, b"x", Answer::Silence);
    check(|header| header.src_cid = CID | 1 << 32, b"x", Answer::Silence);
    check(|header| header.op = 0, b"", Answer::Over);
    check(|header| header.op = 8, b"", Answer::Over);
    check(|header| header.op = u16::MAX, b"x", Answer::Over);
    check(|header| header.op = REQUEST, b"", Answer::Over);
    check(|header| header.op = RESPONSE, b"", Answer::Over);
    check(|header| header.op = RESET, b"", Answer::Gone);
    check(|header| header.len = 5, b"four", Answer::Over);
    check(|header| header.len = u32::MAX, b"four", Answer::Over);
    check(|header| header.len = 3, b"four", Answer::Silence);
    check(|header| header.kind = 2, b"x", Answer::Refused);
    check(|header| header.kind = 0, b"x", Answer::Refused);
    check(|header| (header.kind, header.op) = (2, RESET), b"", Answer::Silence);
    check(|header| header.src_port = 1001, b"x", Answer::Refused);
    check(|header| header.dst_port = 81, b"x", Answer::Refused);
    check(|header| (header.dst_port, header.op) = (81, RESET), b"", Answer::Silence);
    check(|header| (header.dst_port, header.op) = (81, RESPONSE), b"", Answer::Refused);
    check(|header| (header.dst_port, header.op) = (81, 99), b"", Answer::Refused);
    check(|header| (header.dst_port, header.op) = (81, REQUEST), b"", Answer::Refused);
    check(|header| (header.op, header.flags) = (Op::Shutdown as u16, 0), b"", Answer::Silence);
    check(|header| (header.op, header.flags) = (Op::Shutdown as u16, !3), b"", Answer::Silence);
    check(|header| (header.op, header.flags) = (Op::Shutdown as u16, u32::MAX), b"", Answer::Over);
    check(|header| header.buf_alloc = u32::MAX, b"x", Answer::Silence);
    check(|header| header.buf_alloc = 0, b"x", Answer::Silence);
    check(|header| header.fwd_cnt = u32::MAX, b"x", Answer::Silence);
}

#[test]
fn another_context_id_than_the_hosts_is_refused() {
    for cid in [0, 1, 3, CID, 2 | 1 << 32] {
        let mut guest = Guest::new();
        let header = Header { dst_cid: cid, ..guest.header(1000, 80, Op::Request) };
        guest.refill = false;
        // The model checks that packets come from the host, which this one doesn't.
        let before = guest.metric("protocol_errors");
        let mut bytes = header.encode().to_vec();
        bytes.truncate(44);
        let reply = guest.reply_to(&bytes);
        assert_eq!((reply.src_cid, reply.dst_cid, reply.op), (cid, CID, RESET));
        assert_eq!(guest.metric("protocol_errors"), before + 1);
    }
}

#[test]
fn a_packet_without_a_whole_header_is_a_fault() {
    for length in [1, 43] {
        let mut guest = Guest::new();
        let fault = guest.send_raw(&vec![0; length]).expect_err("no packet");
        assert_eq!(fault.to_string(), "a request is too short");
    }
}

#[test]
fn a_receive_buffer_that_holds_nothing_is_a_fault() {
    for (size, expected) in
        [(43, "a receive buffer is too short for a header"), (44, "a receive buffer has no room for data")]
    {
        let mut guest = Guest::without_buffers(std::time::Duration::from_secs(60));
        guest.offer(1);
        guest.refill = false;
        let service = guest.listen(80);
        let mut stream = guest.connect(1000, 80, &service);
        guest.offer_one(size);
        stream.write_all(b"x").expect("written");
        let fault = guest.event().expect_err("a fault");
        assert_eq!(fault.to_string(), expected);
    }
}

#[test]
fn the_smallest_receive_buffers_carry_one_byte_each() {
    let mut guest = Guest::without_buffers(std::time::Duration::from_secs(60));
    guest.offer(1);
    guest.refill = false;
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    for _ in 0..5 {
        guest.offer_one(45);
    }
    stream.write_all(b"bytes").expect("written");
    let found: Vec<_> = (0..5).flat_map(|_| guest.next().payload).collect();
    assert_eq!(found, b"bytes");
}

#[test]
fn a_lie_about_what_was_taken_gives_no_credit() {
    let mut guest = Guest::new();
    guest.buffer = 4;
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    stream.write_all(b"12345678").expect("written");
    assert_eq!(guest.next().payload, b"1234");
    guest.expect(Op::CreditRequest);
    for fwd_cnt in [5, 1 << 31, u32::MAX] {
        guest.send(Header { fwd_cnt, ..guest.header(1000, 80, Op::CreditUpdate) }, &[]);
        guest.expect_nothing();
    }
    guest.send(Header { fwd_cnt: 4, ..guest.header(1000, 80, Op::CreditUpdate) }, &[]);
    assert_eq!(guest.next().payload, b"5678");
}

#[test]
fn replies_without_buffers_stop_the_guests_packets_and_are_not_lost() {
    let mut guest = Guest::without_buffers(std::time::Duration::from_secs(60));
    // Far more than may wait.
    for port in 0..1100 {
        guest.queue_raw(&guest.header(port, 81, Op::Data).encode());
    }
    assert_eq!(guest.bench.device.replies.len(), 1024);
    guest.settle();
    assert_eq!(guest.bench.device.replies.len(), 1024);
    guest.offer(64);
    let mut resets = 0;
    while resets < 1100 {
        resets += usize::from(guest.next().header.op == RESET);
    }
    guest.expect_nothing();
}

#[test]
fn connections_that_come_and_go_without_buffers_leave_nothing_behind() {
    let mut guest = Guest::without_buffers(std::time::Duration::from_secs(60));
    let service = guest.listen(80);
    // One that stays, and waits for its turn.
    guest.send(guest.header(999, 80, Op::Request), &[]);
    for _ in 0..50 {
        guest.send(guest.header(1000, 80, Op::Request), &[]);
        drop(service.accept().expect("connected"));
        guest.send(guest.header(1000, 80, Op::Reset), &[]);
    }
    assert_eq!((guest.bench.device.ready.len(), guest.bench.device.replies.len()), (1, 0));
    guest.settle();
    assert!(guest.inbox.is_empty());
}

#[test]
fn a_reset_in_flight_leaves_late_events_without_effect() {
    use crate::virtio::Device as _;
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    stream.write_all(b"on its way").expect("written");
    guest.bench.device.reset();
    // The kernel had told of that socket already.
    for source in 16..20 {
        guest.bench.fire(source).expect("no fault");
    }
    guest.expect_nothing();
    assert_eq!(guest.bench.drivers[RX].used(guest.bench.ram.memory()), None);
}
