//! A thread for work that takes as long as a disk does: writing snapshots.
//!
//! It is started before the device thread is confined, as that one may start none.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::jail::seccomp::{self, Thread};

type Job = Box<dyn FnOnce() + Send>;

/// The thread's handle; it ends when this is dropped and its work is done.
pub struct Worker {
    jobs: Sender<Job>,
}

impl Worker {
    /// Starts it.
    pub fn start(confined: bool) -> io::Result<Self> {
        let (jobs, queue) = channel::<Job>();
        thread::Builder::new().name("worker".into()).spawn(move || {
            if confined && seccomp::confine(Thread::Worker).is_err() {
                // Its queue closes, and each job's sender hears of it.
                return;
            }
            queue.into_iter().for_each(|job| job());
        })?;
        Ok(Self { jobs })
    }

    /// Does `job` after those before it; `false` if the thread is gone.
    pub fn take(&self, job: impl FnOnce() + Send + 'static) -> bool {
        self.jobs.send(Box::new(job)).is_ok()
    }
}
