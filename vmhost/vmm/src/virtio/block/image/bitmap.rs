//! A set of cluster numbers that costs memory only where it isn't empty.

use std::ops::Range;

/// Bytes of one page, in memory and in a file.
pub(super) const PAGE: usize = 4096;
const WORDS: usize = PAGE / 8;
const PAGE_BITS: u64 = PAGE as u64 * 8;

type Page = Box<[u64; WORDS]>;

/// A set of numbers below a limit.
#[derive(Debug, Clone, Default)]
pub(super) struct Bitmap {
    pages: Vec<Option<Page>>,
}

impl Bitmap {
    /// The empty set of numbers below `limit`.
    pub(super) fn new(limit: u64) -> Self {
        let pages = usize::try_from(limit.div_ceil(PAGE_BITS)).expect("a disk's size is limited");
        Self { pages: vec![None; pages] }
    }

    /// The same limit, without any number.
    pub(super) fn cleared(&self) -> Self {
        Self { pages: vec![None; self.pages.len()] }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pages.iter().all(Option::is_none)
    }

    /// Whether `bit` is in, and how many from it on are alike, at most `limit` (at least one).
    pub(super) fn run(&self, bit: u64, limit: u64) -> (bool, u64) {
        let first = self.word(bit) >> (bit % 64) & 1 == 1;
        // Words in which a one means a difference.
        let flip = if first { u64::MAX } else { 0 };
        let (mut at, end) = (bit, bit.saturating_add(limit));
        while at < end {
            if !first && at % PAGE_BITS == 0 && self.page(at).is_none() {
                at += PAGE_BITS;
                continue;
            }
            let different = (self.word(at) ^ flip) >> (at % 64);
            if different != 0 {
                at += u64::from(different.trailing_zeros());
                break;
            }
            at += 64 - at % 64;
        }
        (first, at.min(end) - bit)
    }

    /// Adds a range.
    pub(super) fn insert(&mut self, range: Range<u64>) {
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at - at % 64 + 64);
            let mask = (u64::MAX >> (64 - (end - at))) << (at % 64);
            if let Some(slot) = self.pages.get_mut(index(at)) {
                slot.get_or_insert_with(|| Box::new([0; WORDS]))[word(at)] |= mask;
            }
            at = end;
        }
    }

    /// Adds all of another set of the same limit.
    pub(super) fn merge(&mut self, other: Self) {
        for (mine, theirs) in self.pages.iter_mut().zip(other.pages) {
            match (mine, theirs) {
                (Some(mine), Some(theirs)) => mine.iter_mut().zip(*theirs).for_each(|(mine, theirs)| *mine |= theirs),
                (mine @ None, theirs) => *mine = theirs,
                (Some(_), None) => {}
            }
        }
    }

    /// Takes over a page of a file; `number` counts pages.
    pub(super) fn load(&mut self, number: usize, bytes: &[u8; PAGE]) {
        if let Some(slot) = self.pages.get_mut(number).filter(|_| bytes.iter().any(|byte| *byte != 0)) {
            let page = slot.get_or_insert_with(|| Box::new([0; WORDS]));
            for (word, bytes) in page.iter_mut().zip(bytes.as_chunks().0) {
                *word |= u64::from_le_bytes(*bytes);
            }
        }
    }

    /// Pages that aren't empty, each with its number, as a file has them.
    pub(super) fn pages(&self) -> impl Iterator<Item = (usize, [u8; PAGE])> {
        self.pages.iter().enumerate().filter_map(|(number, page)| {
            let mut bytes = [0; PAGE];
            for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(page.as_ref()?.iter()) {
                *bytes = word.to_le_bytes();
            }
            Some((number, bytes))
        })
    }

    fn page(&self, bit: u64) -> Option<&Page> {
        self.pages.get(index(bit))?.as_ref()
    }

    fn word(&self, bit: u64) -> u64 {
        self.page(bit).map_or(0, |page| page[word(bit)])
    }
}

fn index(bit: u64) -> usize {
    usize::try_from(bit / PAGE_BITS).unwrap_or(usize::MAX)
}

fn word(bit: u64) -> usize {
    (bit % PAGE_BITS) as usize / 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_those_of_the_ranges_inserted() {
        // ranges, bit, limit, expected
        let far = PAGE_BITS * 5;
        for (ranges, bit, limit, expected) in [
            (vec![], 0, far, (false, far)),
            (vec![], 77, 3, (false, 3)),
            (vec![(0, 1)], 0, 10, (true, 1)),
            (vec![(0, 1)], 1, 10, (false, 10)),
            (vec![(63, 65)], 0, 200, (false, 63)),
            (vec![(63, 65)], 63, 200, (true, 2)),
            (vec![(0, 64), (64, 128)], 3, 1000, (true, 125)),
            (vec![(far - 1, far)], 5, far, (false, far - 6)),
            (vec![(PAGE_BITS - 3, 3 * PAGE_BITS + 7)], PAGE_BITS - 1, far, (true, 2 * PAGE_BITS + 8)),
            (vec![(10, 20)], 15, u64::MAX, (true, 5)),
        ] {
            let mut bitmap = Bitmap::new(far);
            ranges.iter().for_each(|&(start, end)| bitmap.insert(start..end));
            assert_eq!(bitmap.run(bit, limit), expected, "{ranges:?} {bit} {limit}");
            let mut copy = Bitmap::new(far);
            bitmap.pages().for_each(|(number, bytes)| copy.load(number, &bytes));
            assert_eq!(copy.run(bit, limit), expected, "{ranges:?} {bit} {limit} from pages");
            let mut merged = copy.cleared();
            assert!(merged.is_empty());
            merged.merge(copy);
            assert_eq!(merged.run(bit, limit), expected, "{ranges:?} {bit} {limit} merged");
        }
    }
}
