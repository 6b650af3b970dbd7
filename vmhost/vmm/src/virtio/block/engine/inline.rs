//! Jobs by plain system calls.
#![allow(unsafe_code, reason = "vectored I/O into guest memory, and fallocate, have no safe wrapper")]

use std::io;
use std::os::fd::AsRawFd as _;

use super::{Job, Work};

/// Does a job, in part if the kernel does it in part.
pub(super) fn perform(job: &Job) -> io::Result<u64> {
    loop {
        match attempt(job) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A file that won't be waited for: to ask again would be to spin.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::Error::from_raw_os_error(libc::EIO));
            }
            result => return result,
        }
    }
}

fn attempt(job: &Job) -> io::Result<u64> {
    let file = job.file.as_raw_fd();
    let offset = i64::try_from(job.offset).map_err(io::Error::other)?;
    let length = i64::try_from(job.length).map_err(io::Error::other)?;
    let vectors = job.vectors()?;
    let count = i32::try_from(vectors.len()).map_err(io::Error::other)?;
    let result = match &job.work {
        // SAFETY: the vectors lie in guest memory that `job` keeps mapped, and the kernel is
        // done with them when the call returns. The guest may change the memory
        // meanwhile; no Rust reference to it exists.
        Work::Read(_) => unsafe { libc::preadv(file, vectors.as_ptr(), count, offset) },
        // SAFETY: as above; the zeros are static.
        Work::Write(_) | Work::WriteZeros => unsafe { libc::pwritev(file, vectors.as_ptr(), count, offset) },
        // SAFETY: no memory is passed.
        Work::Punch | Work::Zero => unsafe { libc::fallocate(file, job.mode(), offset, length) as isize },
        Work::Sync => return job.file.sync_data().map(|()| 0),
    };
    // Negative results are errors.
    u64::try_from(result).map_err(|_| io::Error::last_os_error())
}
