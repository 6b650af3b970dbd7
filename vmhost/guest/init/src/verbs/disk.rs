//! A disk (or, outside a guest, a file) opened for direct I/O, and buffers that suit it.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use super::{Failure, Step as _};
use crate::Guest;

/// Direct I/O wants addresses, offsets and lengths in multiples of the logical block size, which is
/// at most this on any disk we know.
pub(super) const ALIGNMENT: usize = 4096;

/// `vda` or `/dev/vda`.
pub(super) fn path(device: &str) -> PathBuf {
    // Joining an absolute path replaces what is before it.
    PathBuf::from("/dev").join(device)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// Opens a disk so that no page cache comes between its device and the verb.
pub(super) fn open(guest: &Guest, device: &str, access: Access) -> Result<File, Failure> {
    let path = path(device);
    let step = || format!("open {}", path.display());
    let is_device = path.metadata().step(step())?.file_type().is_block_device();
    if is_device && !guest.is_init() {
        return Err(Failure::NotInit);
    }
    let mut options = OpenOptions::new();
    options.read(true).write(access == Access::Write);
    match options.clone().custom_flags(libc::O_DIRECT).open(&path) {
        // A file system without direct I/O, where tests outside a guest put their files.
        Err(error) if !is_device && error.raw_os_error() == Some(libc::EINVAL) => options.open(&path),
        result => result,
    }
    .step(step())
}

/// Size in bytes.
pub(super) fn size(mut disk: &File) -> Result<u64, Failure> {
    disk.seek(SeekFrom::End(0)).step("size of the disk")
}

/// Bytes at an address that direct I/O accepts.
pub(super) struct Buffer {
    storage: Vec<u8>,
    start: usize,
    length: usize,
}

impl Buffer {
    pub(super) fn new(length: usize) -> Self {
        let storage = vec![0; length + ALIGNMENT];
        let start = storage.as_ptr().addr().wrapping_neg() % ALIGNMENT;
        Self { storage, start, length }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + self.length]
    }
}
