//! What becomes of a connection as either side goes on or ends.

use std::io;
use std::net::Shutdown;

use super::connection::{Connection, Phase};
use super::device::VsockDevice;
use super::packet::Op;
use super::transfer;
use crate::events::Ready;

impl VsockDevice {
    /// News of a host socket.
    pub(super) fn on_host(&mut self, id: u32, ready: Ready) {
        // It may have gone since the kernel was asked.
        let Some(connection) = self.table.get_mut(id) else { return };
        connection.readable |= ready.readable && !connection.finished;
        if ready.hangup {
            connection.hang_up();
        }
        if ready.hangup && matches!(connection.phase, Phase::Requested { .. } | Phase::Draining) {
            // Nobody is left who would read an answer, or the rest.
            return self.reset_connection(id);
        }
        if ready.writable || ready.hangup {
            flush(connection);
        }
        self.conclude(id);
    }

    /// Draws the consequences of what is shut and what is flushed; then lets it have its turn.
    pub(super) fn conclude(&mut self, id: u32) {
        let Some(connection) = self.table.get_mut(id) else { return };
        let flushed = connection.backlog.is_empty();
        match connection.phase {
            Phase::Draining if flushed => return self.forget(id),
            // A clean end: it is confirmed by a reset (5.10.6.5).
            Phase::Open if flushed && connection.guest_closed() => return self.reset_connection(id),
            Phase::Open if connection.host_is_done() && connection.lost => return self.reset_connection(id),
            Phase::Open if connection.host_is_done() => connection.end(),
            Phase::Open => {
                shut(connection);
                self.counters.credit_stalls += u64::from(connection.starve());
            }
            _ => {}
        }
        self.enqueue(id);
        self.settle(id);
    }

    /// Whether there is room for one more connection, perhaps by giving up one that has
    /// ended on the host's side and for whose last word the guest was waited for.
    pub(super) fn make_room(&mut self) -> bool {
        if self.table.is_full() {
            let ending = self.table.iter().find(|(_, connection)| connection.phase == Phase::Ending);
            let Some((id, _)) = ending else { return false };
            self.reset_connection(id);
        }
        true
    }

    /// Gives it a turn, if it wants one.
    pub(super) fn enqueue(&mut self, id: u32) {
        if let Some(connection) = self.table.get_mut(id)
            && !connection.queued
            && connection.wants_turn()
        {
            connection.queued = true;
            self.ready.push_back(id);
        }
    }

    /// Watches its socket for what it can make use of now.
    pub(super) fn settle(&mut self, id: u32) {
        let Some(connection) = self.table.get_mut(id) else { return };
        let interest = connection.interest();
        if let Some(host) = &mut connection.host
            && host.watch(interest).is_err()
        {
            // Out of kernel memory: unwatched, it would hang for ever.
            self.reset_connection(id);
        }
    }

    /// Takes it out, and tells the guest unless it never knew of it or knows already.
    pub(super) fn reset_connection(&mut self, id: u32) {
        let Some(mut connection) = self.forget_silently(id) else { return };
        if !connection.owed.request && connection.phase != Phase::Draining {
            self.replies.push_back(connection.header(u64::from(self.cid), Op::Reset, 0, 0));
        }
    }

    /// Takes it out.
    pub(super) fn forget(&mut self, id: u32) {
        self.forget_silently(id);
    }

    fn forget_silently(&mut self, id: u32) -> Option<Connection> {
        let connection = self.table.remove(id)?;
        if connection.queued {
            // Else numbers of the dead would pile up while the guest gives no buffers.
            self.ready.retain(|other| *other != id);
        }
        match connection.phase {
            Phase::Requested { .. } => self.counters.refused += 1,
            _ => self.counters.closed += 1,
        }
        Some(connection)
    }
}

/// Writes what the host's socket takes of the backlog.
fn flush(connection: &mut Connection) {
    while !connection.backlog.is_empty() {
        let Some(host) = &connection.host else { return };
        let (front, back) = connection.backlog.as_slices();
        match transfer::send_bytes(host.stream(), [front, back]) {
            Ok(count) => {
                connection.backlog.drain(..count);
                connection.forwarded(count);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => connection.host_refuses(),
        }
    }
    // A slow reader's memory isn't kept once it has caught up.
    connection.backlog = std::collections::VecDeque::new();
}

/// Passes on what the guest has shut.
fn shut(connection: &mut Connection) {
    let Some(host) = &connection.host else { return };
    // That it was shut before, or that the peer has gone, is no news.
    if connection.guest_refuses() {
        let _ = host.stream().shutdown(Shutdown::Read);
    }
    if connection.guest_finished() && connection.backlog.is_empty() {
        let _ = host.stream().shutdown(Shutdown::Write);
    }
}
