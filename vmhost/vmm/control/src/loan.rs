//! Lends a directory to the user that a VM's process has become, and takes it back.
//!
//! A VM that is shut in owns nothing and can write nowhere. For as long as it
//! writes a snapshot the directory and what lies in it is its own; afterwards
//! all of it is whoever's it was, so that no VM can change a snapshot that is done.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Stat, Uid, chownat, fchown, fstat, statat};

/// A directory that is lent.
pub(crate) struct Loan {
    directory: OwnedFd,
    owner: Option<(Uid, Gid)>,
}

impl Loan {
    /// Lends it; nothing happens where user `to` is its owner, or we aren't root and can't.
    pub(crate) fn of(directory: &OwnedFd, to: u32) -> io::Result<Self> {
        let directory = directory.try_clone()?;
        let Stat { st_uid, st_gid, .. } = fstat(&directory)?;
        let needed = st_uid != to && rustix::process::geteuid().is_root();
        let owner = needed.then(|| (Uid::from_raw(st_uid), Gid::from_raw(st_gid)));
        let loan = Self { directory, owner };
        if needed {
            // Not the group: what else the group may do here isn't the VM's.
            loan.give(Uid::from_raw(to), None)?;
        }
        Ok(loan)
    }

    /// Takes it back.
    pub(crate) fn end(self) -> io::Result<()> {
        match self.owner {
            Some((user, group)) => self.give(user, Some(group)),
            None => Ok(()),
        }
    }

    fn give(&self, user: Uid, group: Option<Gid>) -> io::Result<()> {
        let directory = self.directory.as_fd();
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            // Its own files only: a link could name anything.
            if statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|found| is_plain(&found)) {
                own(directory, name, user, group)?;
            }
        }
        Ok(fchown(directory, Some(user), group)?)
    }
}

fn is_plain(found: &Stat) -> bool {
    // A second name could be anywhere.
    FileType::from_raw_mode(found.st_mode) == FileType::RegularFile && found.st_nlink == 1
}

fn own(directory: BorrowedFd<'_>, name: &std::ffi::CStr, user: Uid, group: Option<Gid>) -> io::Result<()> {
    match chownat(directory, name, Some(user), group, AtFlags::SYMLINK_NOFOLLOW) {
        // The writer has renamed or removed it.
        Err(rustix::io::Errno::NOENT) => Ok(()),
        result => Ok(result?),
    }
}
