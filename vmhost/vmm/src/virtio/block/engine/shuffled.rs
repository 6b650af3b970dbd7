//! Jobs done late, out of order and in pieces, for tests: whatever order a host may choose, this may.

use std::io;

use super::{Done, Job, Work, inline};

/// Jobs that wait for their turn.
pub(super) struct Shuffled {
    jobs: Vec<(u64, Job)>,
    seed: u64,
}

impl Shuffled {
    pub(super) fn new(seed: u64) -> Self {
        Self { jobs: Vec::new(), seed: seed | 1 }
    }

    pub(super) fn begin(&mut self, number: u64, job: Job) {
        self.jobs.push((number, job));
    }

    /// Does some of the jobs; says whether others wait.
    pub(super) fn over(&mut self, done: &mut Vec<Done>) -> bool {
        while !self.jobs.is_empty() && self.below(3) != 0 {
            let place = self.below(self.jobs.len() as u64);
            let (number, job) = self.jobs.swap_remove(place);
            let result = self.perform(&job);
            done.push(job.over(number, result));
        }
        !self.jobs.is_empty()
    }

    pub(super) fn cancel(&mut self) {
        self.jobs.clear();
    }

    /// Reads and writes may end anywhere.
    fn perform(&mut self, job: &Job) -> io::Result<u64> {
        let length = 1 + self.below(job.length.max(1)) as u64;
        let work = match &job.work {
            Work::Read(buffers) => Work::Read(buffers.window(0, length)),
            Work::Write(buffers) => Work::Write(buffers.window(0, length)),
            _ => return inline::perform(job),
        };
        inline::perform(&Job { file: job.file.clone(), offset: job.offset, length, work })
    }

    fn below(&mut self, limit: u64) -> usize {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed % limit) as usize
    }
}
