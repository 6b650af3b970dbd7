//! A network card at a socket, whose other end is in no better hands than the guest.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use vmm::virtio::net::{self, NetOptions};
use vmm::virtio::{Device, Mmio};
use vmm_control::{Bucket, Mac, RateLimit};

use crate::hostile::Subject;
use crate::script::Script;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// A card with its peer.
pub struct Net {
    /// Whether there are rate limits.
    pub limited: bool,
    peer: Option<UnixStream>,
}

impl Net {
    /// A card that isn't connected yet.
    pub fn new(limited: bool) -> Self {
        Self { limited, peer: None }
    }

    fn connect(&mut self) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().expect("the host has descriptors");
        theirs.set_nonblocking(true).expect("a socket");
        self.peer = Some(theirs);
        ours
    }
}

impl Subject for Net {
    fn device(&mut self) -> Box<dyn Device> {
        let bucket = |burst| self.limited.then_some(Bucket { per_second: 1, burst });
        let rate = RateLimit { bytes: bucket(300), operations: bucket(6) };
        let options = NetOptions { mac: Mac(MAC), mtu: 1500, send_rate: rate, receive_rate: rate };
        Box::new(net::Net::passt(options, self.connect()).expect("the host has timers"))
    }

    fn request(&mut self, _: usize, script: &mut Script<'_>) -> Vec<u8> {
        let mut bytes = vec![0; 12];
        if script.once_in(8) {
            bytes.fill_with(|| script.any());
        }
        bytes.extend([0xFF; 6]);
        bytes.extend(MAC);
        bytes.extend([8, 0]);
        bytes.extend(script.bytes(16));
        bytes
    }

    fn host(&mut self, mmio: &Mmio, script: &mut Script<'_>) {
        let kind = script.below(8);
        if kind == 7 || self.peer.is_none() {
            let stream = self.connect();
            mmio.with::<net::Net, _>(|card, io| card.reconnect(io, stream).expect("the host has descriptors"));
        }
        let Some(peer) = &mut self.peer else { return };
        match kind {
            0..=2 => {
                let frame = script.bytes(80).repeat(1 + script.below(30));
                let length = u32::try_from(frame.len()).expect("short").to_be_bytes();
                let _ = peer.write_all(&[&length[..], &frame].concat());
            }
            3 | 4 => drop(peer.write_all(script.bytes(40))),
            5 => drop(peer.read(&mut [0; 2048])),
            6 if script.once_in(4) => self.peer = None,
            _ => {}
        }
    }
}
