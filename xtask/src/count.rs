//! Reads how many tests passed and failed from what test runners print.

/// Outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Tests that passed.
    pub passed: u32,
    /// Tests that failed, or never came to an end.
    pub failed: u32,
}

impl Count {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

/// nextest's one summary, or the summaries of all of `cargo test`'s binaries.
pub fn rust(text: &str) -> Count {
    let summary = |line: &&str| line.starts_with("test result:") || line.contains(" run: ");
    sum(text.lines().filter(summary), &["passed"], &["failed", "timed", "exec"])
}

/// Node's own runner, as TAP or for people.
pub fn node(text: &str) -> Count {
    let of = |words: &[&str]| {
        let lines = text.lines().filter_map(|line| {
            let mut parts = line.trim_start_matches(['#', 'ℹ', ' ']).split(' ');
            let named = words.contains(&parts.next()?);
            parts.next()?.parse::<u32>().ok().filter(|_| named && parts.next().is_none())
        });
        lines.sum()
    };
    Count { passed: of(&["pass"]), failed: of(&["fail", "cancelled"]) }
}

/// The line that `playwright/reporter.ts` ends with.
pub fn playwright(text: &str) -> Count {
    let last = text.lines().rev().find(|line| line.contains(" passed, ") && line.ends_with(" failed"));
    sum(last.into_iter(), &["passed"], &["failed"])
}

fn sum<'a>(lines: impl Iterator<Item = &'a str>, passed: &[&str], failed: &[&str]) -> Count {
    lines.fold(Count::default(), |count, line| {
        count.plus(Count { passed: before(line, passed), failed: before(line, failed) })
    })
}

/// The numbers that stand before any of the words.
fn before(line: &str, words: &[&str]) -> u32 {
    let tokens: Vec<&str> = line.split(|c: char| !c.is_alphanumeric()).filter(|token| !token.is_empty()).collect();
    let pairs = tokens.windows(2).filter(|pair| words.contains(&pair[1]));
    pairs.filter_map(|pair| pair[0].parse::<u32>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: fn(&str) -> Count, text: &str, passed: u32, failed: u32) {
        assert_eq!(read(text), Count { passed, failed }, "{text}");
    }

    #[test]
    fn nextest() {
        check(rust, "     Summary [   0.010s] 45 tests run: 45 passed, 0 skipped", 45, 0);
        check(rust, "     Summary [   1.010s] 45 tests run: 43 passed (1 slow), 2 failed, 7 skipped", 43, 2);
        check(rust, "     Summary [  61.010s] 3 tests run: 1 passed, 1 failed, 1 timed out, 0 skipped", 1, 2);
        check(rust, "     Summary [   0.010s] 5/45 tests run: 4 passed, 1 failed, 0 skipped", 4, 1);
    }

    #[test]
    fn cargo_test() {
        let text = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                    test a ... FAILED\n\
                    test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.00s\n";
        check(rust, text, 5, 1);
    }

    #[test]
    fn node_runner() {
        check(
            node,
            "# tests 7\n# suites 0\n# pass 5\n# fail 1\n# cancelled 1\n# skipped 0\n# duration_ms 12.5\n",
            5,
            2,
        );
        check(node, "ℹ tests 7\nℹ pass 7\nℹ fail 0\n", 7, 0);
        check(node, "# pass 3 to the next\n# pass 1\n", 1, 0);
    }

    #[test]
    fn playwright_reporter() {
        check(playwright, "  2 failed\n  12 passed (30s)\n12 passed, 2 failed\n", 12, 2);
        check(playwright, "Error: no browser\n", 0, 0);
    }
}
