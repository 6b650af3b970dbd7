//! Against passt itself, which carries a datagram to a socket of the host's and back.

use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use super::guest::{Guest, UDP};
use super::rig::{MAC, OPTIONS, Rig, metric};
use super::*;

const GATEWAY: [u8; 4] = [10, 0, 2, 2];
const GUEST: [u8; 4] = [10, 0, 2, 15];

/// Ends with the test, be it by a panic.
struct Passt(Child);

impl Drop for Passt {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn passt() -> (Passt, Guest) {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let child = Command::new("passt")
        .args(["--foreground", "--fd", "0", "--address", "10.0.2.15", "--netmask", "24", "--gateway", "10.0.2.2"])
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("passt is installed, as the package of that name");
    let (_, peer) = UnixStream::pair().expect("a socket pair");
    let rig = Rig::new(Net::passt(OPTIONS, ours).expect("a card"), peer);
    (Passt(child), Guest::new(rig, 2048, GATEWAY, GUEST))
}

#[test]
fn a_datagram_goes_through_passt_and_back() {
    let (passt, mut guest) = passt();
    // Who has the gateway's address? (RFC 826)
    let ask = [0, 1, 8, 0, 6, 4, 0, 1];
    let frame = [&[0xFF; 6][..], &MAC, &[8, 6], &ask, &MAC, &GUEST, &[0; 6], &GATEWAY].concat();
    guest.rig.prepare(&frame, &[]);
    guest.rig.transmit();
    assert!(guest.rig.transmitted().is_some());
    let answer = loop {
        match guest.next() {
            Some((_, frame)) if frame[12..14] == [8, 6] => break frame,
            Some(_) => {}
            None => guest.rig.turn(),
        }
    };
    assert_eq!((&answer[20..22], &answer[28..32]), (&[0, 2][..], &GATEWAY[..]));
    guest.host.copy_from_slice(&answer[22..28]);

    // passt takes its gateway for the host's loopback address.
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let port = socket.local_addr().expect("bound").port().to_be_bytes();
    let sent: Vec<u8> = (0..1400u16).map(|at| at.to_le_bytes()[0]).collect();
    let length = u16::try_from(8 + sent.len()).expect("short").to_be_bytes();
    guest.send([0; HEADER], UDP, &[&[0x1E, 0x61], &port[..], &length, &[0, 0], &sent].concat());
    let mut got = [0; 2000];
    let (count, from) = socket.recv_from(&mut got).expect("a datagram");
    assert_eq!(got[..count], sent);
    socket.send_to(&sent, from).expect("passt listens");
    let (_, datagram) = guest.packet(UDP);
    assert_eq!((&datagram[..4], &datagram[8..]), (&[port[0], port[1], 0x1E, 0x61][..], &sent[..]));

    // It goes, and the card goes on without it.
    drop(passt);
    while guest.rig.bench.device.is_link_up() {
        guest.rig.turn();
    }
    guest.send([0; HEADER], UDP, &[0; 100]);
    assert_eq!(metric(&guest.rig, "dropped_link_frames"), 1);
}
