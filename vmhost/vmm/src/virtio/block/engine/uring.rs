//! Jobs by io_uring.
//!
//! # Memory
//! The kernel reads and writes guest memory while this thread goes on, so whatever
//! a job's vectors point to must outlive it. A job that the kernel has is kept in
//! `running`, with its vectors, its file, and a handle on guest memory, and leaves
//! it only after its completion was seen. `cancel`, and so `drop`, wait for that.
//!
//! # Confinement
//! Filters on system calls don't see what a ring is asked to do, so the ring itself
//! refuses all but the four operations that are needed here, for good.
#![allow(unsafe_code, reason = "the kernel is handed pointers that it uses after the call")]

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd as _;

use io_uring::register::Restriction;
use io_uring::squeue::Entry;
use io_uring::types::{Fd, FsyncFlags};
use io_uring::{IoUring, Probe, opcode};
use vmm_sys_util::eventfd::EventFd;

use super::{Done, Job, Work};

/// Jobs that the kernel has at a time; the completion queue holds twice as many, so it never overflows.
const DEPTH: u32 = 128;

/// A ring, and what the kernel has of it.
pub(super) struct Uring {
    ring: IoUring,
    /// The place in this list is the kernel's name for a job.
    running: Vec<Option<Running>>,
    free: Vec<usize>,
    waiting: VecDeque<(u64, Job)>,
    /// Jobs whose vectors couldn't be made or that the ring wouldn't take.
    refused: Vec<(u64, Job, io::Error)>,
}

struct Running {
    number: u64,
    job: Job,
    /// What the kernel was pointed to.
    vectors: Vec<libc::iovec>,
}

// SAFETY: the vectors' pointers are to guest memory, which is shared by all threads, or to a
// static; they are only ever passed to the kernel. Everything else is `Send` itself.
unsafe impl Send for Running {}

impl Uring {
    /// A ring that counts completions in `ready`.
    pub(super) fn new(ready: &EventFd) -> io::Result<Self> {
        let ring = IoUring::builder().dontfork().setup_r_disabled().build(DEPTH)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        let needed = [opcode::Readv::CODE, opcode::Writev::CODE, opcode::Fallocate::CODE, opcode::Fsync::CODE];
        if !needed.into_iter().all(|code| probe.is_supported(code)) || !ring.params().is_feature_nodrop() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        ring.submitter().register_eventfd(ready.as_raw_fd())?;
        ring.submitter().register_restrictions(&mut needed.map(Restriction::sqe_op))?;
        ring.submitter().register_enable_rings()?;
        let places = 0..DEPTH as usize;
        Ok(Self {
            ring,
            running: places.clone().map(|_| None).collect(),
            free: places.collect(),
            waiting: VecDeque::new(),
            refused: Vec::new(),
        })
    }

    pub(super) fn begin(&mut self, number: u64, job: Job) {
        self.waiting.push_back((number, job));
    }

    /// Jobs that are over, after giving the kernel those that wait.
    pub(super) fn over(&mut self, done: &mut Vec<Done>) {
        loop {
            self.submit(0);
            self.collect(done);
            if self.waiting.is_empty() || self.free.is_empty() {
                break;
            }
        }
        done.extend(self.refused.drain(..).map(|(number, job, error)| job.over(number, Err(error))));
    }

    /// Waits for one job, if the kernel has any.
    pub(super) fn wait(&mut self) {
        self.fill();
        if self.is_running() && self.refused.is_empty() {
            self.submit(1);
        }
    }

    pub(super) fn cancel(&mut self) {
        self.waiting.clear();
        self.refused.clear();
        let mut done = Vec::new();
        while self.is_running() {
            self.submit(1);
            self.collect(&mut done);
        }
    }

    fn is_running(&self) -> bool {
        self.free.len() < self.running.len()
    }

    /// Moves waiting jobs into the submission queue.
    fn fill(&mut self) {
        while let Some(&place) = self.free.last() {
            let Some((number, job)) = self.waiting.pop_front() else { return };
            let running = match job.vectors() {
                Ok(vectors) => Running { number, job, vectors },
                Err(error) => {
                    self.refused.push((number, job, error));
                    continue;
                }
            };
            let entry = entry(&running).user_data(place as u64);
            // SAFETY: `running` is kept until the completion is seen (see the module's text): moving
            // it moves neither the vectors' heap memory nor what they point to. Its job's
            // descriptor stays open as long.
            if unsafe { self.ring.submission().push(&entry) }.is_err() {
                // Full, which the kernel ends by taking them.
                self.waiting.push_front((running.number, running.job));
                return;
            }
            self.free.pop();
            self.running[place] = Some(running);
        }
    }

