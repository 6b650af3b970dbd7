//! Page numbers of an inflate request, put together to ranges.
//!
//! In:  32-bit numbers of 4 KiB pages, in any order, repeated, anywhere.
//! Out: sorted ranges that don't touch each other, so that each costs one system call.

use vm_memory::GuestAddress;

use super::super::{Fault, Reader, Segment};

/// A balloon's page, whatever the guest's is (5.5.6).
pub const SIZE: u64 = 4096;

/// Drivers send 256 at a time. The limit bounds what one request makes the host do and allocate.
const MAX_PAGES: u64 = 4096;
const NUMBER: u64 = 4;

/// A stretch of whole pages; whether there is memory isn't known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Where it starts.
    pub address: GuestAddress,
    /// In bytes.
    pub length: u64,
}

/// The pages that a request names.
///
/// # Errors
/// When there are too many, or a number is cut off.
pub fn read(reader: &mut Reader<'_>) -> Result<Vec<Range>, Fault> {
    let length = reader.left();
    if !length.is_multiple_of(NUMBER) || length > MAX_PAGES * NUMBER {
        return Err(Fault::Request("an inflate request is no list of at most 4096 pages"));
    }
    let mut numbers = Vec::new();
    for _ in 0..length / NUMBER {
        numbers.push(u32::from_le_bytes(reader.array()?));
    }
    Ok(ranges(numbers))
}

fn ranges(mut numbers: Vec<u32>) -> Vec<Range> {
    numbers.sort_unstable();
    numbers.dedup();
    let mut ranges: Vec<Range> = Vec::new();
    for number in numbers {
        let address = u64::from(number) * SIZE;
        match ranges.last_mut() {
            Some(last) if last.address.0 + last.length == address => last.length += SIZE,
            _ => ranges.push(Range { address: GuestAddress(address), length: SIZE }),
        }
    }
    ranges
}

/// The whole pages within a buffer.
pub fn whole(segment: &Segment) -> Option<Range> {
    // A segment lies in guest memory, so neither end is near the largest number.
    let start = segment.address.0.next_multiple_of(SIZE);
    let end = (segment.address.0 + u64::from(segment.length)) / SIZE * SIZE;
    (start < end).then(|| Range { address: GuestAddress(start), length: end - start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_become_one_range() {
        for (numbers, expected) in [
            (&[][..], &[][..]),
            (&[7], &[(0x7000, 0x1000)]),
            (&[7, 8, 9], &[(0x7000, 0x3000)]),
            (&[9, 7, 8, 7, 9], &[(0x7000, 0x3000)]),
            (&[1, 3, 4, 6], &[(0x1000, 0x1000), (0x3000, 0x2000), (0x6000, 0x1000)]),
            (&[u32::MAX, 0], &[(0, 0x1000), (0xFFF_FFFF_F000, 0x1000)]),
        ] {
            let found: Vec<_> = ranges(numbers.to_vec()).iter().map(|range| (range.address.0, range.length)).collect();
            assert_eq!(found, expected, "{numbers:?}");
        }
    }

    #[test]
    fn only_whole_pages_are_given_back() {
        for (address, length, expected) in [
            (0x1000, 0x1000, Some((0x1000, 0x1000))),
            (0x1001, 0x1000, None),
            (0x1001, 0x1FFF, Some((0x2000, 0x1000))),
            (0x0FFF, 0x1002, Some((0x1000, 0x1000))),
            (0x1000, 0xFFF, None),
            (0x1000, 0x40_0000, Some((0x1000, 0x40_0000))),
        ] {
            let found = whole(&Segment { address: GuestAddress(address), length });
            assert_eq!(found.map(|range| (range.address.0, range.length)), expected, "{address:#x} {length:#x}");
        }
    }
}
