//! The hostile guest's memory, and which bytes of it a device may write.
//!
//! Small, so that made-up addresses meet each other, and with a gap: a buffer
//! that reaches from one stretch into the next is none.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::OnceLock;

use vm_memory::{Bytes as _, GuestAddress, GuestMemoryBackend as _, GuestMemoryRegion as _};
use vmm::memory::{GuestMemory, PAGE};
use vmm::virtio::QueueState;

/// Both stretches of memory.
pub const STRETCHES: [Range<u64>; 2] = [0..0x6000, 0x8000..0xC000];

const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
const DESCRIPTOR: u64 = 16;

/// Beyond so many descriptors nobody keeps count of what may be written.
const MOST_DESCRIPTORS: u64 = 20_000;

/// Memory with a record of what was offered to the device for writing.
pub struct Memory {
    memory: GuestMemory,
    /// One flag a byte, over both stretches and the gap.
    writable: Vec<bool>,
    /// What was offered can't be told any more: the device may write over descriptors that it has yet to read.
    anything: bool,
    /// Pages that have changed without a mark in the dirty bitmap, so far.
    unmarked: BTreeSet<u64>,
}

/// What memory held before a device ran.
pub struct Before(Vec<u8>);

impl Memory {
    /// Zeroed memory, of which nothing is offered.
    pub fn new() -> Self {
        let memory = mapped();
        for range in STRETCHES {
            memory.write_slice(&vec![0; length(&range)], GuestAddress(range.start)).expect("it is there");
        }
        Self {
            memory,
            writable: vec![false; length(&(0..STRETCHES[1].end))],
            anything: false,
            unmarked: BTreeSet::new(),
        }
    }

    /// What the device gets.
    pub fn guest(&self) -> &GuestMemory {
        &self.memory
    }

    /// The guest writes, where there is memory.
    pub fn write(&self, address: u64, bytes: &[u8]) {
        let _ = self.memory.write(bytes, GuestAddress(address));
    }

    /// Nothing is offered any more: the device was reset.
    pub fn withdraw(&mut self) {
        self.writable.fill(false);
        self.anything = false;
    }

    /// Notes everything that the rings and tables of `queues` let a device write from now on.
    pub fn offer<'q>(&mut self, queues: impl Iterator<Item = &'q QueueState>) {
        let mut offer = Offer::default();
        for queue in queues.filter(|queue| queue.ready) {
            let size = u64::from(queue.size);
            offer.believed.push(queue.driver..queue.driver + 6 + 2 * size);
            // The flags of a used ring are never written.
            offer.writable.push(queue.device + 2..queue.device + 6 + 8 * size);
            self.table(queue.descriptors, size, true, &mut offer);
        }
        let overlap = |range: &Range<u64>| offer.believed.iter().any(|believed| meets(range, believed));
        self.anything |= offer.left_out || offer.writable.iter().any(overlap);
        for range in &offer.writable {
            let end = range.end.min(STRETCHES[1].end);
            if let Some(flags) = usize::try_from(range.start).ok().and_then(|start| {
                let end = usize::try_from(end).ok()?;
                self.writable.get_mut(start..end)
            }) {
                flags.fill(true);
            }
        }
    }

    fn table(&self, address: u64, count: u64, direct: bool, offer: &mut Offer) {
        offer.descriptors += count;
        if offer.descriptors > MOST_DESCRIPTORS {
            offer.left_out = true;
            return;
        }
        let Some(end) = address.checked_add(count * DESCRIPTOR) else { return };
        offer.believed.push(address..end);
        for start in (address..end).step_by(16) {
            let mut bytes = [0; 16];
            if self.memory.read_slice(&mut bytes, GuestAddress(start)).is_err() {
                return;
            }
            let (low, high) = bytes.split_at(8);
            let buffer = u64::from_le_bytes(low.try_into().expect("eight bytes"));
            let length = u32::from_le_bytes(high[..4].try_into().expect("four bytes"));
            let flags = u16::from_le_bytes([high[4], high[5]]);
            if flags & INDIRECT != 0 && direct {
                self.table(buffer, u64::from(length) / DESCRIPTOR, false, offer);
            } else if flags & WRITE != 0 {
                offer.writable.push(buffer..buffer.saturating_add(length.into()));
            }
        }
    }

    /// What is there now; from here on the dirty bitmap notes what the device writes.
    pub fn before(&self) -> Before {
        self.memory.iter().for_each(|region| (**region).bitmap().reset());
        Before(self.copy())
    }

    /// Checks that the device wrote where it may, and notes what the bitmap doesn't know of.
    ///
    /// # Panics
    /// When it wrote elsewhere.
    pub fn check(&mut self, before: &Before) {
        let now = self.copy();
        let mut at = 0;
        for region in self.memory.clone().iter() {
            for page in (0..length(&(0..region.len()))).step_by(PAGE) {
                let (old, new) = (&before.0[at..at + PAGE], &now[at..at + PAGE]);
                let address = region.start_addr().0 + page as u64;
                if (**region).bitmap().is_addr_set(page) {
                    self.unmarked.remove(&address);
                } else if old != new {
                    self.unmarked.insert(address);
                }
                if old != new {
                    self.check_page(address, old, new);
                }
                at += PAGE;
            }
        }
    }

    /// Checks that the dirty bitmap knows of everything that was written.
    ///
    /// # Panics
    /// When it doesn't: a snapshot would miss it.
    pub fn check_marked(&self) {
        assert!(self.unmarked.is_empty(), "pages {:#x?} were written and the dirty bitmap doesn't know", self.unmarked);
    }

    fn check_page(&self, start: u64, old: &[u8], new: &[u8]) {
        if self.anything {
            return;
        }
        for (address, (old, new)) in (start..).zip(old.iter().zip(new)) {
            let allowed = usize::try_from(address).is_ok_and(|address| self.writable[address]);
            assert!(old == new || allowed, "the device wrote {new:#x} to {address:#x}, which it wasn't offered");
        }
    }

    fn copy(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for range in STRETCHES {
            let start = bytes.len();
            bytes.resize(start + length(&range), 0);
            self.memory.read_slice(&mut bytes[start..], GuestAddress(range.start)).expect("it is there");
        }
        bytes
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// The same mapping each time: to make one takes longer than most scripts.
fn mapped() -> GuestMemory {
    static MAPPED: OnceLock<GuestMemory> = OnceLock::new();
    let map = || {
        let ranges = STRETCHES.map(|range| (GuestAddress(range.start), length(&range)));
        GuestMemory::from_ranges(&ranges).expect("the host has 40 KiB")
    };
    MAPPED.get_or_init(map).clone()
}

#[derive(Default)]
struct Offer {
    writable: Vec<Range<u64>>,
    /// Where the device reads what it is to do.
    believed: Vec<Range<u64>>,
    descriptors: u64,
    left_out: bool,
}

fn meets(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

fn length(range: &Range<u64>) -> usize {
    usize::try_from(range.end - range.start).expect("small")
}