    /// Tells the kernel of all that is queued, and waits for so many completions.
    fn submit(&mut self, wanted: usize) {
        self.fill();
        // An error leaves entries in the queue for the next time: interrupted, or the kernel is
        // out of memory for the moment.
        if (wanted > 0 || !self.ring.submission().is_empty()) && self.ring.submit_and_wait(wanted).is_err() {
            std::thread::yield_now();
        }
    }

    fn collect(&mut self, done: &mut Vec<Done>) {
        for completion in self.ring.completion() {
            let place = usize::try_from(completion.user_data()).unwrap_or(usize::MAX);
            let Some(Running { number, job, vectors }) = self.running.get_mut(place).and_then(Option::take) else {
                continue;
            };
            drop(vectors);
            self.free.push(place);
            let result = completion.result();
            done.push(job.over(number, u64::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))));
        }
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        self.cancel();
    }
}

fn entry(Running { job, vectors, .. }: &Running) -> Entry {
    let file = Fd(job.file.as_raw_fd());
    let (pointer, count) = (vectors.as_ptr().cast(), u32::try_from(vectors.len()).unwrap_or(u32::MAX));
    match &job.work {
        Work::Read(_) => opcode::Readv::new(file, pointer, count).offset(job.offset).build(),
        Work::Write(_) | Work::WriteZeros => opcode::Writev::new(file, pointer, count).offset(job.offset).build(),
        Work::Punch | Work::Zero => {
            opcode::Fallocate::new(file, job.length).offset(job.offset).mode(job.mode()).build()
        }
        Work::Sync => opcode::Fsync::new(file).flags(FsyncFlags::DATASYNC).build(),
    }
}

#[cfg(test)]
mod tests {
    use io_uring::types::Timespec;
    use vmm_sys_util::eventfd::EFD_NONBLOCK;

    use super::*;

    #[test]
    fn a_ring_refuses_all_that_is_not_a_disks_work() {
        let Ok(mut uring) = Uring::new(&EventFd::new(EFD_NONBLOCK).expect("an eventfd")) else {
            return; // `io_uring_is_used_where_the_host_has_it` says whether that is right.
        };
        let time = Timespec::new();
        let path = c"/etc/passwd".as_ptr();
        for entry in [
            opcode::Nop::new().build(),
            opcode::OpenAt::new(Fd(libc::AT_FDCWD), path).build(),
            opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0).build(),
            opcode::Timeout::new(&time).build(),
        ] {
            // SAFETY: what the entry points to lives until its completion, which is awaited here.
            unsafe { uring.ring.submission().push(&entry) }.expect("room");
            uring.ring.submit_and_wait(1).expect("a completion");
            let completion = uring.ring.completion().next().expect("a completion");
            assert_eq!(completion.result(), -libc::EACCES, "{}", entry.get_opcode());
        }
    }

    #[test]
    fn a_cancelled_ring_has_let_go_of_guest_memory() {
        use std::io::Write as _;
        use std::os::fd::OwnedFd;

        use vm_memory::{Bytes as _, GuestAddress};

        use super::super::Buffers;
        use crate::memory::GuestRam;
        use crate::virtio::Segment;

        let Ok(mut uring) = Uring::new(&EventFd::new(EFD_NONBLOCK).expect("an eventfd")) else { return };
        let ram = GuestRam::create(32).expect("memory");
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let file = std::sync::Arc::new(OwnedFd::from(reader).into());
        let segment = Segment { address: GuestAddress(0x1000), length: 5 };
        let buffers = Buffers::part(ram.memory(), &[segment], 0, 5);
        // A pipe has no bytes until somebody writes: the job is certainly with the kernel.
        uring.begin(1, Job { file, offset: 0, length: 5, work: Work::Read(buffers) });
        let mut done = Vec::new();
        uring.over(&mut done);
        assert!(done.is_empty() && uring.is_running());
        let writing = std::thread::spawn(move || writer.write_all(b"bytes").expect("it is read"));
        uring.cancel();
        assert!(!uring.is_running());
        let mut bytes = [0; 5];
        ram.memory().read_slice(&mut bytes, GuestAddress(0x1000)).expect("in memory");
        assert_eq!(&bytes, b"bytes", "the kernel was done with the memory when this ended");
        writing.join().expect("no panic");
    }
}
