//! Every small descriptor graph, against a model that was written another way.
//!
//! `Chain::read` goes step by step and stops at the first fault. The model first
//! follows all links and then judges the whole: it knows loops by a descriptor
//! that comes twice, not by counting. Both must agree on what is valid, and on
//! the buffers of what is.

use super::*;

/// Memory is `0..0x4000` and `0x5000..0x9000`.
const STRETCHES: [(u64, usize); 2] = [(0, 0x4000), (0x5000, 0x4000)];
const TABLE: u64 = 0x1000;
const INNER: u64 = 0x2000;

/// Address, length, flags, next.
type Entry = (u64, u32, u16, u16);
type Buffers = Vec<(u64, u32)>;

/// What descriptors may be made of.
struct Alphabet {
    buffers: &'static [(u64, u32)],
    nexts: u16,
}

impl Alphabet {
    fn entries(&self) -> Vec<Entry> {
        let flags = 0..8;
        let rest = flags.flat_map(|flags| (0..self.nexts).map(move |next| (flags, next)));
        rest.flat_map(|(flags, next)| self.buffers.iter().map(move |&(at, length)| (at, length, flags, next))).collect()
    }
}

/// Calls with every table of `length` entries; and says which of its entries has changed since the last call.
fn tables(entries: &[Entry], length: usize, mut call: impl FnMut(&[Entry], usize)) {
    let mut places = vec![0; length];
    let mut table = vec![entries[0]; length];
    (0..length).for_each(|index| call(&table, index));
    loop {
        let Some(index) = places.iter().position(|place| place + 1 < entries.len()) else { return };
        for lower in 0..index {
            (places[lower], table[lower]) = (0, entries[0]);
            call(&table, lower);
        }
        places[index] += 1;
        table[index] = entries[places[index]];
        call(&table, index);
    }
}

fn memory() -> GuestMemory {
    GuestMemory::from_ranges(&STRETCHES.map(|(start, length)| (GuestAddress(start), length))).expect("32 KiB")
}

fn write(memory: &GuestMemory, table: u64, index: usize, (address, length, flags, next): Entry) {
    let mut bytes = address.to_le_bytes().to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    bytes.extend(next.to_le_bytes());
    memory.write_slice(&bytes, GuestAddress(table + 16 * index as u64)).expect("the table is in memory");
}

/// Readable and writable buffers; `None` if it is invalid.
fn model(direct: &[Entry], inner: &[Entry], head: u16) -> Option<(Buffers, Buffers)> {
    let mut walk = follow(direct, head)?;
    let last = *walk.last()?;
    if last.2 & INDIRECT != 0 {
        walk.pop();
        let whole = last.1 > 0 && last.1.is_multiple_of(16) && last.0 == INNER;
        let table = whole.then(|| inner.get(..last.1 as usize / 16)).flatten()?;
        walk.extend(follow(table, 0)?);
    }
    if walk.len() > direct.len() || walk.iter().any(|entry| entry.2 & INDIRECT != 0) {
        return None;
    }
    let filled = |entry: &&Entry| entry.1 > 0;
    if !walk.iter().filter(filled).all(|&(address, length, ..)| is_memory(address, length)) {
        return None;
    }
    let first_written = walk.iter().position(|entry| entry.2 & WRITE != 0 && entry.1 > 0).unwrap_or(walk.len());
    if walk[first_written..].iter().any(|entry| entry.2 & WRITE == 0) {
        return None;
    }
    let of = |entries: &[Entry]| entries.iter().filter(filled).map(|&(at, length, ..)| (at, length)).collect();
    Some((of(&walk[..first_written]), of(&walk[first_written..])))
}

/// All entries from `head` on.
fn follow(table: &[Entry], head: u16) -> Option<Vec<Entry>> {
    let mut seen: Vec<u16> = Vec::new();
    let mut next = Some(head);
    while let Some(index) = next {
        if seen.contains(&index) {
            return None;
        }
        let entry = table.get(usize::from(index))?;
        seen.push(index);
        next = (entry.2 & NEXT != 0).then_some(entry.3);
    }
    Some(seen.into_iter().map(|index| table[usize::from(index)]).collect())
}

fn is_memory(address: u64, length: u32) -> bool {
    let (first, last) = (u128::from(address), u128::from(address) + u128::from(length) - 1);
    let within = |(start, size): (u64, usize)| first >= u128::from(start) && last < u128::from(start) + size as u128;
    STRETCHES.into_iter().any(within)
}

fn check(memory: &GuestMemory, direct: &[Entry], inner: &[Entry], head: u16) -> bool {
    let size = u16::try_from(direct.len()).expect("few");
    let of = |segments: &[Segment]| segments.iter().map(|segment| (segment.address.0, segment.length)).collect();
    let found = Chain::read(memory, TABLE, size, head).ok().map(|chain| {
        assert_eq!(chain.head(), head);
        (of(chain.readable()), of(chain.writable()))
    });
    let expected = model(direct, inner, head);
    assert_eq!(found, expected, "table {direct:x?}, indirect {inner:x?}, head {head}");
    found.is_some()
}

#[test]
fn every_table_of_up_to_three_descriptors() {
    // In memory, empty, across the gap.
    let alphabet = Alphabet { buffers: &[(INNER, 16), (0x3000, 0), (0x3FF8, 16)], nexts: 4 }.entries();
    let inner = [(0x6000, 8, WRITE, 0)];
    let memory = memory();
    write(&memory, INNER, 0, inner[0]);
    for length in 1..=3 {
        let mut valid = 0_u32;
        tables(&alphabet, length, |table, changed| {
            write(&memory, TABLE, changed, table[changed]);
            valid += u32::from(check(&memory, table, &inner, 0));
        });
        assert!(valid > 0, "the model refuses everything");
    }
}

#[test]
fn every_head() {
    let table = [(0x3000, 16, NEXT, 2), (0x3000, 16, NEXT, 1), (0x3010, 16, WRITE, 0)];
    let memory = memory();
    table.into_iter().enumerate().for_each(|(index, entry)| write(&memory, TABLE, index, entry));
    let valid: Vec<u16> = (0..=u16::MAX).filter(|head| check(&memory, &table, &[], *head)).collect();
    assert_eq!(valid, [0, 2]);
}

#[test]
fn every_indirect_table_of_two_descriptors() {
    let outer = Alphabet {
        buffers: &[(INNER, 16), (INNER, 32), (INNER, 0), (INNER, 24), (u64::MAX - 7, 32), (0x3FF8, 16)],
        nexts: 2,
    };
    let alphabet = Alphabet { buffers: &[(0x8FF0, 16), (0x3000, 0), (0x8FF1, 16)], nexts: 3 }.entries();
    let memory = memory();
    // Of one descriptor the queue is too small for a chain of two.
    for size in [1, 2] {
        for entry in outer.entries() {
            let mut table = vec![(0x3000, 4, 0, 0); size];
            table[0] = entry;
            table.iter().enumerate().for_each(|(index, entry)| write(&memory, TABLE, index, *entry));
            tables(&alphabet, 2, |inner, changed| {
                write(&memory, INNER, changed, inner[changed]);
                check(&memory, &table, inner, 0);
            });
        }
    }
}
