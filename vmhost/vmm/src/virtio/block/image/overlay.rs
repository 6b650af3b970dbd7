//! A file that takes a disk's writes instead of the image below it.
//!
//! ```text
//! 0                       the disk's data at its own offsets, sparse
//! size, rounded up        bitmap, little-endian: bit n says that cluster n is here
//! after the bitmap        footer of 4096 bytes
//! ```
//!
//! The file's bitmap only ever names clusters whose data were synced before, so
//! neither the end of this process nor of the host can make a cluster appear
//! that is half here: bits wait in memory until the driver's next flush.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::bitmap::{Bitmap, PAGE};
use super::{ImageError, SECTOR};

/// What is here or below as a whole, in bytes.
pub(super) const CLUSTER: u64 = 4096;
/// Largest disk: keeps the table of bitmap pages small, whatever a footer claims.
const MAX_SIZE: u64 = 1 << 46;

const MAGIC: &[u8; 8] = b"vmm-over";
const VERSION: u32 = 1;
const FOOTER: usize = 4096;

/// An overlay, opened.
pub(super) struct Overlay {
    pub(super) file: Arc<File>,
    /// Of the disk, in bytes.
    pub(super) size: u64,
    allocated: Bitmap,
    /// In `allocated`, but not yet in the file.
    pending: Bitmap,
}

/// Where things are in the file of an overlay of a disk.
struct Places {
    bitmap: u64,
    footer: u64,
}

impl Places {
    fn of(size: u64) -> Self {
        let bitmap = size.next_multiple_of(CLUSTER);
        Self { bitmap, footer: bitmap + (bitmap / CLUSTER).div_ceil(8).next_multiple_of(PAGE as u64) }
    }
}

/// Makes an empty file an overlay that holds nothing yet.
///
/// # Errors
/// When the size is none that a disk can have, or the file can't be written.
pub(super) fn create(file: &File, size: u64) -> Result<(), ImageError> {
    if size > MAX_SIZE {
        return Err(ImageError::Size(size));
    }
    // A disk has whole sectors, also if an image ends within one.
    let size = size - size % SECTOR;
    let write = |source| ImageError::Io { context: "write a new overlay", source };
    let places = Places::of(size);
    // Whatever it held before is gone.
    file.set_len(0).map_err(write)?;
    file.set_len(places.footer + FOOTER as u64).map_err(write)?;
    file.write_all_at(&footer(size), places.footer).map_err(write)
}

fn footer(size: u64) -> [u8; FOOTER] {
    let mut bytes = [0; FOOTER];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&(CLUSTER as u32).to_le_bytes());
    bytes[16..24].copy_from_slice(&size.to_le_bytes());
    let sum = checksum(&bytes[..24]);
    bytes[24..32].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// FNV-1a: finds damage, not malice.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3))
}

impl Overlay {
    /// Opens what `create` made. The file is not trusted.
    pub(super) fn open(file: File) -> Result<Self, ImageError> {
        let read = |source| ImageError::Io { context: "read an overlay", source };
        let length = file.metadata().map_err(read)?.len();
        let place = length.checked_sub(FOOTER as u64).ok_or(ImageError::NotAnOverlay)?;
        let mut bytes = [0; FOOTER];
        file.read_exact_at(&mut bytes, place).map_err(read)?;
        let [_, version, ref rest @ ..] = *bytes.as_chunks::<8>().0 else { return Err(ImageError::NotAnOverlay) };
        if bytes[..8] != *MAGIC {
            return Err(ImageError::NotAnOverlay);
        }
        let [v0, v1, v2, v3, c0, c1, c2, c3] = version;
        let (version, cluster) = (u32::from_le_bytes([v0, v1, v2, v3]), u32::from_le_bytes([c0, c1, c2, c3]));
        if version != VERSION {
            return Err(ImageError::Version(version));
        }
        let size = rest.first().copied().map_or(0, u64::from_le_bytes);
        let sum = rest.get(1).copied().map_or(0, u64::from_le_bytes);
        if sum != checksum(&bytes[..24]) {
            return Err(ImageError::Damaged("the footer's checksum doesn't match"));
        }
        if u64::from(cluster) != CLUSTER || size > MAX_SIZE || !size.is_multiple_of(SECTOR) {
            return Err(ImageError::Damaged("its cluster size or disk size can't be"));
        }
        if Places::of(size).footer != place {
            return Err(ImageError::Damaged("the file's length doesn't match the disk's size"));
        }
        let clusters = size.div_ceil(CLUSTER);
        let mut overlay =
            Self { file: Arc::new(file), size, allocated: Bitmap::new(clusters), pending: Bitmap::new(clusters) };
        overlay.load().map_err(read)?;
        Ok(overlay)
    }

