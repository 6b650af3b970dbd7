//! From host to guest: packets into the buffers of the RX queue.
//!
//! Each connection has its turn: what it must tell, and then as many bytes as
//! fit into a burst of buffers. When the guest has no buffers, everything stays
//! where it is, bytes in the host's sockets, which are not watched meanwhile.

use std::io;

use super::connection::{Connection, MAX_BURST};
use super::device::{BATCH, RX, VsockDevice};
use super::packet::{Op, SIZE};
use super::transfer;
use crate::virtio::chain::Slice;
use crate::virtio::{Chain, Fault, Io};

/// What a turn has come to.
enum Turn {
    /// So many buffers were used.
    Used(usize),
    /// The guest has no more buffers.
    Full,
}

/// A buffer of the guest: room for a header and a payload.
struct Frame<'m> {
    chain: Chain,
    header: Vec<Slice<'m>>,
    payload: Vec<Slice<'m>>,
    room: usize,
}

impl<'m> Frame<'m> {
    /// The next buffer, at most `limit` bytes of payload.
    fn next(io: &mut Io<'m>, limit: usize) -> Result<Option<Self>, Fault> {
        let Some(chain) = io.pop(RX)? else { return Ok(None) };
        let mut writer = chain.writer(io.memory);
        if writer.left() < SIZE as u64 {
            return Err(Fault::Request("a receive buffer is too short for a header"));
        }
        let (header, payload) = (writer.slices(SIZE), writer.slices(limit));
        let room = payload.iter().map(Slice::len).sum();
        Ok(Some(Self { chain, header, payload, room }))
    }

    /// Returns it with a header and a payload of `count` bytes, which lies there already.
    fn finish(self, io: &mut Io<'m>, header: &[u8; SIZE], count: usize) -> Result<(), Fault> {
        let mut at = 0;
        for slice in &self.header {
            slice.copy_from(&header[at..]);
            at += slice.len();
        }
        io.push(RX, self.chain.head(), u32::try_from(SIZE + count).unwrap_or(u32::MAX))
    }
}

impl VsockDevice {
    /// Sends the guest what there is for it, at most a batch.
    pub(super) fn serve(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        let mut used = 0;
        while used < BATCH {
            if let Some(reply) = self.replies.front() {
                let Some(frame) = Frame::next(io, 0)? else { break };
                frame.finish(io, &reply.encode(), 0)?;
                self.replies.pop_front();
                used += 1;
                continue;
            }
            let Some(id) = self.ready.pop_front() else { break };
            match self.turn(id, io)? {
                Turn::Used(count) => used += count,
                Turn::Full => {
                    self.ready.push_front(id);
                    break;
                }
            }
        }
        if used >= BATCH {
            self.call_again();
        }
        io.notify(RX)
    }

    fn turn(&mut self, id: u32, io: &mut Io<'_>) -> Result<Turn, Fault> {
        let cid = u64::from(self.cid);
        let Some(connection) = self.table.get_mut(id) else { return Ok(Turn::Used(0)) };
        let mut used = 0;
        if connection.control_comes_first() {
            let Some(frame) = Frame::next(io, 0)? else {
                self.settle(id);
                return Ok(Turn::Full);
            };
            if let Some((op, flags)) = connection.control() {
                let header = connection.header(cid, op, flags, 0).encode();
                frame.finish(io, &header, 0)?;
            } else {
                io.unpop(RX);
            }
            used += 1;
        } else if connection.sendable() > 0 {
            match fill(connection, cid, io)? {
                None => {
                    self.settle(id);
                    return Ok(Turn::Full);
                }
                Some(Filled::Bytes { frames, count }) => {
                    self.counters.received_bytes += count as u64;
                    used += frames;
                }
                Some(Filled::Nothing) => connection.readable = false,
                Some(Filled::End) => connection.host_finished(),
                Some(Filled::Broken) => {
                    self.reset_connection(id);
                    return Ok(Turn::Used(0));
                }
            }
        }
        connection.queued = false;
        self.conclude(id);
        Ok(Turn::Used(used))
    }
}

enum Filled {
    Bytes { frames: usize, count: usize },
    Nothing,
    End,
    Broken,
}

/// Reads from the host's socket into as many buffers as make sense; `None` if the guest has none.
fn fill(connection: &mut Connection, cid: u64, io: &mut Io<'_>) -> Result<Option<Filled>, Fault> {
    let wanted = connection.sendable();
    let mut frames = Vec::with_capacity(connection.burst);
    let mut room = 0;
    while room < wanted && frames.len() < connection.burst {
        let Some(frame) = Frame::next(io, wanted - room)? else { break };
        if frame.room == 0 {
            return Err(Fault::Request("a receive buffer has no room for data"));
        }
        room += frame.room;
        frames.push(frame);
    }
    let Some(host) = &connection.host else { return Ok(Some(Filled::Nothing)) };
    if frames.is_empty() {
        return Ok(None);
    }
    let slices: Vec<_> = frames.iter().flat_map(|frame| &frame.payload).copied().collect();
    let read = transfer::receive(host.stream(), &slices);
    let count = *read.as_ref().unwrap_or(&0);
    let mut left = count;
    let mut used = 0;
    for frame in frames {
        if left == 0 {
            // In reverse order, as each gives back the last that is out: which one doesn't matter.
            io.unpop(RX);
            continue;
        }
        let part = frame.room.min(left);
        left -= part;
        used += 1;
        let length = u32::try_from(part).expect("no more than the credit");
        connection.credit.send(length);
        let header = connection.header(cid, Op::Data, 0, length).encode();
        frame.finish(io, &header, part)?;
    }
    // A short read says that there is no more: the event loop tells of more.
    connection.readable = count == room || connection.hung_up;
    connection.burst = if count == room { (connection.burst * 2).min(MAX_BURST) } else { used.max(1) };
    Ok(Some(match read {
        Ok(0) => Filled::End,
        Ok(count) => Filled::Bytes { frames: used, count },
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Filled::Broken,
        // Nobody would tell of more.
        Err(_) if connection.hung_up => Filled::End,
        Err(_) => Filled::Nothing,
    }))
}
