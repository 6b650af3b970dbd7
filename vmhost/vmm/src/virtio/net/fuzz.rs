//! A hostile guest at the network card, and a peer that isn't to be trusted either.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use vmm_control::{Mac, RateLimit};

use super::super::hostile::{QUEUE_SIZE, fill, play, reset_after};
use super::super::testing::Bench;
use super::{ETHERNET, HEADER, Net, NetOptions, OVERHEAD, RECEIVE_TIMER, SEND_TIMER, WAKE};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const MTU: u16 = 1500;

/// Plays `data` as a driver's actions, and as bytes of the peer.
///
/// # Panics
/// When a frame gets out that must not, or is cut; or the host is out of descriptors.
pub fn fuzz_net(data: &[u8]) {
    let rate = RateLimit::default();
    let options = NetOptions { mac: Mac(MAC), mtu: MTU, send_rate: rate, receive_rate: rate };
    let (ours, mut peer) = pair();
    let mut bench = Bench::new(Net::passt(options, ours).expect("the host has a timer"), QUEUE_SIZE);
    // Frames that may go out, so that a script needn't guess an address.
    fill(&bench, |_| [&[0; HEADER][..], &[0xFF; 6], &MAC, &[8, 0]].concat());
    let mut sent = Vec::new();
    // Frames of a driver that was restored from a snapshot have the snapshot's address.
    let mut restored = false;
    play(&mut bench, data, |bench, script| {
        let result = match script.byte() % 8 {
            0 => bench.fire(SEND_TIMER),
            1 => bench.fire(RECEIVE_TIMER),
            2 => bench.fire(WAKE),
            3 => {
                let frame = script.bytes(64);
                let length = u32::try_from(frame.len()).unwrap_or_default();
                let _ = peer.write_all(&length.to_be_bytes()).and_then(|()| peer.write_all(frame));
                fire_link(bench)
            }
            4 => {
                let count = script.byte();
                let _ = peer.write_all(script.bytes(count.into()));
                fire_link(bench)
            }
            5 if script.byte() < 16 => {
                let (ours, theirs) = pair();
                peer = theirs;
                sent.clear();
                bench.with(|net, io| {
                    net.reconnect(io, ours).expect("the host has a descriptor");
                    Ok(())
                })
            }
            _ => fire_link(bench),
        };
        reset_after(bench, &result);
        restored |= bench.device.mac != Mac(MAC) || bench.device.mtu != MTU;
        let _ = peer.read_to_end(&mut sent);
        if !restored {
            check(&mut sent);
        }
    });
}

fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("the host has a socket pair");
    theirs.set_nonblocking(true).expect("a socket");
    (ours, theirs)
}

fn fire_link(bench: &mut Bench<Net>) -> Result<(), super::Fault> {
    let source = bench.device.source;
    bench.fire(source)
}

/// Takes whole frames off the start of `sent`.
fn check(sent: &mut Vec<u8>) {
    while let Some((prefix, rest)) = sent.split_first_chunk() {
        let length = u32::from_be_bytes(*prefix) as usize;
        assert!((ETHERNET..=usize::from(MTU) + OVERHEAD).contains(&length), "a frame of {length} bytes");
        let Some((frame, _)) = rest.split_at_checked(length) else { return };
        assert_eq!(frame[6..12], MAC, "a spoofed frame");
        sent.drain(..prefix.len() + length);
    }
}
