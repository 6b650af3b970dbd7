//! From the link to the guest's buffers.

use virtio_bindings::virtio_net::{
    VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_UFO,
    VIRTIO_NET_F_MRG_RXBUF,
};

use super::super::chain::mark_written;
use super::super::{Fault, Io};
use super::buffers::{Buffers, copy};
use super::link::{Incoming, Link};
use super::tap::{Filled, Tap};
use super::{ETHERNET, FRAMES_A_TURN, HEADER, Net, RECEIVE, Turn, Wait, host, system};

/// Where the header has the number of chains that a frame takes.
const COUNT: usize = 10;

impl Net {
    /// Receives what the link has, until it has nothing, or something must be waited for.
    pub(super) fn receive(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        let mut buffers = Buffers::new(io.has(VIRTIO_NET_F_MRG_RXBUF));
        self.receive_wait = self.receive_frames(&mut buffers, io)?;
        buffers.give_back(io);
        io.notify(RECEIVE)?;
        self.watch()
    }

    fn receive_frames(&mut self, buffers: &mut Buffers, io: &mut Io<'_>) -> Result<Wait, Fault> {
        for _ in 0..FRAMES_A_TURN {
            // Without a buffer nothing is taken from the link: the host's socket holds it.
            if !buffers.gather(HEADER, io)? {
                return Ok(Wait::Driver);
            }
            if self.link.is_none() {
                return Ok(Wait::Link);
            }
            if !self.receive_limiter.is_open().map_err(host("arm a timer"))? {
                self.counters.receive_throttled += 1;
                return Ok(Wait::Tokens);
            }
            match self.receive_frame(buffers, io)? {
                Turn::Next => {}
                Turn::Wait(wait) => return Ok(wait),
                Turn::Ended => self.lose_link(io),
            }
        }
        // The link's descriptor may have nothing more: what is left may lie in our memory.
        self.wake.ask();
        Ok(Wait::Driver)
    }

    fn receive_frame(&mut self, buffers: &mut Buffers, io: &mut Io<'_>) -> Result<Turn, Fault> {
        let segments = io.has(VIRTIO_NET_F_GUEST_CSUM)
            && [VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_UFO]
                .iter()
                .any(|bit| io.has(*bit));
        let longest = self.longest(segments);
        match &self.link {
            Some(Link::Tap(tap)) if !tap.holds() && buffers.gather(HEADER + longest, io)? => {
                if let Some(filled) = read_into(tap, buffers, HEADER + longest, io) {
                    return self.filled(filled, HEADER + longest, buffers, io);
                }
            }
            _ => {}
        }
        self.copy_frame(longest, buffers, io)
    }

    /// A frame is in the first buffers, header and all, without a copy.
    fn filled(&mut self, filled: Filled, room: usize, buffers: &mut Buffers, io: &mut Io<'_>) -> Result<Turn, Fault> {
        match filled {
            Filled::Nothing => return Ok(Turn::Wait(Wait::Link)),
            Filled::Ended => return Ok(Turn::Ended),
            Filled::Bytes(count) if count > room => self.counters.long += 1,
            Filled::Bytes(count) if count < HEADER + ETHERNET => self.counters.short += 1,
            Filled::Bytes(count) => {
                // The kernel leaves this field alone.
                let chains = buffers.chains_for(count).to_le_bytes();
                let slices = buffers.slices(COUNT + chains.len(), io.memory);
                copy(&slices, COUNT, &chains);
                self.deliver(count, buffers, io)?;
            }
        }
        Ok(Turn::Next)
    }

    /// The next frame goes through the host's memory: it comes from a stream, or buffers are scarce.
    fn copy_frame(&mut self, longest: usize, buffers: &mut Buffers, io: &mut Io<'_>) -> Result<Turn, Fault> {
        let Some(link) = &mut self.link else { return Ok(Turn::Wait(Wait::Link)) };
        let (mut header, frame) = match link.incoming() {
            Incoming::Frame { header, frame } => (header, frame),
            Incoming::Nothing => return Ok(Turn::Wait(Wait::Link)),
            Incoming::Ended => return Ok(Turn::Ended),
        };
        let length = HEADER + frame.len();
        if frame.len() < ETHERNET {
            self.counters.short += 1;
        } else if frame.len() > longest {
            self.counters.long += 1;
        } else if buffers.gather(length, io)? {
            header[COUNT..].copy_from_slice(&buffers.chains_for(length).to_le_bytes());
            let slices = buffers.slices(length, io.memory);
            copy(&slices, 0, &header);
            copy(&slices, HEADER, frame);
            link.consume();
            self.deliver(length, buffers, io)?;
            return Ok(Turn::Next);
        } else if buffers.may_grow(io) {
            // The frame stays where it is until the driver has added buffers.
            return Ok(Turn::Wait(Wait::Driver));
        } else {
            self.counters.no_buffer += 1;
        }
        link.consume();
        Ok(Turn::Next)
    }

    fn deliver(&mut self, length: usize, buffers: &mut Buffers, io: &mut Io<'_>) -> Result<(), Fault> {
        buffers.push(length, io)?;
        let bytes = (length - HEADER) as u64;
        self.receive_limiter.charge(bytes);
        self.counters.received_frames += 1;
        self.counters.received_bytes += bytes;
        Ok(())
    }
}

/// Reads into the first `room` bytes of buffers, unless they are too many for one system call.
fn read_into(tap: &Tap, buffers: &Buffers, room: usize, io: &Io<'_>) -> Option<Filled> {
    let slices = buffers.slices(room, io.memory);
    // One is for what doesn't fit.
    if slices.len() >= system::MAX_BUFFERS {
        return None;
    }
    let filled = tap.read_into(&slices);
    if let Filled::Bytes(count) = filled {
        mark_written(&slices, count);
    }
    Some(filled)
}
