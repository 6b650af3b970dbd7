//! Patterns on disks, and what else a disk can be asked for.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::disk::{self, Access, Buffer};
use super::{Args, Failure, Step as _};
use crate::Guest;
use crate::pattern::Pattern;
use crate::sys::{block, clock};

/// Bytes of one read or write.
const PART: u64 = 1 << 20;

pub(super) fn list(_: &Arc<Guest>, _: Args<'_>) -> Result<String, Failure> {
    let mut disks = Vec::new();
    for entry in fs::read_dir("/sys/block").step("read /sys/block")? {
        let entry = entry.step("read /sys/block")?;
        let attribute = |name| fs::read_to_string(entry.path().join(name)).unwrap_or_default().trim().to_owned();
        // In sectors of 512 bytes, whatever the disk's own.
        let bytes = attribute("size").parse().unwrap_or(0_u64) * 512;
        disks.push(format!(
            "{}:{bytes}:{}",
            entry.file_name().display(),
            if attribute("ro") == "1" { "ro" } else { "rw" }
        ));
    }
    disks.sort();
    Ok(disks.join(" "))
}

struct Range {
    offset: u64,
    length: u64,
}

impl Range {
    fn parse(args: &mut Args<'_>) -> Result<Self, Failure> {
        Ok(Self { offset: args.number("OFFSET")?, length: args.number("LEN")? })
    }

    /// Offsets of its parts, with a buffer of each part's length.
    fn each(&self, mut work: impl FnMut(u64, &mut [u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        let end = self.offset.checked_add(self.length);
        let end = end.ok_or_else(|| Failure::Argument { name: "LEN", word: self.length.to_string() })?;
        let mut buffer = Buffer::new(self.length.min(PART) as usize);
        let mut at = self.offset;
        while at < end {
            let length = (end - at).min(PART);
            work(at, &mut buffer[..length as usize])?;
            at += length;
        }
        Ok(())
    }
}

pub(super) fn write(guest: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let disk = disk::open(guest, args.word("DEV")?, Access::Write)?;
    let range = Range::parse(&mut args)?;
    let pattern = Pattern::new(args.number("SEED")?);
    let start = clock::monotonic_us();
    range.each(|at, buffer| {
        pattern.fill(buffer, at);
        disk.write_all_at(buffer, at).step(format!("write at {at:#x}"))
    })?;
    Ok(format!("bytes={} us={}", range.length, clock::monotonic_us() - start))
}

pub(super) fn verify(guest: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let disk = disk::open(guest, args.word("DEV")?, Access::Read)?;
    let range = Range::parse(&mut args)?;
    let pattern = Pattern::new(args.number("SEED")?);
    let start = clock::monotonic_us();
    range.each(|at, buffer| {
        disk.read_exact_at(buffer, at).step(format!("read at {at:#x}"))?;
        pattern.verify(buffer, at).map_err(|mismatch| Failure::Wrong(mismatch.to_string()))
    })?;
    Ok(format!("bytes={} us={}", range.length, clock::monotonic_us() - start))
}

pub(super) fn flush(guest: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let disk = disk::open(guest, args.word("DEV")?, Access::Write)?;
    let start = clock::monotonic_us();
    disk.sync_data().step("flush")?;
    Ok(format!("us={}", clock::monotonic_us() - start))
}

pub(super) fn discard(guest: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let disk = disk::open(guest, args.word("DEV")?, Access::Write)?;
    let range = Range::parse(&mut args)?;
    block::discard(&disk, range.offset, range.length).step("discard")?;
    Ok(format!("bytes={}", range.length))
}

pub(super) fn zero(guest: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let disk = disk::open(guest, args.word("DEV")?, Access::Write)?;
    let range = Range::parse(&mut args)?;
    block::zero(&disk, range.offset, range.length).step("write zeroes")?;
    Ok(format!("bytes={}", range.length))
}
