use std::io::{Read as _, Write as _};
use std::time::Duration;

use super::guest::Guest;
use crate::virtio::vsock::client::MAX_CLIENTS;
use crate::virtio::vsock::packet::Op;
use crate::virtio::vsock::table::MAX_CONNECTIONS;

#[test]
fn a_host_client_reaches_the_guest() {
    let mut guest = Guest::new();
    let (mut client, port) = guest.accept(52);
    client.write_all(b"hello").expect("written");
    let packet = guest.next();
    assert_eq!((packet.op(), packet.payload.as_slice()), (Op::Data, &b"hello"[..]));
    guest.send(guest.header(52, port, Op::Data), b"world");
    let mut bytes = [0; 5];
    client.read_exact(&mut bytes).expect("read");
    assert_eq!(&bytes, b"world");
    assert_eq!(guest.metric("opened_connections"), 1);
    assert_eq!((guest.metric("sent_bytes"), guest.metric("received_bytes")), (5, 5));
}

#[test]
fn what_a_client_sends_before_the_answer_is_kept() {
    let mut guest = Guest::new();
    let mut client = guest.client();
    client.write_all(b"CONN").expect("written");
    guest.expect_nothing();
    client.write_all(b"ECT 52\nearly ").expect("written");
    let request = guest.expect(Op::Request);
    client.write_all(b"bytes").expect("written");
    guest.expect_nothing();
    guest.send(guest.header(52, request.src_port, Op::Response), &[]);
    let mut payload = Vec::new();
    while payload.len() < 11 {
        payload.extend(guest.next().payload);
    }
    assert_eq!(payload, b"early bytes");
}

#[test]
fn a_client_is_refused_when_nobody_listens_in_the_guest() {
    let mut guest = Guest::new();
    let mut client = guest.client();
    client.write_all(b"CONNECT 52\n").expect("written");
    let request = guest.expect(Op::Request);
    guest.send(guest.header(52, request.src_port, Op::Reset), &[]);
    assert_eq!(client.read(&mut [0; 16]).expect("closed"), 0);
    guest.expect_nothing();
    assert_eq!(guest.metric("refused_connections"), 1);
    assert_eq!(guest.metric("open_connections"), 0);
}

#[test]
fn a_client_that_speaks_nonsense_is_dropped() {
    for line in ["HELLO 52\n", "CONNECT\n", "CONNECT 4294967296\n", "CONNECT 0000000000000000000000052\n"] {
        let mut guest = Guest::new();
        let mut client = guest.client();
        client.write_all(line.as_bytes()).expect("written");
        guest.expect_nothing();
        let end = client.read(&mut [0; 16]);
        assert!(matches!(end, Ok(0) | Err(_)), "{line:?}: {end:?}");
        assert!(guest.inbox.is_empty());
    }
}

#[test]
fn silent_clients_and_silent_guests_are_not_waited_for_for_ever() {
    let mut guest = Guest::without_buffers(Duration::from_millis(40));
    guest.offer(8);
    let mut silent = guest.client();
    let mut unanswered = guest.client();
    unanswered.write_all(b"CONNECT 52\n").expect("written");
    guest.expect(Op::Request);
    // The guest never answers; the device ends it.
    guest.expect(Op::Reset);
    assert_eq!(unanswered.read(&mut [0; 16]).expect("closed"), 0);
    silent.set_nonblocking(true).expect("set");
    guest.until(|_| silent.read(&mut [0; 16]).ok());
}

#[test]
fn a_client_that_leaves_before_the_answer_is_forgotten() {
    let mut guest = Guest::new();
    let mut client = guest.client();
    client.write_all(b"CONNECT 52\n").expect("written");
    let request = guest.expect(Op::Request);
    drop(client);
    guest.expect(Op::Reset);
    // The guest's answer crosses with it.
    guest.send(guest.header(52, request.src_port, Op::Response), &[]);
    guest.expect(Op::Reset);
    assert_eq!(guest.metric("open_connections"), 0);
}

#[test]
fn no_more_clients_than_a_few_are_half_open_and_the_others_wait() {
    let mut guest = Guest::new();
    let silent: Vec<_> = (0..MAX_CLIENTS).map(|_| guest.client()).collect();
    let mut late = guest.client();
    late.write_all(b"CONNECT 52\n").expect("written");
    guest.expect_nothing();
    drop(silent);
    assert_eq!(guest.expect(Op::Request).dst_port, 52);
}

#[test]
fn a_client_gets_a_host_port_that_is_not_in_use() {
    let mut guest = Guest::new();
    let service = guest.listen(1 << 30);
    let _stream = guest.connect(52, 1 << 30, &service);
    let (_first, port) = guest.accept(52);
    assert_eq!(port, (1 << 30) + 1);
    let (_second, port) = guest.accept(52);
    assert_eq!(port, (1 << 30) + 2);
    assert_eq!(guest.metric("open_connections"), 3);
}

#[test]
fn the_guest_reaches_a_service() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    guest.send(guest.header(1000, 80, Op::Data), b"ping");
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes).expect("read");
    stream.write_all(b"pong").expect("written");
    assert_eq!(guest.next().payload, b"pong");
}

#[test]
fn the_guest_is_refused_where_nobody_listens() {
    let mut guest = Guest::new();
    guest.send(guest.header(1000, 81, Op::Request), &[]);
    let reset = guest.expect(Op::Reset);
    assert_eq!((reset.src_port, reset.dst_port), (81, 1000));
    assert_eq!(guest.metric("refused_connections"), 1);
}

#[test]
fn there_are_no_more_connections_than_the_table_holds() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let mut streams = Vec::new();
    for port in 0..u32::try_from(MAX_CONNECTIONS).expect("small") {
        streams.push(guest.connect(port, 80, &service));
    }
    guest.send(guest.header(5000, 80, Op::Request), &[]);
    guest.expect(Op::Reset);
    let mut client = guest.client();
    client.write_all(b"CONNECT 52\n").expect("written");
    guest.expect_nothing();
    assert_eq!(client.read(&mut [0; 16]).expect("closed"), 0);
    // One that ends makes room.
    guest.send(guest.header(7, 80, Op::Reset), &[]);
    streams.push(guest.connect(5000, 80, &service));
    // So does one that has ended but for the guest's word.
    drop(streams.remove(0));
    guest.expect(Op::Shutdown);
    guest.send(guest.header(5001, 80, Op::Request), &[]);
    assert_eq!(guest.expect(Op::Reset).dst_port, 0);
    guest.expect(Op::Response);
}
