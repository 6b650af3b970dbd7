//! The raw streams, and connections that the guest opens (to itself, as ports are sockets here).

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::thread;

use guest_init::pattern::{Fnv, Pattern};
use guest_init::{server, services};

use super::guest::Guest;

fn pattern(bytes: usize, seed: u64) -> Vec<u8> {
    let mut buffer = vec![0; bytes];
    Pattern::new(seed).fill(&mut buffer, 0);
    buffer
}

/// Sends `input`, ends that side, and returns all that comes back.
fn exchange(guest: &Guest, port: u32, input: &[u8]) -> Vec<u8> {
    let mut stream = guest.service(port);
    let mut sender = stream.try_clone().expect("second handle");
    thread::scope(|scope| {
        scope.spawn(move || {
            sender.write_all(input).expect("send");
            sender.shutdown(Shutdown::Write).expect("end");
        });
        let mut output = Vec::new();
        stream.read_to_end(&mut output).expect("receive");
        output
    })
}

#[test]
fn echo_returns_what_it_gets() {
    let guest = Guest::start();
    for bytes in [0, 1, 65_537, 3 << 20] {
        let sent = pattern(bytes, 1);
        assert!(exchange(&guest, services::ECHO, &sent) == sent, "{bytes} bytes");
    }
}

#[test]
fn discard_counts_and_sums() {
    let guest = Guest::start();
    for bytes in [0, 5, 200_000] {
        let sent = pattern(bytes, 2);
        let mut sum = Fnv::new();
        sum.add(&sent);
        let reply = String::from_utf8(exchange(&guest, services::DISCARD, &sent)).expect("text");
        assert_eq!(reply, format!("ok bytes={bytes} fnv={:016x}\n", sum.value()));
    }
}

#[test]
fn source_sends_the_pattern() {
    let guest = Guest::start();
    for bytes in [0, 9, 150_001] {
        let reply = exchange(&guest, services::SOURCE, format!("{bytes} 3\n").as_bytes());
        assert!(reply == pattern(bytes, 3), "{bytes} bytes");
    }
    assert_eq!(exchange(&guest, services::SOURCE, b"lots\n"), b"error bad N: lots\n");
    assert_eq!(exchange(&guest, services::SOURCE, b"5\n"), b"error bad SEED: \n");
}

#[test]
fn lines_that_never_end() {
    let guest = Guest::start();
    let exchange = |input: &[u8]| {
        let mut stream = guest.raw();
        stream.write_all(input).expect("send");
        stream.shutdown(Shutdown::Write).expect("end");
        let mut output = String::new();
        stream.read_to_string(&mut output).expect("receive");
        output
    };
    assert_eq!(exchange(&vec![b'a'; server::LINE_LIMIT as usize]), "error request line is too long\n");
    let path = guest.path("unfinished");
    assert_eq!(exchange(format!("ping\nwrite {} x", path.display()).as_bytes()), "ok pong\n");
    assert!(!path.exists(), "an unfinished request was obeyed");
}

#[test]
fn guest_connects_and_verifies() {
    let guest = Guest::start();
    let reply = guest.ask("vsock-connect 5000 2M 4");
    assert!(reply.starts_with("ok bytes=2097152 us="), "{reply}");
    let reply = guest.ask("vsock-many 5000 20 100K");
    assert!(reply.starts_with("ok connections=20 bytes=2048000 us="), "{reply}");
    let reply = guest.ask("vsock-connect 9 1 1");
    assert!(reply.starts_with("error connect to port 9: "), "{reply}");
}

#[test]
fn wrong_echo_is_an_error() {
    let guest = Guest::start();
    let listener = UnixListener::bind(guest.path("v_7000")).expect("listen");
    thread::scope(|scope| {
        scope.spawn(|| {
            // One bit wrong, then a peer that ends early.
            for (flip, limit) in [(1, 50_000), (0, 40_000)] {
                let (mut stream, _) = listener.accept().expect("accept");
                let mut bytes = vec![0; limit];
                stream.read_exact(&mut bytes).expect("receive");
                bytes[30_000] ^= flip;
                stream.write_all(&bytes).expect("send");
            }
        });
        let reply = guest.ask("vsock-connect 7000 50000 5");
        assert!(reply.starts_with("error mismatch at=0x7530 "), "{reply}");
        let reply = guest.ask("vsock-connect 7000 50000 5");
        assert!(
            reply.starts_with("error end of stream after 40000 of 50000 bytes") || reply.contains("reset"),
            "{reply}"
        );
    });
}

#[test]
fn host_hears_once_that_the_guest_serves() {
    let mut listener = None;
    let guest = Guest::spawn(|folder| listener = UnixListener::bind(folder.join("v_1025")).ok());
    let (mut stream, _) = listener.expect("listen").accept().expect("accept");
    let mut line = String::new();
    stream.read_to_string(&mut line).expect("receive");
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("boot id");
    assert_eq!(line, format!("ready 0 {boot_id}"));
    assert_eq!(guest.ask("generation"), "ok generation=0");
}
