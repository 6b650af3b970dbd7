//! A directory known by a descriptor alone: the process has no paths.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};

/// What files are called while they're written; whoever finds one left over may remove it.
const UNFINISHED: &str = "unfinished-";

/// A snapshot's directory.
pub(super) struct Directory(OwnedFd);

impl Directory {
    /// A handle of our own, so that locks and positions in it are nobody else's.
    pub fn open(directory: BorrowedFd<'_>) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(directory, c".", flags, Mode::empty())?))
    }

    /// Keeps other writers away as long as `self` lives.
    pub fn lock(&self) -> io::Result<()> {
        Ok(rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive)?)
    }

    /// A file to read. No link is followed: the directory may be anybody's.
    pub fn read(&self, name: &str) -> io::Result<File> {
        // Without waiting, as a pipe of that name would make us do.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
        }
        Ok(file.into())
    }

    /// A new file, to be called `name` once it's finished.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, unfinished(name), flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Gives a finished file its name; whatever had it is gone.
    pub fn finish(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, unfinished(name), &self.0, name)?)
    }

    /// Makes names as durable as the files' contents.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.0.as_fd())?)
    }

    /// Removes a file; one that isn't there is fine.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what an earlier writer left unfinished and memory files that aren't
    /// `kept`, if it's known which are; nothing else.
    pub fn clean(&self, kept: Option<&[String]>) -> io::Result<()> {
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            // A name of ours is ASCII.
            let name = CStr::to_str(entry.file_name()).unwrap_or_default();
            let needless = match name.strip_prefix(UNFINISHED) {
                Some(rest) => is_memory(rest) || rest == super::STATE,
                None => is_memory(name) && kept.is_some_and(|kept| !kept.iter().any(|keep| keep == name)),
            };
            if needless {
                self.remove(name)?;
            }
        }
        Ok(())
    }
}

fn unfinished(name: &str) -> String {
    format!("{UNFINISHED}{name}")
}

fn is_memory(name: &str) -> bool {
    let layer = name.strip_prefix(super::MEMORY_PREFIX);
    layer.is_some_and(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
