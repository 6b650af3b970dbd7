//! Throughput of a disk: plain reads and writes by several threads, nothing verified.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::block_random::DEPTH_LIMIT;
use super::disk::{self, Access, Buffer};
use super::{Args, Failure, Step as _};
use crate::Guest;
use crate::pattern::{Dice, Pattern};
use crate::sys::clock;

/// Largest single read or write, as each thread holds a buffer of it.
const SIZE_LIMIT: u64 = 4 << 20;

pub(super) fn read(guest: &Arc<Guest>, args: Args<'_>) -> Result<String, Failure> {
    bench(guest, args, Access::Read)
}

pub(super) fn write(guest: &Arc<Guest>, args: Args<'_>) -> Result<String, Failure> {
    bench(guest, args, Access::Write)
}

fn bench(guest: &Guest, mut args: Args<'_>, access: Access) -> Result<String, Failure> {
    let disk = disk::open(guest, args.word("DEV")?, access)?;
    let bytes = args.number("BYTES")?;
    let block = args.number_to("BS", SIZE_LIMIT)?.max(1);
    let depth = args.number_to("DEPTH", DEPTH_LIMIT)?.max(1);
    let random = match args.next() {
        None => false,
        Some("random") => true,
        Some(word) => return Err(Failure::Argument { name: "random", word: word.to_owned() }),
    };
    let blocks = disk::size(&disk)? / block;
    if blocks == 0 {
        return Err(Failure::Wrong(format!("the disk is smaller than one block of {block} bytes")));
    }
    let bench = Bench { disk, access, block, blocks, random, left: AtomicU64::new(bytes / block) };
    let start = clock::monotonic_us();
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..depth)
            .map(|thread| {
                scope.spawn({
                    let bench = &bench;
                    move || bench.work(thread)
                })
            })
            .collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    for result in results {
        result.map_err(|_| Failure::Wrong("a thread panicked".to_owned()))??;
    }
    if access == Access::Write {
        bench.disk.sync_data().step("flush")?;
    }
    let us = clock::monotonic_us() - start;
    Ok(format!("bytes={} ops={} us={us}", bytes / block * block, bytes / block))
}

struct Bench {
    disk: File,
    access: Access,
    /// Bytes of one operation.
    block: u64,
    /// Blocks of the disk.
    blocks: u64,
    random: bool,
    /// Operations that no thread has taken yet.
    left: AtomicU64,
}

impl Bench {
    fn work(&self, thread: u64) -> Result<(), Failure> {
        let mut buffer = Buffer::new(self.block as usize);
        Pattern::new(thread).fill(&mut buffer, 0);
        let mut dice = Dice::new(thread);
        while let Ok(left) = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            // Counting down is sequential as well, seen from the end; counting up isn't dearer.
            let block =
                if self.random { dice.below(self.blocks) } else { self.blocks.wrapping_sub(left) % self.blocks };
            let at = block * self.block;
            match self.access {
                Access::Read => self.disk.read_exact_at(&mut buffer, at).step(format!("read at {at:#x}"))?,
                Access::Write => self.disk.write_all_at(&buffer, at).step(format!("write at {at:#x}"))?,
            }
        }
        Ok(())
    }
}
