//! Guest memory: where it lies for the guest, and what backs it on the host.
//!
//! It is a memfd from the start, so that a snapshot or a clone can take it over
//! without copying. Writes by devices are marked in a bitmap beside KVM's own
//! dirty log, which sees only those of vCPUs.
//!
//! In two states: **shared**, where the VM writes into the memfd; and **private**,
//! where files that never change show through and each page that the VM writes
//! becomes a copy of its own. `freeze` leads from the first to the second and,
//! once there, adds a layer of what was written since. Host addresses stay.
//! From then on the caller must know every page that is written: KVM's dirty
//! log has to be on from the first `freeze` (or from `restore`) on.

mod collapse;
pub mod dirty;
mod extents;
pub mod image;
pub mod layout;
mod mapping;
pub mod memfd;

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::FallocateFlags;
use vm_memory::bitmap::{AtomicBitmap, Bitmap as _};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryBackend as _, GuestMemoryMmap};

pub use dirty::{DirtyPages, Run};
use extents::{Extent, of_layer, overlay};
pub use image::{ImageError, Layer, LayerId, MemoryImage};
pub use mapping::Slot;
use mapping::{Mapping, Sharing};

/// Guest memory with a bitmap of the pages that devices have written.
pub type GuestMemory = GuestMemoryMmap<AtomicBitmap>;

/// The unit of dirty tracking, in bytes.
pub const PAGE: usize = 4096;
/// The same, for addresses.
pub const PAGE_BYTES: u64 = PAGE as u64;
/// A huge page, in bytes.
pub const HUGE_PAGE: usize = 2 << 20;
const PAGES_OF_HUGE: u64 = HUGE_PAGE as u64 / PAGE_BYTES;

/// Most mappings that guest memory is made of. The kernel allows a process 65,530
/// by default; each costs 200 bytes there, and some microseconds when made. Pages
/// of layers that would need more are copied instead, the shortest runs first:
/// a copy of one page takes no longer than a mapping.
const MAX_MAPPINGS: usize = 4096;
/// Fewest pages that a running VM gives its own copies up for, in favour of a layer's:
/// to map them took four times as long as writing the layer, all of it while the VM
/// stands still, and pages that were written once are likely to be written again.
const LEAST_TO_SHARE: u64 = 16;

/// The guest's memory and its backing.
pub struct GuestRam {
    bytes: u64,
    huge_pages: bool,
    mapping: Mapping,
    backing: Arc<Mutex<Backing>>,
}

enum Backing {
    Shared(File),
    Private(Private),
}

struct Private {
    /// Memory as it was when frozen last, or restored.
    image: MemoryImage,
    /// What is mapped where; at most `MAX_MAPPINGS`.
    mapped: Vec<Extent<LayerId>>,
    /// Pages whose content in `image` is a copy of our own here: what is mapped
    /// below is older, and would show if the copy were given up.
    copies: DirtyPages,
}

impl GuestRam {
    /// Zeroed memory of `mib` MiB, at the addresses that `layout` says.
    ///
    /// # Errors
    /// When the host has no room.
    pub fn create(mib: u32) -> io::Result<Self> {
        Self::of_memfd(u64::from(mib) << 20, false)
    }

