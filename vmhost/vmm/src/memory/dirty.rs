//! Which pages have been written since some moment.
//!
//! Pages are counted through the whole of RAM, without the gap below 4 GiB:
//! page `n` lies at byte `n * PAGE` of the memory file.

use super::{PAGE_BYTES, layout};

/// Consecutive pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Run {
    /// The first page.
    pub page: u64,
    /// How many.
    pub count: u64,
}

impl Run {
    /// The page after the last.
    pub fn end(&self) -> u64 {
        self.page + self.count
    }
}

/// A set of pages of guest memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirtyPages {
    words: Vec<u64>,
    /// Index of each region's first word; a region is a whole number of words, as it's one of MiB.
    regions: Vec<(usize, usize)>,
}

impl DirtyPages {
    /// The empty set, for `bytes` of RAM, a whole number of MiB.
    pub fn none(bytes: u64) -> Self {
        let mut regions = Vec::new();
        let mut next = 0;
        for (_, length) in layout::ram(bytes) {
            let words = usize::try_from(length / PAGE_BYTES / 64).unwrap_or(usize::MAX);
            regions.push((next, words));
            next += words;
        }
        Self { words: vec![0; next], regions }
    }

    /// Adds what a bitmap of one region says, such as KVM's dirty log of its slot.
    ///
    /// Words beyond the region's end are ignored: KVM rounds up.
    pub fn merge(&mut self, region: usize, log: &[u64]) {
        let Some(&(start, length)) = self.regions.get(region) else { return };
        for (word, new) in self.words[start..start + length].iter_mut().zip(log) {
            *word |= new;
        }
    }

    /// Adds all pages of `other`, which is of the same size.
    pub fn union(&mut self, other: &Self) {
        for (word, new) in self.words.iter_mut().zip(&other.words) {
            *word |= new;
        }
    }

    /// Adds pages; those past the end are ignored.
    pub fn insert(&mut self, run: Run) {
        self.each_word(run, |word, mask| *word |= mask);
    }

    /// Takes pages out.
    pub fn remove(&mut self, run: Run) {
        self.each_word(run, |word, mask| *word &= !mask);
    }

    fn each_word(&mut self, run: Run, apply: impl Fn(&mut u64, u64)) {
        let end = run.end().min(self.words.len() as u64 * 64);
        let mut page = run.page;
        while page < end {
            let word_end = ((page / 64) + 1) * 64;
            let upto = end.min(word_end);
            let mask = (u64::MAX >> (64 - (upto - page))) << (page % 64);
            if let Some(word) = usize::try_from(page / 64).ok().and_then(|index| self.words.get_mut(index)) {
                apply(word, mask);
            }
            page = upto;
        }
    }

    /// Whether `page` is in.
    pub fn contains(&self, page: u64) -> bool {
        let word = usize::try_from(page / 64).ok().and_then(|index| self.words.get(index));
        word.is_some_and(|word| word >> (page % 64) & 1 == 1)
    }

    /// How many pages are in.
    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The longest runs there are, in order.
    pub fn runs(&self) -> impl Iterator<Item = Run> {
        let mut words = self.words.iter().copied().zip((0..).step_by(64)).peekable();
        let mut rest = 0u64;
        let mut base = 0u64;
        let mut open: Option<Run> = None;
        std::iter::from_fn(move || {
            loop {
                if rest == 0 {
                    let Some((word, first)) = words.next() else { return open.take() };
                    (rest, base) = (word, first);
                    if rest == 0 {
                        continue;
                    }
                }
                let skip = rest.trailing_zeros();
                let ones = (rest >> skip).trailing_ones();
                let found = Run { page: base + u64::from(skip), count: u64::from(ones) };
                rest = if skip + ones == 64 { 0 } else { rest >> (skip + ones) << (skip + ones) };
                match &mut open {
                    Some(run) if run.end() == found.page => run.count += found.count,
                    Some(run) => return Some(std::mem::replace(run, found)),
                    None => open = Some(found),
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pages: &[(u64, u64)], expected: &[(u64, u64)]) {
        let mut dirty = DirtyPages::none(32 << 20);
        for &(page, count) in pages {
            dirty.insert(Run { page, count });
        }
        let runs: Vec<_> = dirty.runs().map(|run| (run.page, run.count)).collect();
        assert_eq!(runs, expected, "{pages:?}");
        assert_eq!(dirty.count(), expected.iter().map(|run| run.1).sum::<u64>());
    }

    #[test]
    fn runs_are_maximal_and_in_order() {
        check(&[], &[]);
        check(&[(0, 1)], &[(0, 1)]);
        check(&[(63, 2)], &[(63, 2)]);
        check(&[(0, 64), (64, 64)], &[(0, 128)]);
        check(&[(5, 1), (3, 1), (7, 100), (200, 1)], &[(3, 1), (5, 1), (7, 100), (200, 1)]);
        check(&[(8191, 1)], &[(8191, 1)]);
        check(&[(0, 8192)], &[(0, 8192)]);
        // Past the end of 32 MiB.
        check(&[(8190, 10)], &[(8190, 2)]);
        check(&[(1 << 40, 10)], &[]);
    }

    #[test]
    fn logs_of_a_region_land_behind_the_region_before() {
        let mut dirty = DirtyPages::none(layout::LOW_RAM_END + (64 << 20));
        dirty.merge(0, &[0b10]);
        dirty.merge(1, &[0b1, 1 << 63]);
        dirty.merge(2, &[u64::MAX]);
        let low = layout::LOW_RAM_END / PAGE_BYTES;
        let runs: Vec<_> = dirty.runs().map(|run| (run.page, run.count)).collect();
        assert_eq!(runs, [(1, 1), (low, 1), (low + 127, 1)]);
        dirty.remove(Run { page: 0, count: low });
        assert_eq!(dirty.count(), 2);
        assert!(dirty.contains(low) && !dirty.contains(1) && !dirty.contains(u64::MAX));
    }
}
