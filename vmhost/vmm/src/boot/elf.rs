//! Loads an ELF kernel by its program headers and finds its PVH entry point.
//!
//! Only what the headers of a 64-bit x86 kernel need: `PT_LOAD` at physical
//! addresses and one `PT_NOTE` with Xen's `PHYS32_ENTRY` (type 18).

use std::fs::File;

use super::{Kernel, KernelEntry, LoadError, MOST_EXPECTED, check_place, copy, read_at};
use crate::memory::GuestRam;

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const PHYS32_ENTRY: u32 = 18;
/// Kernels have some hundred bytes of notes; this bounds what a hostile file makes us read.
const MAX_NOTES: u64 = 64 << 10;

struct ProgramHeader {
    kind: u32,
    offset: u64,
    address: u64,
    file_size: u64,
    memory_size: u64,
}

pub(super) fn load(ram: &GuestRam, file: &File) -> Result<Kernel, LoadError> {
    let memory = ram.memory();
    let headers = program_headers(file)?;
    let (mut start, mut end) = (u64::MAX, 0);
    let parts: Vec<_> = headers.iter().filter(|header| header.kind == PT_LOAD && header.memory_size > 0).collect();
    for part in &parts {
        if part.file_size > part.memory_size {
            return Err(LoadError::Elf("a part of it is larger in the file than in memory"));
        }
        start = start.min(part.address);
        end = end.max(check_place(memory, part.address, part.memory_size)?);
    }
    // Parts that lie over each other could have all of memory copied thousands of times.
    let sum = parts.iter().try_fold(0u64, |sum, part| sum.checked_add(part.memory_size));
    if sum.is_none_or(|sum| sum > ram.bytes()) {
        return Err(LoadError::Elf("its parts are larger than the guest's memory"));
    }
    if parts.is_empty() {
        return Err(LoadError::Elf("it has nothing to load"));
    }
    let notes = headers.iter().find(|header| header.kind == PT_NOTE).map(|header| notes(file, header)).transpose()?;
    let entry = notes.and_then(|notes| pvh_entry(&notes)).ok_or(LoadError::NoPvh)?;
    check_place(memory, entry, 1)?;
    ram.expect_use(start, end.min(start + MOST_EXPECTED));
    for part in parts {
        copy(memory, file, "kernel", part.offset, part.address, part.file_size)?;
    }
    Ok(Kernel { entry: KernelEntry::Pvh(entry), end })
}

fn program_headers(file: &File) -> Result<Vec<ProgramHeader>, LoadError> {
    let mut header = [0; HEADER];
    read_at(file, &mut header, 0)?;
    // Class 64-bit, little-endian, machine x86-64.
    if header[4] != 2 || header[5] != 1 || u16_at(&header, 18) != 62 {
        return Err(LoadError::Elf("not one for 64-bit x86"));
    }
    if usize::from(u16_at(&header, 54)) != PROGRAM_HEADER {
        return Err(LoadError::Elf("its program headers have an unknown size"));
    }
    let (offset, count) = (u64_at(&header, 32), usize::from(u16_at(&header, 56)));
    let mut table = vec![0; count * PROGRAM_HEADER];
    read_at(file, &mut table, offset)?;
    Ok(table.chunks_exact(PROGRAM_HEADER).map(program_header).collect())
}

fn program_header(bytes: &[u8]) -> ProgramHeader {
    ProgramHeader {
        kind: u32_at(bytes, 0),
        offset: u64_at(bytes, 8),
        address: u64_at(bytes, 24),
        file_size: u64_at(bytes, 32),
        memory_size: u64_at(bytes, 40),
    }
}

fn notes(file: &File, header: &ProgramHeader) -> Result<Vec<u8>, LoadError> {
    if header.file_size > MAX_NOTES {
        return Err(LoadError::Elf("its notes are too long"));
    }
    let mut bytes = vec![0; usize::try_from(header.file_size).unwrap_or(0)];
    read_at(file, &mut bytes, header.offset)?;
    Ok(bytes)
}

/// The entry point among notes, each of three lengths and types, a name and a descriptor, both padded to 4 bytes.
fn pvh_entry(mut notes: &[u8]) -> Option<u64> {
    while let Some((header, rest)) = notes.split_at_checked(12) {
        let padded = |length: u32| usize::try_from(length).ok()?.checked_next_multiple_of(4);
        let (name, rest) = rest.split_at_checked(padded(u32_at(header, 0))?)?;
        let length = u32_at(header, 4);
        let (descriptor, rest) = rest.split_at_checked(padded(length)?)?;
        if u32_at(header, 8) == PHYS32_ENTRY && name == b"Xen\0" && length >= 4 {
            return Some(u64::from(u32_at(descriptor, 0)));
        }
        notes = rest;
    }
    None
}

/// Bytes of a header whose length was checked; zeros beyond it.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(kind: u32, name: &[u8], descriptor: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [name.len() as u32, descriptor.len() as u32, kind] {
            bytes.extend(word.to_le_bytes());
        }
        for part in [name, descriptor] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    #[test]
    fn the_entry_is_found_among_other_notes() {
        let entry = note(18, b"Xen\0", &0x0100_0200_u32.to_le_bytes());
        let check = |notes: &[u8], expected| assert_eq!(pvh_entry(notes), expected, "{notes:x?}");
        check(&entry, Some(0x0100_0200));
        check(&[note(3, b"GNU\0", &[1; 20]), note(18, b"Lin\0", &[9; 4]), entry.clone()].concat(), Some(0x0100_0200));
        check(&[], None);
        check(&note(18, b"Xen\0", &[1, 2]), None);
        check(&entry[..14], None);
        let mut endless = entry;
        endless[0..4].copy_from_slice(&u32::MAX.to_le_bytes());
        check(&endless, None);
    }
}