    /// The same, of pages of 2 MiB; all are reserved at once. To be frozen, a VM
    /// needs as many again, as any of them may be written after.
    ///
    /// # Errors
    /// When the host's pool has too few, or `mib` is odd.
    pub fn create_huge(mib: u32) -> io::Result<Self> {
        if !mib.is_multiple_of(2) {
            let error = format!("{mib} MiB of memory can't be made of 2 MiB pages: use an even number");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        Self::of_memfd(u64::from(mib) << 20, true)
    }

    fn of_memfd(bytes: u64, huge_pages: bool) -> io::Result<Self> {
        let explain = |error| if huge_pages { no_huge_pages(error, bytes) } else { error };
        let file = memfd::create("guest-memory", bytes, huge_pages).map_err(explain)?;
        let mapping = Mapping::new(&file, bytes, Sharing::Shared, huge_pages).map_err(explain)?;
        Ok(Self { bytes, huge_pages, mapping, backing: Arc::new(Mutex::new(Backing::Shared(file))) })
    }

    /// Memory with the content of `image`. Reads nothing: pages come when they're touched.
    ///
    /// # Errors
    /// When the host has no room for the mappings or, of an image of huge pages, for those.
    pub fn restore(image: &MemoryImage) -> io::Result<Self> {
        image.seal()?;
        let (bytes, huge_pages) = (image.bytes(), image.huge_pages());
        let base = image.layers().first().ok_or(io::ErrorKind::InvalidInput)?;
        let mapping = Mapping::new(base.file(), bytes, Sharing::Private, huge_pages)
            .map_err(|error| if huge_pages { no_huge_pages(error, bytes) } else { error })?;
        let numbered = |number: usize, layer: &Layer| of_layer(number, layer.runs()).collect::<Vec<_>>();
        let mut extents = Vec::new();
        for (number, layer) in image.layers().iter().enumerate() {
            extents = overlay(&extents, &numbered(number, layer));
        }
        let mut private = Private {
            image: image.clone(),
            mapped: of_layer(base.id(), base.runs()).collect(),
            copies: DirtyPages::none(bytes),
        };
        extents.retain(|extent| extent.layer > 0);
        let mut covered = Vec::new();
        for (extent, map) in private.choose(extents, huge_pages, 1) {
            let layer = image.layers().get(extent.layer).ok_or(io::ErrorKind::InvalidInput)?;
            if map {
                mapping.cover(extent.run, layer.file(), extent.source * PAGE_BYTES)?;
                covered.push(Extent { run: extent.run, layer: layer.id(), source: extent.source });
            } else {
                mapping.read_in(extent.run, layer.file(), extent.source * PAGE_BYTES)?;
                private.copies.insert(extent.run);
            }
        }
        private.mapped = overlay(&private.mapped, &covered);
        Ok(Self { bytes, huge_pages, mapping, backing: Arc::new(Mutex::new(Backing::Private(private))) })
    }

    /// The memory as devices see it; clones are handles on the same memory.
    /// Stays valid, at the same addresses, whatever happens to the backing.
    pub fn memory(&self) -> &GuestMemory {
        self.mapping.memory()
    }

    /// What to tell KVM: a slot for each region, which stays as it is.
    pub fn slots(&self) -> &[Slot] {
        self.mapping.slots()
    }

    /// Asks for huge pages behind the memory from `start` to `end`, which will be used soon and all of it.
    /// It takes room for all of it at once; where the host has no huge pages left, nothing changes.
    pub fn expect_use(&self, start: u64, end: u64) {
        for slot in self.mapping.slots() {
            let (start, end) = (start.max(slot.guest), end.min(slot.guest + slot.length));
            if start < end && !self.huge_pages {
                // The kernel leaves alone what was never touched.
                for address in (start..end).step_by(HUGE_PAGE) {
                    let _ = self.memory().read_obj::<u8>(GuestAddress(address));
                }
                let _ = collapse::collapse(slot.host + (start - slot.guest), end - start);
            }
        }
    }

    /// RAM's size.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Which pages devices have written since this was asked last (through `memory`'s
    /// bitmap, which knows of every write but those of vCPUs).
    pub fn take_device_dirty(&self) -> DirtyPages {
        let mut dirty = DirtyPages::none(self.bytes);
        for (number, region) in self.memory().iter().enumerate() {
            dirty.merge(number, &(**region).bitmap().get_and_reset());
        }
        dirty
    }

    /// Memory as it is now, for clones and snapshots. No vCPU runs and no device
    /// has I/O in flight meanwhile; afterwards both may go on, and what they write
    /// can't be seen in the image.
    ///
    /// `dirty` are the pages written since the last freeze or restore, by vCPUs and
    /// devices; more is fine. The first freeze of memory that was created here needs
    /// none, and its time doesn't depend on RAM's size. Later ones copy the dirty pages.
    ///
    /// # Errors
    /// When the host has no room; memory is then as before, and `dirty` still counts.
    pub fn freeze(&mut self, dirty: &DirtyPages) -> io::Result<MemoryImage> {
        let mut backing = lock(&self.backing);
        match &mut *backing {
            Backing::Shared(file) => {
                let private = Private::first(file, self.bytes, &self.mapping, self.huge_pages)?;
                let image = private.image.clone();
                *backing = Backing::Private(private);
                Ok(image)
            }
            Backing::Private(private) => {
                private.add_layer(dirty, &self.mapping, self.huge_pages)?;
                Ok(private.image.clone())
            }
        }
    }

    /// A handle through which the balloon gives pages up.
    pub fn discarder(&self) -> Discarder {
        Discarder { huge_pages: self.huge_pages, mapping: self.mapping.clone(), backing: self.backing.clone() }
    }
}

impl Private {
    /// Turns shared memory into a base and a private view of it.
    fn first(file: &File, bytes: u64, mapping: &Mapping, huge_pages: bool) -> io::Result<Self> {
        let whole = vec![Run { page: 0, count: bytes / PAGE_BYTES }];
        let aside = mapping.set_aside(file).map_err(|e| if huge_pages { no_huge_pages(e, bytes) } else { e })?;
        let base = Layer::fresh(whole, file.try_clone()?, aside)?;
        Ok(Self {
            mapped: of_layer(base.id(), base.runs()).collect(),
            image: MemoryImage::new(bytes, huge_pages, vec![Arc::new(base)]),
            copies: DirtyPages::none(bytes),
        })
    }

