//! From guest to host: packets of the TX queue.

use std::io;

use super::connection::{Connection, Key, Step};
use super::credit;
use super::device::{BATCH, TX, VsockDevice};
use super::host::HostSocket;
use super::packet::{HOST_CID, Header, Op, STREAM};
use super::transfer;
use crate::events::Interest;
use crate::virtio::chain::Slice;
use crate::virtio::{Chain, Fault, Io, Reader};

/// How many replies may wait for the guest's buffers before its packets must wait too.
const MAX_REPLIES: usize = 1024;

impl VsockDevice {
    /// Handles what the guest has sent, at most a batch of it.
    pub(super) fn transmit(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        self.stalled = false;
        for handled in 0.. {
            if self.replies.len() >= MAX_REPLIES {
                self.stalled = true;
                break;
            }
            if handled == BATCH {
                self.call_again();
                break;
            }
            let Some(chain) = io.pop(TX)? else { break };
            self.on_chain(&chain, io)?;
            io.push(TX, chain.head(), 0)?;
        }
        io.notify(TX)
    }

    fn on_chain(&mut self, chain: &Chain, io: &Io<'_>) -> Result<(), Fault> {
        let mut reader = chain.reader(io.memory);
        let header = Header::decode(&reader.array()?);
        if header.src_cid != u64::from(self.cid) {
            // Nobody is there to be answered.
            self.counters.protocol_errors += 1;
            return Ok(());
        }
        if header.dst_cid != HOST_CID || header.kind != STREAM {
            self.counters.protocol_errors += 1;
            self.refuse(&header);
            return Ok(());
        }
        let key = Key { guest_port: header.src_port, host_port: header.dst_port };
        match (self.table.id(key), header.op()) {
            (Some(id), _) => self.on_packet(id, &header, reader),
            (None, Some(Op::Request)) => self.connect(key, &header),
            (None, _) => self.refuse(&header),
        }
        Ok(())
    }

    fn on_packet(&mut self, id: u32, header: &Header, mut reader: Reader<'_>) {
        let Some(connection) = self.table.get_mut(id) else { return };
        let step = if header.op() == Some(Op::Data) && u64::from(header.len) > reader.left() {
            // More than there is.
            Step::Violation
        } else {
            connection.on_packet(header)
        };
        match step {
            Step::Done => self.conclude(id),
            Step::Accepted => self.accepted(id),
            Step::Deliver => {
                self.counters.sent_bytes += u64::from(header.len);
                deliver(connection, &reader.slices(header.len as usize));
                self.conclude(id);
            }
            Step::Forget => self.forget(id),
            Step::Reset => self.reset_connection(id),
            Step::Stray => self.refuse(header),
            Step::Violation => {
                self.counters.protocol_errors += 1;
                self.forget(id);
                self.refuse(header);
            }
        }
    }

    /// The guest has accepted what a host client wanted.
    fn accepted(&mut self, id: u32) {
        let Some(connection) = self.table.get_mut(id) else { return };
        let line = format!("OK {}\n", connection.key.host_port);
        let sent = connection.host.as_ref().map(|host| transfer::send_bytes(host.stream(), [line.as_bytes(), &[]]));
        self.counters.opened += 1;
        // A new socket has room for a line, if there is anybody at its other end.
        if matches!(sent, Some(Ok(count)) if count == line.len()) {
            self.conclude(id);
        } else {
            self.reset_connection(id);
        }
    }

    /// The guest wants to reach a service of the host.
    fn connect(&mut self, key: Key, request: &Header) {
        let id = self.free_id();
        let room = self.make_room();
        let host = match &self.poll {
            Some(poll) if room => {
                self.peers.connect(key.host_port).and_then(|stream| HostSocket::new(stream, poll, id, Interest::Read))
            }
            _ => Err(io::ErrorKind::ConnectionRefused.into()),
        };
        let Ok(host) = host else {
            self.counters.refused += 1;
            self.replies.push_back(request.refusal());
            return;
        };
        let window = credit::window(self.table.len());
        self.table.insert(id, Connection::incoming(key, window, host, request));
        self.counters.opened += 1;
        self.enqueue(id);
    }

    /// Answers a packet that belongs to no connection.
    fn refuse(&mut self, header: &Header) {
        // A reset is never answered by a reset: that would go on for ever.
        if header.op() != Some(Op::Reset) {
            self.replies.push_back(header.refusal());
        }
    }
}

/// Passes payload on, straight from guest memory; what the host doesn't take now goes to the backlog.
fn deliver(connection: &mut Connection, slices: &[Slice<'_>]) {
    let length: usize = slices.iter().map(Slice::len).sum();
    let mut sent = 0;
    let Some(host) = &connection.host else { return };
    if connection.lost || connection.hung_up {
        connection.forwarded(length);
        return connection.host_refuses();
    }
    if connection.backlog.is_empty() && length > 0 {
        match transfer::send(host.stream(), slices) {
            Ok(count) => sent = count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => {
                connection.forwarded(length);
                return connection.host_refuses();
            }
        }
        connection.forwarded(sent);
    }
    // The credit bounds it: no more than the window was received and not forwarded.
    let mut bytes = [0; 4096];
    for slice in slices {
        let mut at = sent.min(slice.len());
        sent -= at;
        while at < slice.len() {
            let Ok(rest) = slice.offset(at) else { return };
            let count = rest.copy_to(&mut bytes[..]);
            connection.backlog.extend(&bytes[..count]);
            at += count;
        }
    }
}
