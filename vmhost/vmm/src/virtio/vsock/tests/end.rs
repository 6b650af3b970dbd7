use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use super::guest::Guest;
use crate::virtio::vsock::packet::{Header, Op, SHUTDOWN_BOTH, SHUTDOWN_RECEIVE, SHUTDOWN_SEND};

fn shutdown(guest: &Guest, port: u32, flags: u32) -> Header {
    Header { flags, ..guest.header(1000, port, Op::Shutdown) }
}

#[test]
fn a_half_close_of_the_host_leaves_the_other_half_open() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    stream.write_all(b"question").expect("written");
    stream.shutdown(Shutdown::Write).expect("shut");
    assert_eq!(guest.next().payload, b"question");
    assert_eq!(guest.expect(Op::Shutdown).flags, SHUTDOWN_SEND);
    guest.expect_nothing();
    guest.send(guest.header(1000, 80, Op::Data), b"answer");
    guest.send(shutdown(&guest, 80, SHUTDOWN_BOTH), &[]);
    guest.expect(Op::Reset);
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("read");
    assert_eq!(bytes, b"answer");
}

#[test]
fn a_half_close_of_the_guest_leaves_the_other_half_open() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    guest.send(guest.header(1000, 80, Op::Data), b"question");
    guest.send(shutdown(&guest, 80, SHUTDOWN_SEND), &[]);
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("read");
    assert_eq!(bytes, b"question");
    stream.write_all(b"answer").expect("written");
    assert_eq!(guest.next().payload, b"answer");
    drop(stream);
    // Both directions are done: the guest has the last word.
    assert_eq!(guest.expect(Op::Shutdown).flags, SHUTDOWN_BOTH);
    guest.expect_nothing();
    guest.send(guest.header(1000, 80, Op::Reset), &[]);
    guest.expect_nothing();
    assert_eq!(guest.metric("open_connections"), 0);
    assert_eq!(guest.metric("closed_connections"), 1);
}

#[test]
fn a_guest_that_will_not_receive_makes_the_host_stop() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    guest.send(shutdown(&guest, 80, SHUTDOWN_RECEIVE), &[]);
    assert!(stream.write_all(b"unwanted").is_err());
    guest.send(guest.header(1000, 80, Op::Data), b"still heard");
    let mut bytes = [0; 11];
    stream.read_exact(&mut bytes).expect("read");
    guest.expect_nothing();
}

#[test]
fn a_proper_close_of_the_guest_is_confirmed_by_a_reset() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    guest.send(shutdown(&guest, 80, SHUTDOWN_BOTH), &[]);
    guest.expect(Op::Reset);
    assert_eq!(stream.read(&mut [0; 16]).expect("closed"), 0);
}

#[test]
fn shutting_one_direction_after_the_other_is_a_close() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let _stream = guest.connect(1000, 80, &service);
    guest.send(shutdown(&guest, 80, SHUTDOWN_RECEIVE), &[]);
    guest.expect_nothing();
    guest.send(shutdown(&guest, 80, SHUTDOWN_SEND), &[]);
    guest.expect(Op::Reset);
}

#[test]
fn a_close_waits_until_a_slow_host_has_read_everything() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    let sent = fill_up(&mut guest);
    guest.send(shutdown(&guest, 80, SHUTDOWN_BOTH), &[]);
    guest.expect_nothing();
    // The guest loses patience: even so nothing is lost.
    guest.send(guest.header(1000, 80, Op::Reset), &[]);
    // What belongs to no connection is answered, and disturbs nothing.
    guest.send(guest.header(1000, 80, Op::Data), b"?");
    guest.expect(Op::Reset);
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map(|_| bytes)
    });
    guest.until(|guest| (guest.metric("open_connections") == 0).then_some(()));
    assert_eq!(reader.join().expect("no panic").expect("read"), sent);
    guest.expect_nothing();
}

#[test]
fn a_reset_of_the_guest_closes_the_host_side_at_once() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    guest.send(guest.header(1000, 80, Op::Reset), &[]);
    assert_eq!(stream.read(&mut [0; 16]).expect("closed"), 0);
    guest.expect_nothing();
}

#[test]
fn a_host_that_goes_with_bytes_unread_resets_the_guest() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let stream = guest.connect(1000, 80, &service);
    guest.send(guest.header(1000, 80, Op::Data), b"never read");
    drop(stream);
    guest.expect(Op::Reset);
    guest.expect_nothing();
    assert_eq!(guest.metric("open_connections"), 0);
}

#[test]
fn a_host_that_goes_while_bytes_wait_for_it_resets_the_guest() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let stream = guest.connect(1000, 80, &service);
    fill_up(&mut guest);
    drop(stream);
    guest.until(|guest| guest.inbox.pop_front().filter(|packet| packet.op() == Op::Reset));
    guest.expect_nothing();
}

#[test]
fn what_a_host_sent_before_it_went_still_arrives() {
    let mut guest = Guest::new();
    guest.buffer = 4;
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    stream.write_all(b"all of this").expect("written");
    drop(stream);
    let mut bytes = guest.next().payload;
    guest.expect(Op::CreditRequest);
    guest.expect_nothing(); // waits for credit, without spinning
    // Bytes that can't be delivered don't stand in the way of those that can.
    guest.send(guest.header(1000, 80, Op::Data), b"too late");
    assert_eq!(guest.expect(Op::Shutdown).flags, SHUTDOWN_RECEIVE);
    while bytes.len() < 11 {
        let fwd_cnt = u32::try_from(bytes.len()).expect("few");
        guest.send(Header { fwd_cnt, ..guest.header(1000, 80, Op::CreditUpdate) }, &[]);
        let packet = guest.until(|guest| guest.inbox.pop_front());
        bytes.extend(packet.payload);
    }
    assert_eq!(bytes, b"all of this");
    let fwd_cnt = u32::try_from(bytes.len()).expect("few");
    guest.send(Header { fwd_cnt, ..guest.header(1000, 80, Op::CreditUpdate) }, &[]);
    // The guest's bytes were lost: no clean end.
    guest.until(|guest| guest.inbox.pop_front().filter(|packet| packet.op() == Op::Reset));
}

#[test]
fn a_clean_end_of_the_host_is_a_shutdown() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    stream.write_all(b"bye").expect("written");
    drop(stream);
    assert_eq!(guest.next().payload, b"bye");
    assert_eq!(guest.expect(Op::Shutdown).flags, SHUTDOWN_BOTH);
    guest.expect_nothing();
    // In flight before the guest knew.
    guest.send(guest.header(1000, 80, Op::Data), b"?");
    guest.expect(Op::Reset);
    assert_eq!(guest.metric("open_connections"), 0);
    assert_eq!(guest.metric("protocol_errors"), 0);
}

/// Sends all that credit allows to a host that reads nothing.
fn fill_up(guest: &mut Guest) -> Vec<u8> {
    let bytes: Vec<u8> = (0..256u32 << 10).map(|index| (index % 251) as u8).collect();
    // The host's socket takes some at first, which gives more credit.
    let mut sent = Vec::new();
    for part in bytes.chunks(64 << 10) {
        guest.send(guest.header(1000, 80, Op::Data), part);
        sent.extend_from_slice(part);
    }
    guest.settle();
    guest.inbox.retain(|packet| packet.op() != Op::CreditUpdate);
    sent
}