    /// Puts what was written since the last layer into a new one.
    ///
    /// A new layer takes over those upon the base that are no bigger than itself:
    /// this keeps them few, and each page is copied again only a logarithmic number of times.
    fn add_layer(&mut self, dirty: &DirtyPages, mapping: &Mapping, huge_pages: bool) -> io::Result<()> {
        let mut pages = dirty.clone();
        if pages.count() == 0 {
            return Ok(());
        }
        let mut layers = self.image.layers().to_vec();
        while let [_, .., top] = layers.as_slice() {
            if top.pages() > pages.count() && layers.len() < image::MAX_LAYERS {
                break;
            }
            top.runs().iter().for_each(|run| pages.insert(*run));
            layers.pop();
        }
        let runs: Vec<_> = pages.runs().collect();
        let file = memfd::create("guest-memory-layer", pages.count() * PAGE_BYTES, false)?;
        mapping.write_out(&runs, &file)?;
        let layer = Arc::new(Layer::fresh(runs, file, Vec::new())?);
        layers.push(layer.clone());
        self.image = MemoryImage::new(self.image.bytes(), huge_pages, layers);

        // The VM's own copies are given up for the layer's pages, which it shares with clones.
        let mut covered = Vec::new();
        let extents = of_layer(layer.id(), layer.runs()).collect();
        for (extent, map) in self.choose(extents, huge_pages, LEAST_TO_SHARE) {
            // A page that stays a copy is as right as a mapped one, it only takes more room.
            if map && mapping.cover(extent.run, layer.file(), extent.source * PAGE_BYTES).is_ok() {
                covered.push(extent);
                self.copies.remove(extent.run);
            } else {
                self.copies.insert(extent.run);
            }
        }
        self.mapped = overlay(&self.mapped, &covered);
        Ok(())
    }

