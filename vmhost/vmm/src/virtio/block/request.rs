//! What a chain asks of a disk (virtio 1.2, 5.2.6).
//!
//! In:  a chain of the driver.
//! Out: an action whose bytes lie on the disk, or the status that refuses it; a
//!      fault if the chain is none of a block driver.

use std::ops::Range;

use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID,
    VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP,
};
use vm_memory::{Address as _, GuestAddress};

use super::engine::Buffers;
use super::image::SECTOR;
use crate::memory::GuestMemory;
use crate::virtio::{Chain, Fault};

/// Bytes of a request's header.
const HEADER: u64 = 16;
/// Bytes of a disk's name, as `GET_ID` gives it.
pub(super) const ID: usize = 20;
/// Most bytes of data in one request, what `size_max` and `seg_max` come to: keeps one
/// request from occupying the device thread.
pub(super) const MAX_REQUEST: u64 = SIZE_MAX as u64 * SEG_MAX as u64;
/// Largest buffer, in bytes.
pub(super) const SIZE_MAX: u32 = 1 << 18;
/// Buffers of data in one chain: those of a queue but header and status.
pub(super) const SEG_MAX: u32 = 254;
/// Most sectors that one request may discard or clear, which is 128 MiB: a host may
/// have to write the zeros.
pub(super) const MAX_CLEAR: u32 = 1 << 18;

/// What is asked for.
pub(super) enum Action {
    /// Bytes of the disk into guest memory.
    Read(Buffers),
    /// Guest memory into bytes of the disk.
    Write(Buffers),
    /// The driver has no use for the bytes any more.
    Discard,
    /// The bytes become zeros; they may lose their room.
    Zero {
        /// They may lose their room.
        unmap: bool,
    },
    /// Everything written is on the medium.
    Flush,
    /// The disk's name.
    Id(Buffers),
    /// Nothing that can be done.
    Refused(u32),
}

/// A request, checked.
pub(super) struct Request {
    pub(super) head: u16,
    pub(super) action: Action,
    /// Bytes of the disk that it is about; empty for those that are about none.
    pub(super) bytes: Range<u64>,
    /// Where the status goes.
    pub(super) status: GuestAddress,
    /// Writable bytes before the status.
    pub(super) room: u64,
}

/// What a disk can do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// In bytes.
    pub(super) size: u64,
    pub(super) writable: bool,
}

impl Request {
    /// Reads and checks a chain.
    pub(super) fn read(chain: &Chain, memory: &GuestMemory, limits: Limits) -> Result<Self, Fault> {
        let mut reader = chain.reader(memory);
        let [t0, t1, t2, t3, _, _, _, _, sector @ ..] = reader.array::<{ HEADER as usize }>()?;
        let last = chain.writable().last().ok_or(Fault::Request("a disk's request has no byte for its status"))?;
        // A segment's length isn't zero, and it ends in memory.
        let status = last.address.unchecked_add(u64::from(last.length) - 1);
        let room = chain.writable().iter().map(|segment| u64::from(segment.length)).sum::<u64>() - 1;
        let sector = u64::from_le_bytes(sector);
        let (action, bytes) = match u32::from_le_bytes([t0, t1, t2, t3]) {
            VIRTIO_BLK_T_IN => {
                let data = Buffers::part(memory, chain.writable(), 0, room);
                transfer(sector, data, limits.size).map_or_else(refused, |(data, bytes)| (Action::Read(data), bytes))
            }
            VIRTIO_BLK_T_OUT if limits.writable => {
                let data = Buffers::part(memory, chain.readable(), HEADER, u64::MAX);
                transfer(sector, data, limits.size).map_or_else(refused, |(data, bytes)| (Action::Write(data), bytes))
            }
            kind @ (VIRTIO_BLK_T_DISCARD | VIRTIO_BLK_T_WRITE_ZEROES) if limits.writable => {
                // One range, as `max_discard_seg` and `max_write_zeroes_seg` say.
                if reader.left() == HEADER { clear(kind, reader.array()?, limits.size) } else { refused() }
            }
            VIRTIO_BLK_T_OUT | VIRTIO_BLK_T_DISCARD | VIRTIO_BLK_T_WRITE_ZEROES => refused(),
            VIRTIO_BLK_T_FLUSH => (Action::Flush, 0..0),
            VIRTIO_BLK_T_GET_ID => (Action::Id(Buffers::part(memory, chain.writable(), 0, room.min(ID as u64))), 0..0),
            _ => unsupported(),
        };
        Ok(Self { head: chain.head(), action, bytes, status, room })
    }

    /// Whether it changes the disk.
    pub(super) fn writes(&self) -> bool {
        matches!(self.action, Action::Write(_) | Action::Discard | Action::Zero { .. })
    }

    /// What the limit on bytes counts.
    pub(super) fn cost(&self) -> u64 {
        match &self.action {
            Action::Read(data) | Action::Write(data) => data.length(),
            _ => 0,
        }
    }

    /// Bytes written from the start of the writable buffers, for the used ring. Nothing is
    /// promised about data before the status when it isn't all there.
    pub(super) fn written(&self, complete: bool) -> u32 {
        let data = match &self.action {
            Action::Read(data) | Action::Id(data) if complete => data.length(),
            _ => 0,
        };
        // The status follows at once, or there is a gap that isn't written.
        u32::try_from(data + u64::from(data == self.room)).unwrap_or(u32::MAX)
    }
}

fn refused() -> (Action, Range<u64>) {
    (Action::Refused(VIRTIO_BLK_S_IOERR), 0..0)
}

fn unsupported() -> (Action, Range<u64>) {
    (Action::Refused(VIRTIO_BLK_S_UNSUPP), 0..0)
}

/// The disk's bytes that go to or come from `data`, if there are such.
fn transfer(sector: u64, data: Buffers, size: u64) -> Option<(Buffers, Range<u64>)> {
    let length = data.length();
    let bytes = on_disk(sector, length, size)?;
    (length.is_multiple_of(SECTOR) && length <= MAX_REQUEST).then_some((data, bytes))
}

fn clear(kind: u32, range: [u8; 16], size: u64) -> (Action, Range<u64>) {
    let [sector @ .., c0, c1, c2, c3, f0, f1, f2, f3] = range;
    let (sector, count) = (u64::from_le_bytes(sector), u32::from_le_bytes([c0, c1, c2, c3]));
    let flags = u32::from_le_bytes([f0, f1, f2, f3]);
    let unmap = flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP != 0;
    // Unknown flags, and to unmap when discarding (5.2.6.2).
    if flags & !VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP != 0 || (kind == VIRTIO_BLK_T_DISCARD && unmap) {
        return unsupported();
    }
    match on_disk(sector, u64::from(count) * SECTOR, size) {
        Some(bytes) if count <= MAX_CLEAR => {
            (if kind == VIRTIO_BLK_T_DISCARD { Action::Discard } else { Action::Zero { unmap } }, bytes)
        }
        _ => refused(),
    }
}

fn on_disk(sector: u64, length: u64, size: u64) -> Option<Range<u64>> {
    let start = sector.checked_mul(SECTOR)?;
    let end = start.checked_add(length)?;
    (end <= size).then_some(start..end)
}
