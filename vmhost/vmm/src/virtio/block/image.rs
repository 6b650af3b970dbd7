//! A disk as layers of files: a raw image, and overlays that take writes instead of it.
//!
//! In:  opened files, the lowest first.
//! Out: which file has which bytes, where writes go, and what must happen before them.
//!
//! Only the highest layer is ever written. A cluster that is only partly written
//! is copied up first; one that is discarded becomes zeros there, so that the
//! layers below never show through again.

mod bitmap;
mod overlay;
mod reflink;

use std::fs::File;
use std::io;
use std::io::{Seek as _, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bitmap::Bitmap;
use overlay::{CLUSTER, Overlay};
pub use reflink::reflink;

/// Sectors are the unit of the protocol, in bytes.
pub(super) const SECTOR: u64 = 512;

/// A disk's files don't make a disk.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// There is no footer.
    #[error("the file is no overlay, or its end is missing; restore it from a copy, or make a new overlay")]
    NotAnOverlay,
    /// Written by something newer.
    #[error("overlay format {0} is newer than this program; use the version that made it")]
    Version(u32),
    /// What it says can't be.
    #[error("the overlay is damaged: {0}; restore it from a copy, or make a new overlay and lose its changes")]
    Damaged(&'static str),
    /// No disk has this size.
    #[error("a disk can't have {0} bytes: at most 64 TiB")]
    Size(u64),
    /// A layer hides the end of the one below.
    #[error("an overlay of {above} bytes lies above {below} bytes; use an overlay of this very disk")]
    Smaller {
        /// Of the overlay.
        above: u64,
        /// Of what is below it.
        below: u64,
    },
    /// A new layer isn't new.
    #[error("the new overlay holds data already; make an empty one")]
    NotEmpty,
    /// Nothing may be written here.
    #[error("the disk is read-only, so there is nothing to freeze")]
    ReadOnly,
    /// The host refuses.
    #[error("cannot {context}: {source}")]
    Io {
        /// What was to be done.
        context: &'static str,
        /// Why it couldn't.
        source: io::Error,
    },
}

/// A disk's files.
pub struct Image {
    base: Arc<File>,
    base_size: u64,
    /// The lowest first.
    overlays: Vec<Overlay>,
    writable: bool,
}

/// Some bytes that lie in one place.
pub(super) struct Run {
    /// The file that has them at their own offset; they are zeros if none has.
    pub(super) file: Option<Arc<File>>,
    /// At least one.
    pub(super) length: u64,
}

/// Bits to write once the data before them are synced.
pub(super) struct Pending(Bitmap);

impl Image {
    /// A disk of `base` with `layers` over it, the lowest first. Writes go to `top`, which is
    /// the highest layer then, or to `base` if it is alone; otherwise there are none.
    ///
    /// # Errors
    /// When a file is no overlay, damaged, or not of this disk.
    pub fn open(base: File, layers: Vec<File>, top: Option<File>) -> Result<Self, ImageError> {
        let writable = top.is_some() || layers.is_empty();
        let base_size = size_of(&base)?;
        let mut image = Self { base: Arc::new(base), base_size, overlays: Vec::new(), writable };
        for file in layers.into_iter().chain(top) {
            image.push(file)?;
        }
        Ok(image)
    }

    /// Makes `file` an overlay that holds nothing yet, for a disk of the whole sectors
    /// in `size` bytes; `file` is emptied.
    ///
    /// # Errors
    /// When the size is none that a disk can have, or the file can't be written.
    pub fn create_overlay(file: &File, size: u64) -> Result<(), ImageError> {
        overlay::create(file, size)
    }

    /// In bytes, whole sectors.
    pub fn size(&self) -> u64 {
        let size = self.overlays.last().map_or(self.base_size, |overlay| overlay.size);
        size - size % SECTOR
    }

    /// Whether it can be written at all.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// How many overlays there are.
    pub fn overlays(&self) -> usize {
        self.overlays.len()
    }

    /// Looks at the size of a raw image again. Overlays have a size for life: a larger one goes on top by `freeze`.
    ///
    /// # Errors
    /// When the host can't tell.
    pub fn refresh_size(&mut self) -> Result<(), ImageError> {
        if self.overlays.is_empty() {
            self.base_size = size_of(&self.base)?;
        }
        Ok(())
    }

    /// From now on writes go to `new_top`, an empty overlay of at least this size. Gives
    /// what was written until now, complete and on the medium, never to be written again.
    ///
    /// # Errors
    /// When the files can't be synced or `new_top` isn't fit; nothing has changed then.
    pub fn freeze(&mut self, new_top: File) -> Result<File, ImageError> {
        if !self.writable {
            return Err(ImageError::ReadOnly);
        }
        self.persist().map_err(|source| ImageError::Io { context: "sync the layer to freeze", source })?;
        let frozen =
            self.target().try_clone().map_err(|source| ImageError::Io { context: "share the frozen layer", source })?;
        let count = self.overlays.len();
        self.push(new_top)?;
        if self.overlays.last().is_some_and(|top| !top.is_empty()) {
            self.overlays.truncate(count);
            return Err(ImageError::NotEmpty);
        }
        Ok(frozen)
    }

    /// Syncs data and bitmap of what is written.
    ///
    /// # Errors
    /// Those of the host; it can be tried again.
    pub fn persist(&mut self) -> io::Result<()> {
        match self.overlays.last_mut() {
            _ if !self.writable => Ok(()),
            Some(top) => top.persist(),
            None => self.base.sync_data(),
        }
    }

    fn push(&mut self, file: File) -> Result<(), ImageError> {
        let overlay = Overlay::open(file)?;
        let below = self.size();
        if overlay.size < below {
            return Err(ImageError::Smaller { above: overlay.size, below });
        }
        self.overlays.push(overlay);
        Ok(())
    }

    /// The file that takes writes.
    pub(super) fn target(&self) -> &Arc<File> {
        self.overlays.last().map_or(&self.base, |overlay| &overlay.file)
    }

    /// Where bytes from `offset` on are, at most `limit` of them.
    pub(super) fn locate(&self, offset: u64, mut limit: u64) -> Run {
        let cluster = offset / CLUSTER;
        for overlay in self.overlays.iter().rev() {
            // Layers never shrink upwards, so nothing below has it either.
            let Some(left) = overlay.size.checked_sub(offset).filter(|left| *left > 0) else {
                return Run { file: None, length: limit };
            };
            limit = limit.min(left);
            let clusters = (offset + limit).div_ceil(CLUSTER) - cluster;
            let (here, count) = overlay.run(cluster, clusters);
            limit = limit.min((cluster + count) * CLUSTER - offset);
            if here {
                return Run { file: Some(overlay.file.clone()), length: limit };
            }
        }
        match self.base_size.checked_sub(offset) {
            None | Some(0) => Run { file: None, length: limit },
            Some(left) => Run { file: Some(self.base.clone()), length: limit.min(left) },
        }
    }

    /// Before `bytes` are written: copies clusters up that they cover only in part.
    pub(super) fn prepare(&mut self, bytes: &Range<u64>) -> io::Result<()> {
        let Some(top) = self.overlays.last().filter(|_| !bytes.is_empty()) else { return Ok(()) };
        let size = top.size;
        let edges = [bytes.start / CLUSTER, (bytes.end - 1) / CLUSTER];
        for cluster in edges {
            let place = cluster * CLUSTER..size.min((cluster + 1) * CLUSTER);
            let whole = bytes.start <= place.start && bytes.end >= place.end;
            if !whole && !self.has(cluster) {
                self.copy_up(cluster, place)?;
            }
        }
        Ok(())
    }

    fn copy_up(&mut self, cluster: u64, place: Range<u64>) -> io::Result<()> {
        let mut data = [0; CLUSTER as usize];
        let mut at = place.start;
        while at < place.end {
            let Run { file, length } = self.locate(at, place.end - at);
            if let Some(file) = file {
                let within = usize::try_from(at - place.start).map_err(io::Error::other)?;
                let length = usize::try_from(length).map_err(io::Error::other)?;
                let data = data.get_mut(within..within + length).ok_or(io::ErrorKind::InvalidData)?;
                file.read_exact_at(data, at)?;
            }
            at += length;
        }
        self.target().write_all_at(&data, place.start)?;
        if let Some(top) = self.overlays.last_mut() {
            top.insert(cluster..cluster + 1);
        }
        Ok(())
    }

    fn has(&self, cluster: u64) -> bool {
        self.overlays.last().is_none_or(|top| top.run(cluster, 1).0)
    }

    /// The clusters of `bytes`, if one of them only comes to be in the highest layer by writing them.
    pub(super) fn allocates(&self, bytes: &Range<u64>) -> Option<Range<u64>> {
        let top = self.overlays.last()?;
        let clusters = clusters(bytes);
        let count = clusters.end - clusters.start;
        (count > 0 && top.run(clusters.start, count) != (true, count)).then_some(clusters)
    }

    /// `bytes` were written to the file that takes writes.
    pub(super) fn commit(&mut self, bytes: &Range<u64>) {
        if let Some(top) = self.overlays.last_mut() {
            top.insert(clusters(bytes));
        }
    }

    /// What must be written after the next sync of `target`, if anything.
    pub(super) fn take_pending(&mut self) -> Option<Pending> {
        let bits = self.overlays.last_mut()?.take_pending();
        (!bits.is_empty()).then_some(Pending(bits))
    }

    /// Puts back what was taken.
    pub(super) fn put_back(&mut self, Pending(bits): Pending) {
        if let Some(top) = self.overlays.last_mut() {
            top.put_back(bits);
        }
    }

    /// Writes what was taken; another sync must follow.
    pub(super) fn write_pending(&self, Pending(bits): &Pending) -> io::Result<()> {
        self.overlays.last().map_or(Ok(()), |top| top.write_bits(bits))
    }
}

/// All clusters that `bytes` touch.
pub(super) fn clusters(bytes: &Range<u64>) -> Range<u64> {
    bytes.start / CLUSTER..bytes.end.div_ceil(CLUSTER)
}

/// Also of a block device.
fn size_of(mut file: &File) -> Result<u64, ImageError> {
    file.seek(SeekFrom::End(0)).map_err(|source| ImageError::Io { context: "find the image's size", source })
}
