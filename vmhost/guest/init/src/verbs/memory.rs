//! Memory that must survive what the host does: snapshots, clones, balloons.

use std::sync::Arc;
use std::{fs, mem};

use super::kernel::meminfo_kib;
use super::{Args, Failure};
use crate::Guest;
use crate::pattern::{Fnv, Pattern};
use crate::sys::clock;

/// Left for the kernel and for this program, which the kernel would kill if memory ran out.
const RESERVE_KIB: u64 = 8 << 10;

/// Memory filled with a pattern.
#[derive(Debug)]
pub(crate) struct Filled {
    words: Vec<u64>,
    pattern: Pattern,
    checksum: u64,
}

pub(super) fn fill(guest: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let mib = args.number("MIB")?;
    let pattern = Pattern::new(args.number("SEED")?);
    let mut slot = guest.filled();
    // First, as the old memory may be needed for the new.
    *slot = None;
    let mut words = reserve(mib)?;
    let start = clock::monotonic_us();
    let mut sum = Fnv::new();
    for index in 0..words.capacity() as u64 {
        let word = pattern.word(index);
        sum.add_word(word);
        words.push(word);
    }
    let us = clock::monotonic_us() - start;
    let (bytes, checksum) = (mem::size_of_val(&*words), sum.value());
    *slot = Some(Filled { words, pattern, checksum });
    Ok(format!("bytes={bytes} checksum={checksum:016x} us={us}"))
}

pub(super) fn check(guest: &Arc<Guest>, _: Args<'_>) -> Result<String, Failure> {
    let slot = guest.filled();
    let Filled { words, pattern, checksum } = slot.as_ref().ok_or_else(nothing)?;
    let start = clock::monotonic_us();
    let mut sum = Fnv::new();
    for (index, found) in words.iter().enumerate() {
        let wanted = pattern.word(index as u64);
        if *found != wanted {
            let offset = index * size_of::<u64>();
            return Err(Failure::Wrong(format!(
                "mismatch address={found:p} offset={offset:#x} wanted={wanted:#018x} found={found:#018x}"
            )));
        }
        sum.add_word(*found);
    }
    // Words and checksum are apart in memory: both would have to be wrong in the same way.
    if sum.value() != *checksum {
        return Err(Failure::Wrong(format!("checksum wanted={checksum:016x} found={:016x}", sum.value())));
    }
    let bytes = mem::size_of_val(&**words);
    Ok(format!("bytes={bytes} checksum={checksum:016x} us={}", clock::monotonic_us() - start))
}

pub(super) fn free(guest: &Arc<Guest>, _: Args<'_>) -> Result<String, Failure> {
    let filled = guest.filled().take().ok_or_else(nothing)?;
    // The C library maps areas this large one by one, so this returns them to the kernel.
    Ok(format!("bytes={}", mem::size_of_val(&*filled.words)))
}

/// Room for so many MiB, or a refusal where the kernel would have to kill someone for it.
pub(super) fn reserve(mib: u64) -> Result<Vec<u64>, Failure> {
    let table = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available_kib = meminfo_kib(&table, "MemAvailable").unwrap_or(u64::MAX);
    let wanted_kib = mib.saturating_mul(1024);
    let refusal = || Failure::Wrong(format!("{mib} MiB wanted, {available_kib} KiB available"));
    if wanted_kib.saturating_add(RESERVE_KIB) > available_kib {
        return Err(refusal());
    }
    let mut words = Vec::new();
    words.try_reserve_exact(wanted_kib as usize * 1024 / size_of::<u64>()).map_err(|_| refusal())?;
    Ok(words)
}

fn nothing() -> Failure {
    Failure::Wrong("nothing is filled".to_owned())
}
