//! One request: a chain of buffers, checked and ready to be read and written.
//!
//! In:  the head of a chain in a descriptor table (virtio 1.2, 2.7.5).
//! Out: buffers that lie in guest memory, the readable before the writable.
//!
//! The guest may change buffers at any time: nothing may be read twice and
//! believed to be the same. The descriptors themselves are read once, here.

use vm_memory::bitmap::{BS, Bitmap as _};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryBackend as _, VolatileSlice};

use super::Fault;
use crate::memory::GuestMemory;
use vm_memory::bitmap::AtomicBitmap;

/// A part of guest memory, with a bitmap that notes writes.
pub type Slice<'m> = VolatileSlice<'m, BS<'m, AtomicBitmap>>;

#[cfg(test)]
mod exhaustive;

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
const DESCRIPTOR_SIZE: u32 = 16;

/// A buffer in guest memory; that it lies there was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Guest address.
    pub address: GuestAddress,
    /// In bytes, not zero.
    pub length: u32,
}

/// A request of the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    head: u16,
    segments: Vec<Segment>,
    /// How many of the segments are for the device to read; the others are for it to write.
    readable: usize,
}

/// A descriptor as it lies in memory.
struct Descriptor {
    address: u64,
    length: u32,
    flags: u16,
    next: u16,
}

/// A table of descriptors.
#[derive(Clone, Copy)]
struct Table {
    address: u64,
    length: u16,
}

impl Table {
    fn read(&self, memory: &GuestMemory, index: u16) -> Result<Descriptor, Fault> {
        if index >= self.length {
            return Err(Fault::Index { index, size: self.length });
        }
        let address = self.address.checked_add(u64::from(index) * u64::from(DESCRIPTOR_SIZE));
        let mut bytes = [0; DESCRIPTOR_SIZE as usize];
        address
            .and_then(|address| memory.read_slice(&mut bytes, GuestAddress(address)).ok())
            .ok_or(Fault::Queue(self.address))?;
        let [a, b, c, d, e, f, g, h, l0, l1, l2, l3, f0, f1, n0, n1] = bytes;
        Ok(Descriptor {
            address: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            flags: u16::from_le_bytes([f0, f1]),
            next: u16::from_le_bytes([n0, n1]),
        })
    }
}

impl Chain {
    /// Reads the chain that starts at `head` of the queue's table.
    ///
    /// # Errors
    /// When the guest's descriptors are invalid in any way.
    pub(super) fn read(memory: &GuestMemory, table: u64, size: u16, head: u16) -> Result<Self, Fault> {
        let mut chain = Self { head, segments: Vec::new(), readable: 0 };
        let direct = Table { address: table, length: size };
        let (mut table, mut index, mut seen) = (direct, head, 0u16);
        let mut within = false;
        loop {
            let descriptor = table.read(memory, index)?;
            seen += 1;
            if seen > size {
                return Err(Fault::Loop(size));
            }
            if descriptor.flags & INDIRECT != 0 {
                // Neither nested, nor followed by more (2.7.5.3.1).
                let nested = within || descriptor.flags & NEXT != 0;
                let count = descriptor.length / DESCRIPTOR_SIZE;
                let length = u16::try_from(count).unwrap_or(u16::MAX);
                if nested || count == 0 || descriptor.length % DESCRIPTOR_SIZE != 0 || u32::from(length) != count {
                    return Err(Fault::Indirect(descriptor.length));
                }
                (table, index, within) = (Table { address: descriptor.address, length }, 0, true);
                // It stands for the chain within, whose own length counts.
                seen -= 1;
                continue;
            }
            chain.add(memory, &descriptor)?;
            if descriptor.flags & NEXT == 0 {
                return Ok(chain);
            }
            index = descriptor.next;
        }
    }

    fn add(&mut self, memory: &GuestMemory, descriptor: &Descriptor) -> Result<(), Fault> {
        let &Descriptor { address, length, flags, .. } = descriptor;
        let writable = flags & WRITE != 0;
        if !writable && self.readable < self.segments.len() {
            return Err(Fault::Order);
        }
        if length == 0 {
            return Ok(());
        }
        let segment = Segment { address: GuestAddress(address), length };
        segment.slice(memory)?;
        self.segments.push(segment);
        self.readable += usize::from(!writable);
        Ok(())
    }

    /// What names this chain in the used ring.
    pub fn head(&self) -> u16 {
        self.head
    }

    /// Buffers for the device to read.
    pub fn readable(&self) -> &[Segment] {
        &self.segments[..self.readable]
    }

