//! Work on files, several jobs at a time where the host can.
//!
//! In:  jobs, each with a number.
//! Out: the same jobs with their results, in any order, and an eventfd that says so.
//!
//! io_uring does them in the background; without it they are done at once, by
//! plain system calls. Which of the two is decided when a disk is opened.
//!
//! Writes are done at once also beside io_uring, as long as the host's page cache
//! takes them: it would give each to a thread of the kernel, which is several times
//! slower than copying. When the cache makes one wait, the next go to io_uring, for
//! so long that waiting is a small part of this thread's time.

mod buffers;
mod inline;
#[cfg(test)]
mod shuffled;
mod uring;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

pub(super) use buffers::Buffers;
use uring::Uring;

/// What is to be done with a file.
pub(super) struct Job {
    pub(super) file: Arc<File>,
    pub(super) offset: u64,
    /// In bytes, none for `Sync`.
    pub(super) length: u64,
    pub(super) work: Work,
}

/// The kinds of work.
pub(super) enum Work {
    /// From the file into guest memory.
    Read(Buffers),
    /// From guest memory into the file.
    Write(Buffers),
    /// Zeros, written out.
    WriteZeros,
    /// Zeros that take no room.
    Punch,
    /// Zeros that keep their room.
    Zero,
    /// Everything that was written is on the medium.
    Sync,
}

/// A job that is over.
pub(super) struct Done {
    pub(super) number: u64,
    pub(super) job: Job,
    /// Bytes read or written, which may be fewer than asked for; 0 for other work.
    pub(super) result: io::Result<u64>,
}

static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
/// As many vectors of zeros as one job takes.
const ZERO_VECTORS: usize = 16;

impl Job {
    /// The same job without its first `count` bytes.
    pub(super) fn rest(mut self, count: u64) -> Self {
        self.offset += count;
        self.length -= count;
        if let Work::Read(buffers) | Work::Write(buffers) = &mut self.work {
            buffers.skip(count);
        }
        self
    }

    /// Vectors for the kernel, good as long as the job.
    fn vectors(&self) -> io::Result<Vec<libc::iovec>> {
        match &self.work {
            Work::Read(buffers) | Work::Write(buffers) => buffers.vectors(),
            Work::WriteZeros => {
                let (mut left, mut vectors) = (self.length, Vec::new());
                while left > 0 && vectors.len() < ZERO_VECTORS {
                    let count = left.min(ZEROS.len() as u64);
                    left -= count;
                    // The kernel only reads it.
                    let base = ZEROS.as_ptr().cast_mut().cast();
                    vectors.push(libc::iovec { iov_base: base, iov_len: usize::try_from(count).unwrap_or(0) });
                }
                Ok(vectors)
            }
            Work::Punch | Work::Zero | Work::Sync => Ok(Vec::new()),
        }
    }

    /// The mode of `fallocate`.
    fn mode(&self) -> i32 {
        let zeros =
            if matches!(self.work, Work::Punch) { libc::FALLOC_FL_PUNCH_HOLE } else { libc::FALLOC_FL_ZERO_RANGE };
        zeros | libc::FALLOC_FL_KEEP_SIZE
    }

    fn over(self, number: u64, result: io::Result<u64>) -> Done {
        // Even a job that failed may have written a part.
        if let Work::Read(buffers) = &self.work {
            buffers.mark_written();
        }
        Done { number, job: self, result }
    }
}

/// A write that takes longer has waited for more than a copy.
const SLOW: Duration = Duration::from_millis(10);
/// How many times as long as a slow write took, writes go to the background.
const PATIENCE: u32 = 16;

/// Who does the work.
pub(super) struct Engine {
    ready: EventFd,
    /// Done by plain system calls.
    done: Vec<Done>,
    background: Background,
    /// Until then writes go to the background.
    patient_until: Option<Instant>,
}

/// What work is given to that isn't done at once.
enum Background {
    None,
    Uring(Box<Uring>),
    #[cfg(test)]
    Shuffled(shuffled::Shuffled),
}

impl Engine {
    /// io_uring if the host has what is needed of it and lets us.
    pub(super) fn new() -> io::Result<Self> {
        let mut engine = Self::inline()?;
        if let Ok(uring) = Uring::new(&engine.ready) {
            engine.background = Background::Uring(uring.into());
        }
        Ok(engine)
    }

    /// Plain system calls.
    pub(super) fn inline() -> io::Result<Self> {
        let ready = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?;
        Ok(Self { ready, done: Vec::new(), background: Background::None, patient_until: None })
    }

    /// Jobs are done late and in any order, but always the same one.
    #[cfg(test)]
    pub(super) fn shuffled(seed: u64) -> io::Result<Self> {
        let mut engine = Self::inline()?;
        engine.background = Background::Shuffled(shuffled::Shuffled::new(seed));
        Ok(engine)
    }

    /// Whether jobs are done in the background.
    pub(super) fn is_background(&self) -> bool {
        !matches!(self.background, Background::None)
    }

    /// Becomes readable when jobs are over.
    pub(super) fn ready(&self) -> i32 {
        self.ready.as_raw_fd()
    }

    /// Makes `ready` readable.
    pub(super) fn wake(&self) {
        // Only a full counter could make this fail, and then it is readable already.
        let _ = self.ready.write(1);
    }

    /// Takes note that `ready` was.
    pub(super) fn acknowledge(&self) {
        // Nothing to be read is no harm.
        let _ = self.ready.read();
    }

    /// Begins a job. `number` comes back with it.
    pub(super) fn begin(&mut self, number: u64, job: Job) {
        let at_once = match self.background {
            Background::None => true,
            Background::Uring(_) => matches!(job.work, Work::Write(_)) && self.may_wait(),
            #[cfg(test)]
            Background::Shuffled(_) => false,
        };
        if at_once {
            let start = Instant::now();
            self.do_now(number, job);
            let took = start.elapsed();
            self.patient_until = (took > SLOW).then(|| start + took * PATIENCE);
            return;
        }
        match &mut self.background {
            Background::None => {}
            Background::Uring(uring) => uring.begin(number, job),
            #[cfg(test)]
            Background::Shuffled(jobs) => {
                jobs.begin(number, job);
                self.wake();
            }
        }
    }

    fn may_wait(&self) -> bool {
        self.patient_until.is_none_or(|until| Instant::now() >= until)
    }

    /// Does a job at once: what io_uring would rather not wait for itself.
    pub(super) fn do_now(&mut self, number: u64, job: Job) {
        let result = inline::perform(&job);
        self.done.push(job.over(number, result));
    }

    /// All jobs that are over by now.
    pub(super) fn over(&mut self) -> Vec<Done> {
        let mut done = std::mem::take(&mut self.done);
        match &mut self.background {
            Background::None => {}
            Background::Uring(uring) => uring.over(&mut done),
            #[cfg(test)]
            Background::Shuffled(jobs) => {
                if jobs.over(&mut done) {
                    self.wake();
                }
            }
        }
        done
    }

    /// Waits until a job is over, if there is one at all.
    pub(super) fn wait(&mut self) {
        if let Background::Uring(uring) = &mut self.background
            && self.done.is_empty()
        {
            uring.wait();
        }
    }

    /// Ends all jobs, and drops those that haven't begun. Nothing touches guest memory after this.
    pub(super) fn cancel(&mut self) {
        self.done.clear();
        match &mut self.background {
            Background::None => {}
            Background::Uring(uring) => uring.cancel(),
            #[cfg(test)]
            Background::Shuffled(jobs) => jobs.cancel(),
        }
    }
}
