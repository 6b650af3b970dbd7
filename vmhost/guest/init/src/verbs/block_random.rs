//! Random reads and writes on a disk, each verified against a model: what fio's `verify` does.
//!
//! Each thread owns a region, so that no two write the same block at once. Its model is one
//! generation number a block: what a block holds is the pattern of (seed, generation) at the
//! block's place, so old data, other blocks' data and torn writes all differ. In the end every
//! block that was written is read once more, after a flush.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::disk::{self, ALIGNMENT, Access, Buffer};
use super::{Args, Failure, Step as _, args};
use crate::Guest;
use crate::pattern::{Dice, Pattern};
use crate::sys::clock;

const BLOCK: usize = ALIGNMENT;

/// Most blocks of one read or write.
const RUN_LIMIT: u64 = 32;
/// Largest region of a thread in blocks (64 MiB), which bounds the model and the last pass.
const REGION_LIMIT: u64 = 16 << 10;
/// Most threads.
pub(super) const DEPTH_LIMIT: u64 = 64;

/// When a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Operations(u64),
    Seconds(u64),
}

/// `500` operations of each thread, or `10s`.
fn until(word: &str) -> Option<Until> {
    match word.strip_suffix('s') {
        Some(seconds) => args::number(seconds).map(Until::Seconds),
        None => args::number(word).map(Until::Operations),
    }
}

#[derive(Debug, Default)]
struct Tally {
    reads: u64,
    writes: u64,
    bytes: u64,
}

pub(super) fn run(guest: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let disk = disk::open(guest, args.word("DEV")?, Access::Write)?;
    let until = args.parsed("OPS|SECONDS", until)?;
    let seed = args.number("SEED")?;
    let depth = args.number_to("DEPTH", DEPTH_LIMIT)?.max(1);
    let region = disk::size(&disk)? / BLOCK as u64 / depth;
    if region == 0 {
        return Err(Failure::Wrong(format!("the disk is too small for {depth} threads")));
    }
    let start = clock::monotonic_us();
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..depth)
            .map(|thread| {
                scope.spawn({
                    let mut region = Region::new(&disk, seed, thread * region, region.min(REGION_LIMIT));
                    move || region.run(until)
                })
            })
            .collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    let mut total = Tally::default();
    for result in results {
        let tally = result.map_err(|_| Failure::Wrong("a thread panicked".to_owned()))??;
        total.reads += tally.reads;
        total.writes += tally.writes;
        total.bytes += tally.bytes;
    }
    let us = clock::monotonic_us() - start;
    Ok(format!("reads={} writes={} bytes={} us={us}", total.reads, total.writes, total.bytes))
}

struct Region<'a> {
    disk: &'a File,
    pattern: Pattern,
    dice: Dice,
    /// First block on the disk.
    start: u64,
    /// Generation of each block; 0 means never written.
    model: Vec<u64>,
    buffer: Buffer,
    tally: Tally,
}

impl<'a> Region<'a> {
    fn new(disk: &'a File, seed: u64, start: u64, blocks: u64) -> Self {
        Self {
            disk,
            pattern: Pattern::new(seed),
            dice: Dice::new(seed ^ start),
            start,
            model: vec![0; blocks as usize],
            buffer: Buffer::new(RUN_LIMIT as usize * BLOCK),
            tally: Tally::default(),
        }
    }

    fn run(&mut self, until: Until) -> Result<Tally, Failure> {
        let start = clock::monotonic_us();
        let mut operations = 0;
        while match until {
            Until::Operations(limit) => operations < limit,
            Until::Seconds(limit) => clock::monotonic_us() - start < limit.saturating_mul(1_000_000),
        } {
            self.operate()?;
            operations += 1;
        }
        self.disk.sync_data().step("flush")?;
        for first in (0..self.model.len()).step_by(RUN_LIMIT as usize) {
            let length = (self.model.len() - first).min(RUN_LIMIT as usize);
            self.read(first, length)?;
        }
        Ok(std::mem::take(&mut self.tally))
    }

    /// One read or write of one to `RUN_LIMIT` blocks, or once in a while a flush.
    fn operate(&mut self) -> Result<(), Failure> {
        let first = self.dice.below(self.model.len() as u64);
        let length = 1 + self.dice.below(RUN_LIMIT.min(self.model.len() as u64 - first));
        let (first, length) = (first as usize, length as usize);
        match self.dice.below(64) {
            0 => self.disk.sync_data().step("flush"),
            1..=24 => self.read(first, length),
            _ => self.write(first, length),
        }
    }

    fn position(&self, block: usize) -> u64 {
        (self.start + block as u64) * BLOCK as u64
    }

    fn write(&mut self, first: usize, length: usize) -> Result<(), Failure> {
        for block in first..first + length {
            self.model[block] += 1;
            let position = self.position(block);
            let place = (block - first) * BLOCK;
            self.pattern.generation(self.model[block]).fill(&mut self.buffer[place..place + BLOCK], position);
        }
        let position = self.position(first);
        let bytes = &self.buffer[..length * BLOCK];
        self.disk.write_all_at(bytes, position).step(format!("write at {position:#x}"))?;
        self.tally.writes += 1;
        self.tally.bytes += bytes.len() as u64;
        Ok(())
    }

    fn read(&mut self, first: usize, length: usize) -> Result<(), Failure> {
        let position = self.position(first);
        let bytes = &mut self.buffer[..length * BLOCK];
        self.disk.read_exact_at(bytes, position).step(format!("read at {position:#x}"))?;
        self.tally.reads += 1;
        self.tally.bytes += bytes.len() as u64;
        for block in first..first + length {
            let place = (block - first) * BLOCK;
            self.verify(block, &self.buffer[place..place + BLOCK])?;
        }
        Ok(())
    }

    fn verify(&self, block: usize, found: &[u8]) -> Result<(), Failure> {
        let (wanted, position) = (self.model[block], self.position(block));
        if wanted == 0 {
            return Ok(());
        }
        let Err(mismatch) = self.pattern.generation(wanted).verify(found, position) else { return Ok(()) };
        let holds = |generation: &u64| self.pattern.generation(*generation).verify(found, position).is_ok();
        let older = (1..wanted).rev().find(holds).map_or_else(|| "none".to_owned(), |it| it.to_string());
        Err(Failure::Wrong(format!("{mismatch} block={position:#x} generation={wanted} holds_generation={older}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_a_run() {
        for (word, wanted) in [
            ("500", Some(Until::Operations(500))),
            ("10s", Some(Until::Seconds(10))),
            ("1K", Some(Until::Operations(1024))),
            ("s", None),
            ("ten", None),
        ] {
            assert_eq!(until(word), wanted, "{word}");
        }
    }

    #[test]
    fn damage_is_named() {
        let disk = File::open("/dev/null").expect("there is a /dev/null");
        let mut region = Region::new(&disk, 1, 8, 4);
        region.model[2] = 3;
        let mut block = vec![0; BLOCK];
        let at = 10 * BLOCK as u64;
        let verdict =
            |region: &Region<'_>, block: &[u8]| region.verify(2, block).map_err(|failure| failure.to_string());

        region.pattern.generation(3).fill(&mut block, at);
        assert_eq!(verdict(&region, &block), Ok(()));
        region.pattern.generation(2).fill(&mut block, at);
        assert!(verdict(&region, &block).is_err_and(|text| text.ends_with("generation=3 holds_generation=2")));
        region.pattern.generation(3).fill(&mut block, at + BLOCK as u64);
        assert!(verdict(&region, &block).is_err_and(|text| text.ends_with("generation=3 holds_generation=none")));
    }
}