    /// Which of `extents` to map, the others being copied: the longest, as many as
    /// there's room for, and none of fewer pages than `least`.
    fn choose<L>(&self, extents: Vec<Extent<L>>, huge_pages: bool, least: u64) -> Vec<(Extent<L>, bool)> {
        // Parts of a mapping of huge pages can't be replaced by small ones.
        let room = if huge_pages { 0 } else { MAX_MAPPINGS.saturating_sub(self.mapped.len()) / 2 };
        let mut lengths: Vec<_> = extents.iter().map(|extent| extent.run.count).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        // As long as this are mapped; of those of just this length, as many as fit.
        let shortest = lengths.get(room).copied().unwrap_or(0);
        let mut of_shortest = room - lengths.iter().take(room).filter(|&&length| length > shortest).count();
        let chosen = extents.into_iter().map(|extent| {
            let length = extent.run.count;
            let map = length > shortest || (length == shortest && of_shortest > 0);
            of_shortest -= usize::from(map && length == shortest);
            (extent, map && length >= least)
        });
        chosen.collect()
    }
}

/// Gives pages of a VM's memory back to the host.
#[derive(Clone)]
pub struct Discarder {
    huge_pages: bool,
    mapping: Mapping,
    backing: Arc<Mutex<Backing>>,
}

impl Discarder {
    /// Gives up `length` bytes at `address`, both multiples of a page, within one region.
    ///
    /// Their content becomes zeros or, of memory that was restored or frozen, what
    /// it was then: never anything of another VM. Of huge pages, just those that lie
    /// whole in the range are given up.
    ///
    /// # Errors
    /// When the range isn't in memory or not of whole pages.
    pub fn discard(&self, address: GuestAddress, length: u64) -> io::Result<()> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "not whole pages of guest memory");
        if !address.0.is_multiple_of(PAGE_BYTES) || !length.is_multiple_of(PAGE_BYTES) {
            return Err(invalid());
        }
        let end = address.0.checked_add(length).ok_or_else(invalid)?;
        let slot = self.mapping.slots().iter().find(|slot| slot.guest <= address.0 && end <= slot.guest + slot.length);
        let start = slot.map(|slot| slot.offset + (address.0 - slot.guest)).ok_or_else(invalid)?;
        let mut run = Run { page: start / PAGE_BYTES, count: length / PAGE_BYTES };
        if self.huge_pages {
            let page = run.page.next_multiple_of(PAGES_OF_HUGE);
            let end = run.end() / PAGES_OF_HUGE * PAGES_OF_HUGE;
            run = Run { page, count: end.saturating_sub(page) };
        }
        if run.count == 0 {
            return Ok(());
        }
        match &*lock(&self.backing) {
            Backing::Shared(file) => {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                Ok(rustix::fs::fallocate(file, flags, run.page * PAGE_BYTES, run.count * PAGE_BYTES)?)
            }
            Backing::Private(private) => {
                self.mapping.forget(run)?;
                self.mark_older(private, run);
                Ok(())
            }
        }
    }

    /// Marks pages that have become older than the image as written: the next layer must have them.
    fn mark_older(&self, private: &Private, run: Run) {
        for page in (run.page..run.end()).filter(|&page| private.copies.contains(page)) {
            let offset = page * PAGE_BYTES;
            let slots = self.mapping.slots().iter().zip(self.mapping.memory().iter());
            for (slot, region) in slots.filter(|(slot, _)| (slot.offset..slot.offset + slot.length).contains(&offset)) {
                let within = usize::try_from(offset - slot.offset).unwrap_or(usize::MAX);
                (**region).bitmap().mark_dirty(within, PAGE);
            }
        }
    }
}

fn lock(backing: &Mutex<Backing>) -> MutexGuard<'_, Backing> {
    backing.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

fn no_huge_pages(error: io::Error, bytes: u64) -> io::Error {
    if !matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::ENOSPC | libc::ENOENT | libc::EINVAL)) {
        return error;
    }
    let count = bytes.div_ceil(HUGE_PAGE as u64);
    let text = format!(
        "the host hasn't {count} free huge pages of 2 MiB: add as many to vm.nr_hugepages (sysctl), or leave out huge_pages"
    );
    io::Error::new(io::ErrorKind::OutOfMemory, text)
}
