//! Against the kernel's tap device, in a network namespace of the test's own.

#![allow(unsafe_code, reason = "the standard library has no unshare")]

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::process::Command;
use std::thread;

use vm_memory::bitmap::Bitmap as _;
use vm_memory::{GuestAddress, GuestMemoryBackend as _, GuestMemoryRegion as _};

use super::guest::{Guest, TCP, UDP, checksum, fold};
use super::rig::{OPTIONS, Rig, metric};
use super::*;

const NAME: &str = "guest0";
const HOST: [u8; 4] = [10, 77, 0, 1];
const GUEST: [u8; 4] = [10, 77, 0, 2];
const PORT: u16 = 7777;

const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;

/// Runs a test in a network namespace that goes with it.
fn alone(test: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(|| {
        // SAFETY: the call takes no pointers, and moves this thread only.
        let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(result, 0, "a network namespace needs root: {}", io::Error::last_os_error());
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("iproute2 is installed");
    assert!(status.success(), "ip {arguments}");
}

fn card() -> Net {
    let tap = open_tap(NAME).expect("/dev/net/tun is there and ours to use");
    let net = Net::tap(OPTIONS, tap).expect("a tap device");
    ip(&format!("address add 10.77.0.1/24 dev {NAME}"));
    ip(&format!("link set {NAME} up"));
    ip(&format!("neighbour add 10.77.0.2 lladdr 02:00:00:00:00:01 dev {NAME}"));
    net
}

fn guest(features: u64, size: u32) -> Guest {
    let (_, peer) = UnixStream::pair().expect("a socket pair");
    let mut rig = Rig::new(card(), peer);
    rig.bench.features &= features;
    rig.start();
    Guest::new(rig, size, HOST, GUEST)
}

fn tcp_sum(segment: &[u8]) -> u16 {
    let length = u16::try_from(segment.len()).expect("short").to_be_bytes();
    fold(&[&GUEST, &HOST, &[0, TCP], &length, segment])
}

#[test]
fn datagrams_pass_both_ways() {
    for (features, size, flags) in [
        (u64::MAX, 8192, 1),
        (u64::MAX, 512, 1),
        (!(1 << 1), 8192, 0),
        (!(1 << VIRTIO_NET_F_MRG_RXBUF), 8192, 1),
        (!(1 << 1 | 1 << VIRTIO_NET_F_MRG_RXBUF), 2048, 0),
    ] {
        alone(move || {
            let mut guest = guest(features, size);
            let socket = UdpSocket::bind("10.77.0.1:7777").expect("the address is up");
            let sent: Vec<u8> = (0..1400u16).map(|at| at.to_le_bytes()[0]).collect();
            socket.send_to(&sent, "10.77.0.2:7777").expect("a neighbour");
            let (header, datagram) = guest.packet(UDP);
            assert_eq!((&datagram[..4], &datagram[8..]), (&[0x1E, 0x61, 0x1E, 0x61][..], &sent[..]));
            // Whether the checksum is left to the guest, as it has agreed to or not.
            assert_eq!(header[0] & 1, flags);
            // A snapshot must take all of it along, not just the page of the header.
            let is_dirty = |address: u64| {
                let region = guest.rig.bench.ram.memory().find_region(GuestAddress(address)).expect("in memory");
                region.bitmap().dirty_at(usize::try_from(address).expect("64 bits"))
            };
            if size == 8192 {
                assert_eq!(
                    [0, 255, 256, 1440, 4352].map(|at| is_dirty(guest.last + at)),
                    [true, true, true, true, false]
                );
            }
            if flags == 0 {
                let length = u16::try_from(datagram.len()).expect("short").to_be_bytes();
                assert_eq!(checksum(&[&HOST, &GUEST, &[0, UDP], &length, &datagram]), 0);
            }

            let port = PORT.to_be_bytes();
            let length = u16::try_from(8 + sent.len()).expect("short").to_be_bytes();
            guest.send([0; HEADER], UDP, &[&port[..], &port, &length, &[0, 0], &sent].concat());
            let mut got = [0; 2000];
            let (count, from) = socket.recv_from(&mut got).expect("a datagram");
            assert_eq!((&got[..count], from.to_string()), (&sent[..], "10.77.0.2:7777".to_owned()));
        });
    }
}

#[test]
fn segments_to_come_pass_both_ways_if_agreed_to() {
    const TSO4: u64 = 1 << 7;
    // Straight into buffers, and by way of the host's memory.
    for (features, size) in [(u64::MAX, 8192), (u64::MAX, 2048), (!TSO4, 8192)] {
        alone(move || {
            let mut guest = guest(features, size);
            let sent: Vec<u8> = (0..12_000u32).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
            let (expected, back) = (sent.clone(), sent[..5000].to_vec());
            let answer = back.clone();
            let host = thread::spawn(move || {
                let mut stream = TcpStream::connect("10.77.0.2:7777").expect("the guest accepts");
                stream.write_all(&sent).expect("the guest takes it");
                let mut got = vec![0; answer.len()];
                stream.read_exact(&mut got).expect("the guest answers");
                assert!(got == answer, "what the guest sent came in pieces of another kind");
            });

            let (_, syn) = guest.packet(TCP);
            let theirs = u32::from_be_bytes([syn[4], syn[5], syn[6], syn[7]]);
            let ports = [syn[2], syn[3], syn[0], syn[1]];
            let segment = |sequence: u32, acknowledged: u32, flags, options: &[u8]| {
                let words = u8::try_from(5 + options.len() / 4).expect("few") << 4;
                let numbers = [sequence.to_be_bytes(), acknowledged.to_be_bytes()].concat();
                [&ports[..], &numbers, &[words, flags, 0xFF, 0xFF, 0, 0, 0, 0], options].concat()
            };
            // An MSS of 1460.
            let mut accept = segment(1, theirs + 1, SYN_ACK, &[2, 4, 5, 0xB4]);
            let sum = !tcp_sum(&accept);
            accept[16..18].copy_from_slice(&sum.to_be_bytes());
            guest.send([0; HEADER], TCP, &accept);

            let (mut got, mut largest) = (Vec::new(), 0);
            while got.len() < expected.len() {
                let (header, segment) = guest.packet(TCP);
                let payload = &segment[usize::from(segment[12] >> 4) * 4..];
                largest = largest.max(payload.len());
                // A TCP segment over IPv4 says so, and how long its parts will be.
                let to_come = (header[1] & 0x7F, u16::from_le_bytes([header[4], header[5]]));
                assert_eq!(to_come, if payload.len() > 1460 { (1, 1460) } else { (0, 0) });
                got.extend_from_slice(payload);
            }
            assert!(got == expected, "the guest gets what the host has sent");
            assert_eq!(largest > 1460, features & TSO4 != 0, "{largest}");

            // 5000 bytes in one frame; the kernel makes segments of 1460 and their checksums.
            let acknowledged = theirs + 1 + u32::try_from(expected.len()).expect("short");
            let mut segment = [segment(2, acknowledged, ACK, &[]), back].concat();
            let length = u16::try_from(segment.len()).expect("short").to_be_bytes();
            let pseudo = fold(&[&GUEST, &HOST, &[0, TCP], &length]);
            segment[16..18].copy_from_slice(&pseudo.to_be_bytes());
            let header = [1, 1, 54, 0, 0xB4, 5, 34, 0, 16, 0, 0, 0];
            guest.send(header, TCP, &segment);
            host.join().expect("the host gets what the guest has sent");
        });
    }
}

#[test]
fn a_header_that_lies_is_refused_and_stops_nothing() {
    alone(|| {
        let mut guest = guest(u64::MAX, 8192);
        // Checksum beyond the frame; an unknown kind of segment; segments of length zero.
        for header in [
            [1, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0],
            [1, 0x7F, 54, 0, 0xB4, 5, 34, 0, 16, 0, 0, 0],
            [1, 1, 54, 0, 0, 0, 34, 0, 16, 0, 0, 0],
        ] {
            guest.send(header, UDP, &[0; 100]);
        }
        assert_eq!(metric(&guest.rig, "dropped_link_frames"), 3);
        guest.send([0; HEADER], UDP, &[0; 100]);
        assert_eq!(metric(&guest.rig, "sent_frames"), 1);
    });
}

#[test]
fn an_interface_that_goes_is_a_link_that_ends() {
    alone(|| {
        let mut guest = guest(u64::MAX, 8192);
        ip(&format!("link delete {NAME}"));
        while guest.rig.bench.device.is_link_up() {
            guest.rig.turn();
            while guest.next().is_some() {}
        }
        guest.rig.settle();
        assert_eq!(metric(&guest.rig, "link_losses_count"), 1);
        let again = guest.rig.bench.with(|net, io| {
            let (stream, _) = UnixStream::pair().expect("a socket pair");
            Ok(net.reconnect(io, stream).expect_err("a stream can't do what was offered").to_string())
        });
        assert_eq!(again.expect("no fault"), "the driver relies on what its tap device does");
    });
}

#[test]
fn names_that_are_none_are_refused() {
    for name in ["", "sixteen-letters!", "a\0b"] {
        let error = open_tap(name).expect_err("no name").to_string();
        assert_eq!(error, format!("`{name}` is no name of an interface"));
    }
}
