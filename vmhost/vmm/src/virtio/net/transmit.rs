//! From the guest's queue to the link.

use virtio_bindings::virtio_net::{VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_HOST_UFO};

use super::super::{Chain, Fault, Io};
use super::link::{Link, Sent};
use super::{ETHERNET, FRAMES_A_TURN, HEADER, Net, TRANSMIT, Turn, Wait, host, system};

impl Net {
    /// Sends what the guest has, until it has nothing, or something must be waited for.
    pub(super) fn transmit(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        for _ in 0..FRAMES_A_TURN {
            match self.transmit_frame(io)? {
                Turn::Next => {}
                Turn::Ended => self.lose_link(io),
                Turn::Wait(wait) => {
                    self.send_wait = wait;
                    io.notify(TRANSMIT)?;
                    return self.watch();
                }
            }
        }
        self.send_wait = Wait::Driver;
        self.wake.ask();
        io.notify(TRANSMIT)?;
        self.watch()
    }

    fn transmit_frame(&mut self, io: &mut Io<'_>) -> Result<Turn, Fault> {
        match self.link.as_mut().map_or(Sent::Done, Link::flush) {
            Sent::Full => return Ok(Turn::Wait(Wait::Link)),
            Sent::Ended => return Ok(Turn::Ended),
            Sent::Done | Sent::Refused => {}
        }
        let Some(chain) = io.pop(TRANSMIT)? else { return Ok(Turn::Wait(Wait::Driver)) };
        if !self.send_limiter.is_open().map_err(host("arm a timer"))? {
            self.counters.send_throttled += 1;
            io.unpop(TRANSMIT);
            return Ok(Turn::Wait(Wait::Tokens));
        }
        let sent = self.send(&chain, io)?;
        match sent {
            Sent::Done => self.counters.sent_frames += 1,
            Sent::Full => {
                io.unpop(TRANSMIT);
                return Ok(Turn::Wait(Wait::Link));
            }
            // Counted where it was decided.
            Sent::Refused | Sent::Ended => {}
        }
        // Dropped or not, it has cost the host something.
        let length = chain.reader(io.memory).left().saturating_sub(HEADER as u64);
        self.send_limiter.charge(length);
        if sent == Sent::Done {
            self.counters.sent_bytes += length;
        }
        io.push(TRANSMIT, chain.head(), 0)?;
        Ok(if sent == Sent::Ended { Turn::Ended } else { Turn::Next })
    }

    fn send(&mut self, chain: &Chain, io: &Io<'_>) -> Result<Sent, Fault> {
        let mut reader = chain.reader(io.memory);
        let length = reader.left();
        let segments =
            [VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_HOST_UFO].iter().any(|bit| io.has(*bit));
        if length < (HEADER + ETHERNET) as u64 {
            self.counters.short += 1;
            return Ok(Sent::Refused);
        }
        if length > (HEADER + self.longest(segments)) as u64 {
            self.counters.long += 1;
            return Ok(Sent::Refused);
        }
        // These bytes are read once, and sent as they were read: the guest may change them after the look.
        let head: [u8; HEADER + ETHERNET] = reader.array()?;
        if head[HEADER + 6..HEADER + 12] != self.mac.0 {
            self.counters.spoofed += 1;
            return Ok(Sent::Refused);
        }
        // A chain has no more buffers than the queue has descriptors.
        let rest = reader.slices(usize::MAX);
        debug_assert!(rest.len() < system::MAX_BUFFERS);
        let sent = self.link.as_mut().map_or(Sent::Refused, |link| link.send(&head, &rest));
        if matches!(sent, Sent::Refused | Sent::Ended) {
            self.counters.link += 1;
        }
        Ok(sent)
    }
}