    /// Buffers for the device to write.
    pub fn writable(&self) -> &[Segment] {
        &self.segments[self.readable..]
    }

    /// Reads from the start of the readable buffers.
    pub fn reader<'m>(&self, memory: &'m GuestMemory) -> Reader<'m> {
        Reader(Cursor::new(memory, self.readable()))
    }

    /// Writes from the start of the writable buffers.
    pub fn writer<'m>(&self, memory: &'m GuestMemory) -> Writer<'m> {
        Writer(Cursor::new(memory, self.writable()))
    }
}

impl Segment {
    /// Its memory.
    ///
    /// # Errors
    /// Never for a segment of a chain, whose place was checked.
    pub fn slice<'m>(&self, memory: &'m GuestMemory) -> Result<Slice<'m>, Fault> {
        let fault = || Fault::Buffer { address: self.address.0, length: self.length };
        // Within one region: memory on both sides of a gap is no buffer.
        self.address.0.checked_add(u64::from(self.length)).ok_or_else(fault)?;
        memory.get_slice(self.address, self.length as usize).map_err(|_| fault())
    }
}

/// A place in a list of buffers.
struct Cursor<'m> {
    memory: &'m GuestMemory,
    segments: std::collections::VecDeque<Segment>,
    done: u64,
}

impl<'m> Cursor<'m> {
    fn new(memory: &'m GuestMemory, segments: &[Segment]) -> Self {
        Self { memory, segments: segments.iter().copied().collect(), done: 0 }
    }

    fn left(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.length)).sum()
    }

    /// The next buffer, at most `limit` bytes of it, and moves past it.
    fn next(&mut self, limit: usize) -> Option<Slice<'m>> {
        let front = self.segments.front_mut()?;
        let length = front.length.min(u32::try_from(limit).unwrap_or(u32::MAX));
        let slice = Segment { address: front.address, length }.slice(self.memory).ok()?;
        if length == front.length {
            self.segments.pop_front();
        } else {
            front.address = GuestAddress(front.address.0 + u64::from(length));
            front.length -= length;
        }
        self.done += u64::from(length);
        Some(slice)
    }

    fn slices(&mut self, mut count: usize) -> Vec<Slice<'m>> {
        let mut slices = Vec::new();
        while count > 0 {
            let Some(slice) = self.next(count) else { break };
            count -= slice.len();
            slices.push(slice);
        }
        slices
    }
}

/// Reads what the driver has written.
pub struct Reader<'m>(Cursor<'m>);

impl<'m> Reader<'m> {
    /// Bytes that are left.
    pub fn left(&self) -> u64 {
        self.0.left()
    }

    /// Fills `buffer`.
    ///
    /// # Errors
    /// When the driver's buffers are shorter.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        let mut at = 0;
        while at < buffer.len() {
            let rest = &mut buffer[at..];
            let slice = self.0.next(rest.len()).ok_or(Fault::Request("a request is too short"))?;
            slice.copy_to(rest);
            at += slice.len();
        }
        Ok(())
    }

    /// A fixed number of bytes.
    ///
    /// # Errors
    /// When the driver's buffers are shorter.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    /// The memory of the next `count` bytes (or of what is left), for vectored I/O; moves past it.
    pub fn slices(&mut self, count: usize) -> Vec<Slice<'m>> {
        self.0.slices(count)
    }
}

/// Writes what the driver will read.
pub struct Writer<'m>(Cursor<'m>);

impl<'m> Writer<'m> {
    /// Bytes of room that are left.
    pub fn left(&self) -> u64 {
        self.0.left()
    }

    /// Bytes that were written, or handed out: what the used ring is told.
    pub fn written(&self) -> u32 {
        u32::try_from(self.0.done).unwrap_or(u32::MAX)
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// When the driver's buffers are shorter.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let slice = self.0.next(rest.len()).ok_or(Fault::Request("a reply's buffer is too short"))?;
            slice.copy_from(rest);
            at += slice.len();
        }
        Ok(())
    }

    /// The memory of the next `count` bytes (or of what is left), for vectored I/O; moves past it.
    ///
    /// Whoever lets the kernel write there says so by `mark_written`.
    pub fn slices(&mut self, count: usize) -> Vec<Slice<'m>> {
        self.0.slices(count)
    }
}

/// Notes that the first `count` bytes of `slices` were written behind the bitmap's back, by a system call.
pub fn mark_written(slices: &[Slice<'_>], mut count: usize) {
    for slice in slices {
        let part = slice.len().min(count);
        slice.bitmap().mark_dirty(0, part);
        count -= part;
        if count == 0 {
            return;
        }
    }
}