    /// Reads the bitmap where it isn't a hole.
    fn load(&mut self) -> io::Result<()> {
        let Places { bitmap, footer } = Places::of(self.size);
        let mut at = bitmap;
        while let Some(data) = next_data(&self.file, at)?.filter(|data| *data < footer) {
            // Data may begin anywhere on other file systems than ours.
            let page = (data - bitmap) / PAGE as u64;
            let mut bytes = [0; PAGE];
            at = bitmap + page * PAGE as u64;
            self.file.read_exact_at(&mut bytes, at)?;
            self.allocated.load(usize::try_from(page).map_err(io::Error::other)?, &bytes);
            at += PAGE as u64;
        }
        Ok(())
    }

    /// Whether it holds nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.allocated.is_empty()
    }

    /// Whether `cluster` is here, and how many from it on are alike, at most `limit`.
    pub(super) fn run(&self, cluster: u64, limit: u64) -> (bool, u64) {
        self.allocated.run(cluster, limit)
    }

    /// These clusters' data have been written.
    pub(super) fn insert(&mut self, clusters: Range<u64>) {
        let mut at = clusters.start;
        while at < clusters.end {
            let (here, count) = self.allocated.run(at, clusters.end - at);
            if !here {
                self.pending.insert(at..at + count);
            }
            at += count;
        }
        self.allocated.insert(clusters);
    }

    /// Bits to be written once the data written so far are synced: give them to `write_bits` then.
    pub(super) fn take_pending(&mut self) -> Bitmap {
        let cleared = self.pending.cleared();
        std::mem::replace(&mut self.pending, cleared)
    }

    /// Puts back what was taken, as it couldn't be written.
    pub(super) fn put_back(&mut self, bits: Bitmap) {
        self.pending.merge(bits);
    }

    /// Adds bits to the file's bitmap.
    pub(super) fn write_bits(&self, bits: &Bitmap) -> io::Result<()> {
        let start = Places::of(self.size).bitmap;
        for (number, mut bytes) in bits.pages() {
            let place = start + (number * PAGE) as u64;
            let mut old = [0; PAGE];
            self.file.read_exact_at(&mut old, place)?;
            bytes.iter_mut().zip(old).for_each(|(byte, old)| *byte |= old);
            self.file.write_all_at(&bytes, place)?;
        }
        Ok(())
    }

    /// Everything is in the file and on the medium when this returns.
    pub(super) fn persist(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let bits = self.take_pending();
        if bits.is_empty() {
            return Ok(());
        }
        let result = self.write_bits(&bits).and_then(|()| self.file.sync_data());
        if result.is_err() {
            self.put_back(bits);
        }
        result
    }
}

/// The first byte at or after `at` that isn't in a hole.
#[allow(unsafe_code, reason = "the standard library has no SEEK_DATA")]
fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    let at = i64::try_from(at).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open as long as `file`; no memory is passed.
    let found = unsafe { libc::lseek(file.as_raw_fd(), at, libc::SEEK_DATA) };
    match u64::try_from(found) {
        Ok(found) => Ok(Some(found)),
        Err(_) => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
            error => Err(error),
        },
    }
}
