//! Files that exist only in memory, and the seals that make them unchangeable.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{FileType, MemfdFlags, OFlags, SealFlags};

/// Nobody can write, shrink or grow the file any more, through whatever descriptor or mapping.
pub const FROZEN: SealFlags = SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW);

/// A zeroed file of `length` bytes that takes room only as it's written.
///
/// # Errors
/// Those of `memfd_create` and `ftruncate`; without huge pages configured the hint says so.
pub fn create(name: &str, length: u64, huge_pages: bool) -> io::Result<File> {
    let mut flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    if huge_pages {
        flags |= MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB;
    }
    let file = File::from(rustix::fs::memfd_create(name, flags)?);
    file.set_len(length)?;
    Ok(file)
}

/// Makes the file unchangeable; again is fine.
///
/// # Errors
/// `EBUSY` while a shared writable mapping of it exists anywhere: the proof that none is left.
pub fn freeze(file: impl AsFd) -> io::Result<()> {
    Ok(rustix::fs::fcntl_add_seals(file, FROZEN)?)
}

/// Whether nobody who lacks the right to change the file can do so.
///
/// Memory files must be sealed. A file of a file system can't be: it must at
/// least be ours only to read, and who owns it is trusted not to cut it short,
/// which would end this VM with a bus error (and no other).
///
/// # Errors
/// What is wrong with it, or with `fstat`.
pub fn check_unchanging(file: impl AsFd) -> io::Result<u64> {
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
    }
    let length = u64::try_from(stat.st_size).map_err(io::Error::other)?;
    match rustix::fs::fcntl_get_seals(&file) {
        Ok(seals) if seals.contains(FROZEN) => return Ok(length),
        // Files of tmpfs, as those of other file systems, can't take any seal.
        Ok(seals) if !seals.contains(SealFlags::SEAL) => {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a memory file that isn't sealed against writes"));
        }
        Ok(_) | Err(rustix::io::Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    if rustix::fs::fcntl_getfl(&file)?.intersection(OFlags::RWMODE) != OFlags::RDONLY {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a file that is open for writing"));
    }
    Ok(length)
}
