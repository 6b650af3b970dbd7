//! Which layer shows at each page when layers lie on top of one another.

use super::dirty::Run;

/// Pages that come from consecutive pages of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent<L> {
    /// Where in memory.
    pub run: Run,
    /// From which layer.
    pub layer: L,
    /// From which page of that layer's file on.
    pub source: u64,
}

impl<L: Copy> Extent<L> {
    /// The part of it that lies in `from..to`, if any.
    fn cut(&self, from: u64, to: u64) -> Option<Self> {
        let (start, end) = (self.run.page.max(from), self.run.end().min(to));
        (start < end).then(|| Self {
            run: Run { page: start, count: end - start },
            source: self.source + (start - self.run.page),
            ..*self
        })
    }
}

/// The extents of a layer's runs, whose pages lie one after another in its file.
pub(super) fn of_layer<L: Copy>(layer: L, runs: &[Run]) -> impl Iterator<Item = Extent<L>> {
    runs.iter().scan(0, move |source, run| {
        let extent = Extent { run: *run, layer, source: *source };
        *source += run.count;
        Some(extent)
    })
}

/// `below` where `above` has nothing. Both are in order and don't overlap themselves; so is the result.
pub(super) fn overlay<L: Copy>(below: &[Extent<L>], above: &[Extent<L>]) -> Vec<Extent<L>> {
    let mut result = Vec::with_capacity(below.len() + 2 * above.len());
    let mut above = above.iter().peekable();
    for extent in below {
        let mut from = extent.run.page;
        while let Some(top) = above.peek() {
            if top.run.page >= extent.run.end() {
                break;
            }
            result.extend(extent.cut(from, top.run.page));
            from = from.max(top.run.end());
            if top.run.end() > extent.run.end() {
                // It reaches into the next one as well.
                break;
            }
            result.extend(above.next());
        }
        result.extend(extent.cut(from, u64::MAX));
    }
    result.extend(above);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Layers of (page, count); expected are (page, count, layer, source).
    fn check(layers: &[&[(u64, u64)]], expected: &[(u64, u64, usize, u64)]) {
        let mut extents = Vec::new();
        for (number, layer) in layers.iter().enumerate() {
            let runs: Vec<_> = layer.iter().map(|&(page, count)| Run { page, count }).collect();
            extents = overlay(&extents, &of_layer(number, &runs).collect::<Vec<_>>());
        }
        let found: Vec<_> = extents.iter().map(|e| (e.run.page, e.run.count, e.layer, e.source)).collect();
        assert_eq!(found, expected, "{layers:?}");
    }

    #[test]
    fn upper_layers_hide_lower_ones() {
        check(&[&[(0, 10)]], &[(0, 10, 0, 0)]);
        check(&[&[(0, 10)], &[]], &[(0, 10, 0, 0)]);
        check(&[&[(0, 10)], &[(3, 2)]], &[(0, 3, 0, 0), (3, 2, 1, 0), (5, 5, 0, 5)]);
        check(&[&[(0, 10)], &[(0, 10)]], &[(0, 10, 1, 0)]);
        check(&[&[(0, 10)], &[(0, 1), (9, 1)]], &[(0, 1, 1, 0), (1, 8, 0, 1), (9, 1, 1, 1)]);
        check(
            &[&[(0, 20)], &[(2, 4), (8, 4)], &[(4, 6)]],
            &[(0, 2, 0, 0), (2, 2, 1, 0), (4, 6, 2, 0), (10, 2, 1, 6), (12, 8, 0, 12)],
        );
        // One that covers several, and ends within one.
        check(
            &[&[(0, 20)], &[(2, 1), (4, 1), (6, 4)], &[(1, 7)]],
            &[(0, 1, 0, 0), (1, 7, 2, 0), (8, 2, 1, 4), (10, 10, 0, 10)],
        );
    }

    #[test]
    fn agrees_with_painting_page_by_page() {
        let mut random = 7u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (random >> 33) % below
        };
        for _ in 0..300 {
            let mut painted = vec![(0usize, 0u64); 64];
            for (page, paint) in painted.iter_mut().enumerate() {
                *paint = (0, page as u64);
            }
            let mut extents: Vec<_> = of_layer(0, &[Run { page: 0, count: 64 }]).collect();
            for layer in 1..5 {
                let mut runs = Vec::new();
                let (mut page, mut source) = (next(8), 0);
                while page < 64 {
                    let count = (1 + next(9)).min(64 - page);
                    runs.push(Run { page, count });
                    for covered in page..page + count {
                        painted[usize::try_from(covered).expect("small")] = (layer, source);
                        source += 1;
                    }
                    page += count + next(9) + 1;
                }
                extents = overlay(&extents, &of_layer(layer, &runs).collect::<Vec<_>>());
            }
            let found: Vec<_> =
                extents.iter().flat_map(|e| (0..e.run.count).map(|page| (e.layer, e.source + page))).collect();
            assert_eq!(found, painted);
        }
    }
}
