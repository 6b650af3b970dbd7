//! Where the serial port's output goes, without a vCPU ever waiting for it.
//!
//! In:  single bytes, from vCPUs' threads.
//! Out: the same bytes in a descriptor, written by the device thread.
//!
//! What comes faster than the limit, or while nobody reads the other end, is
//! dropped and counted: a guest must fill neither our memory nor a log disk.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vmm_control::Bucket;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::events::{Interest, Poll};

/// How many bytes wait at most.
const BUFFER: usize = 256 << 10;
/// What a pipe that is ready takes without blocking (`PIPE_BUF`).
const CHUNK: usize = 4096;
/// How long each chunk of a stopped machine's output may wait for its reader, in milliseconds.
const LAST_WORDS: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// Enough for a verbose kernel's whole boot at once, and a log of 21 GB a day at worst.
pub const DEFAULT_LIMIT: Bucket = Bucket { per_second: 256 << 10, burst: 1 << 20 };

/// A bounded buffer between vCPUs and a descriptor.
pub struct Console {
    pending: Mutex<Pending>,
    /// Rings when `pending` is no longer empty.
    bell: EventFd,
}

struct Pending {
    bytes: VecDeque<u8>,
    limit: Bucket,
    tokens: u64,
    filled: Instant,
    written: u64,
    dropped: u64,
}

impl Console {
    /// An empty buffer.
    ///
    /// # Errors
    /// When the host has no descriptor left.
    pub fn new(limit: Bucket) -> io::Result<Self> {
        let pending = Pending {
            bytes: VecDeque::new(),
            limit,
            tokens: limit.burst,
            filled: Instant::now(),
            written: 0,
            dropped: 0,
        };
        Ok(Self { pending: Mutex::new(pending), bell: EventFd::new(EFD_NONBLOCK)? })
    }

    /// Takes a byte, or drops it.
    pub fn put(&self, byte: u8) {
        let mut pending = self.lock();
        if pending.bytes.len() >= BUFFER || !pending.take_token() {
            pending.dropped += 1;
            return;
        }
        pending.bytes.push_back(byte);
        if pending.bytes.len() == 1 {
            // Only a full counter could make this fail, and then it rings already.
            let _ = self.bell.write(1);
        }
    }

    /// Rings when there is something to flush.
    pub fn bell(&self) -> &EventFd {
        &self.bell
    }

    /// Bytes written and dropped so far.
    pub fn counts(&self) -> (u64, u64) {
        let pending = self.lock();
        (pending.written, pending.dropped)
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn take_token(&mut self) -> bool {
        if self.tokens == 0 {
            let elapsed = self.filled.elapsed();
            let new = elapsed.as_millis().saturating_mul(u128::from(self.limit.per_second)) / 1000;
            self.tokens = u64::try_from(new).unwrap_or(u64::MAX).min(self.limit.burst);
            if self.tokens == 0 {
                return false;
            }
            self.filled = Instant::now();
        }
        self.tokens -= 1;
        true
    }
}

/// The descriptor at the end of a console; used by the device thread only.
pub struct Output {
    file: Option<File>,
    /// Its descriptor can't be waited for: a regular file, which never blocks for long.
    always_ready: bool,
    waiting: bool,
    poll: Poll,
    source: u32,
}

impl Output {
    /// Output into `file`, which is waited for as `source`; without one, everything is thrown away.
    pub fn new(file: Option<File>, poll: Poll, source: u32) -> Self {
        Self { file, always_ready: false, waiting: false, poll, source }
    }

    /// Whether there is a descriptor.
    pub fn exists(&self) -> bool {
        self.file.is_some()
    }

    /// Something is in the buffer.
    pub fn on_bell(&mut self, console: &Console) {
        let _ = console.bell.read();
        let Some(file) = &self.file else {
            console.lock().bytes.clear();
            return;
        };
        if !self.always_ready && !self.waiting {
            match self.poll.add(file.as_raw_fd(), self.source, Interest::Write) {
                Ok(()) => self.waiting = true,
                // EPERM is what `epoll_ctl` says of regular files.
                Err(_) => self.always_ready = true,
            }
        }
        if self.always_ready {
            while self.write(console) {}
        }
    }

    /// The descriptor takes bytes.
    pub fn on_ready(&mut self, console: &Console) {
        if !self.write(console) {
            self.stop_waiting();
        }
    }

    /// Writes what is left, as long as the descriptor takes it; the machine has stopped.
    pub fn finish(&mut self, console: &Console) {
        self.stop_waiting();
        while (self.always_ready || self.file.as_ref().is_some_and(takes_more)) && self.write(console) {}
    }

    fn stop_waiting(&mut self) {
        if let Some(file) = self.file.as_ref().filter(|_| self.waiting) {
            let _ = self.poll.remove(file.as_raw_fd());
            self.waiting = false;
        }
    }

    /// Writes one chunk; says whether there is more.
    fn write(&mut self, console: &Console) -> bool {
        let Some(file) = &mut self.file else { return false };
        let mut pending = console.lock();
        let chunk: Vec<u8> = pending.bytes.iter().take(CHUNK).copied().collect();
        // Not under the lock: a vCPU would wait for the disk.
        drop(pending);
        let result = if chunk.is_empty() { Ok(0) } else { file.write(&chunk) };
        pending = console.lock();
        match result {
            Ok(count) => {
                pending.bytes.drain(..count);
                pending.written += count as u64;
                !pending.bytes.is_empty()
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => true,
            // Nobody will ever read this: without a descriptor the rest is thrown away.
            Err(_) => {
                pending.dropped += pending.bytes.len() as u64;
                pending.bytes.clear();
                drop(pending);
                self.stop_waiting();
                self.file = None;
                false
            }
        }
    }
}

/// Whether a descriptor that can be waited for becomes writable soon enough for last words.
fn takes_more(file: &File) -> bool {
    let mut fds = [PollFd::new(file, PollFlags::OUT)];
    poll(&mut fds, Some(&LAST_WORDS)).is_ok_and(|ready| ready > 0)
}
