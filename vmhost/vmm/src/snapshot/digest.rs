//! Copies memory files with their holes, and names their content.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;

use rustix::fs::SeekFrom;
use sha2::{Digest as _, Sha256};

use crate::memory::{PAGE, PAGE_BYTES};

const ZEROS: [u8; PAGE] = [0; PAGE];
/// Between two questions whether to go on.
const CHUNK: usize = 1 << 20;

/// SHA-256 over each page that isn't all zero, in order, as its number (8 bytes,
/// little-endian) and its content; then the number of pages there are. The same
/// for a file with holes and one without.
pub(super) struct Digester(Sha256);

impl Digester {
    pub fn new() -> Self {
        Self(Sha256::new())
    }

    fn page(&mut self, number: u64, page: &[u8]) {
        self.0.update(number.to_le_bytes());
        self.0.update(page);
    }

    fn finish(mut self, pages: u64) -> [u8; 32] {
        self.0.update(pages.to_le_bytes());
        self.0.finalize().into()
    }
}

/// Copies the first `length` bytes of `source` (whole pages) to `target`, a new file,
/// leaving holes for zeros, and gives their digest; without a target, only the latter.
/// `step` is told how many bytes of the source are done, and may end the work.
pub(super) fn copy(
    source: &File,
    length: u64,
    target: Option<&File>,
    mut step: impl FnMut(u64) -> ControlFlow<()>,
) -> io::Result<[u8; 32]> {
    if let Some(target) = target {
        target.set_len(length)?;
    }
    let mut digester = Digester::new();
    let mut buffer = vec![0; CHUNK];
    let mut position = 0;
    while position < length {
        let Some(start) = next_data(source, position)?.filter(|&start| start < length) else { break };
        position = start / PAGE_BYTES * PAGE_BYTES;
        if step(position).is_break() {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "cancelled"));
        }
        let most = usize::try_from(length - position).unwrap_or(usize::MAX).min(CHUNK);
        let chunk = &mut buffer[..most];
        source.read_exact_at(chunk, position)?;
        take_chunk(chunk, position, target, &mut digester)?;
        position += most as u64;
    }
    Ok(digester.finish(length / PAGE_BYTES))
}

/// Digests the pages of a chunk and writes each stretch of those that aren't zero.
fn take_chunk(chunk: &[u8], position: u64, target: Option<&File>, digester: &mut Digester) -> io::Result<()> {
    let mut stretch = 0..0;
    for (number, page) in chunk.chunks(PAGE).enumerate() {
        let at = number * PAGE;
        if page == &ZEROS[..page.len()] {
            continue;
        }
        digester.page(position / PAGE_BYTES + number as u64, page);
        if stretch.end != at {
            write(target, &chunk[stretch.clone()], position + stretch.start as u64)?;
            stretch.start = at;
        }
        stretch.end = at + page.len();
    }
    write(target, &chunk[stretch.clone()], position + stretch.start as u64)
}

fn write(target: Option<&File>, bytes: &[u8], position: u64) -> io::Result<()> {
    target.map_or(Ok(()), |target| target.write_all_at(bytes, position))
}

/// Where data starts at or after `position`. The file's own position changes, which nobody relies on.
fn next_data(file: &File, position: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, SeekFrom::Data(position)) {
        Ok(start) => Ok(Some(start)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        // A file system that doesn't know of holes.
        Err(rustix::io::Errno::INVAL) => Ok(Some(position)),
        Err(error) => Err(error.into()),
    }
}
