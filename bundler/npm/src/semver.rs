//! Versions and ranges as npm reads them. The only place that names the semver crate.
//!
//! The crate merges comparators into one interval and so takes those that
//! contradict each other (`>2 <1`) for alternatives. Here every comparator
//! stays its own range, and a version has to be in all of them.

use nodejs_semver as semver;

/// A parsed version; ordered by precedence, build metadata left aside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(semver::Version);

impl Version {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        semver::Version::parse(text).ok().map(Self)
    }

    pub(crate) fn is_prerelease(&self) -> bool {
        self.0.is_prerelease()
    }
}

/// A range of versions.
#[derive(Debug, Clone)]
pub(crate) enum Range {
    /// `*` and its like. Unlike other ranges it takes prereleases, as npm has it
    /// for packages that never had a release.
    Any,
    /// A version has to be in all ranges of one of these.
    Within(Vec<Vec<semver::Range>>),
}

impl Range {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if is_any(text) {
            return Some(Self::Any);
        }
        let alternatives: Vec<_> = text.split("||").filter_map(comparators).collect();
        (!alternatives.is_empty()).then_some(Self::Within(alternatives))
    }

    pub(crate) fn contains(&self, version: &Version) -> bool {
        match self {
            Self::Any => true,
            Self::Within(alternatives) => alternatives.iter().any(|ranges| is_in_all(ranges, version)),
        }
    }
}

/// A prerelease is meant only where a comparator names one of the same version.
fn is_in_all(ranges: &[semver::Range], version: &Version) -> bool {
    let is_meant = || !version.is_prerelease() || ranges.iter().any(|range| range.satisfies(&version.0));
    ranges.iter().all(|range| range.satisfies_with_prerelease(&version.0, true)) && is_meant()
}

/// `>=1.2 < 3` → `>=1.2`, `<3`; none for what takes every release. Words that
/// mean nothing are passed over beside others that do, as npm does it.
fn comparators(text: &str) -> Option<Vec<semver::Range>> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.contains(&"-") {
        return Some(vec![semver::Range::parse(text).ok()?]);
    }
    let mut ranges = Vec::new();
    let mut understood = words.is_empty();
    let mut comparator = String::new();
    for word in words {
        comparator.push_str(word);
        if word.bytes().all(|byte| b"<>=~^".contains(&byte)) {
            continue;
        }
        if is_any(comparator.trim_start_matches(['^', '~'])) {
            understood = true;
        } else if let Ok(range) = semver::Range::parse(&comparator) {
            ranges.push(range);
        }
        comparator.clear();
    }
    (understood || !ranges.is_empty()).then_some(ranges)
}

fn is_any(text: &str) -> bool {
    matches!(text, "" | "*" | "x" | "X")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these versions npm's own semver takes, for each range.
    #[test]
    fn ranges_are_read_as_npm_reads_them() {
        const VERSIONS: &str = "0.0.2 0.0.3 0.0.4 0.2.3 1.0.0 1.2.0 1.2.3-alpha 1.2.3-beta.2 1.2.3 1.2.4-rc.1 1.9.0 2.0.0-rc.1 2.0.0 2.5.0 3.0.0";
        for (range, expected) in [
            ("^0.0.3", "0.0.3"),
            ("^0.2", "0.2.3"),
            ("~1.2", "1.2.0 1.2.3"),
            ("~> 1.2.3", "1.2.3"),
            ("1.x || >=2.5.0", "1.0.0 1.2.0 1.2.3 1.9.0 2.5.0 3.0.0"),
            (">=1.2.3-beta <2", "1.2.3-beta.2 1.2.3 1.9.0"),
            ("<1.2.3-beta.2 >=1", "1.0.0 1.2.0 1.2.3-alpha"),
            (">=1.2.3-alpha <1.2.3-beta.2 >=1", "1.2.3-alpha"),
            ("=v1.2.3", "1.2.3"),
            ("1.2.3 - 2.0.0", "1.2.3 1.9.0 2.0.0"),
            ("1.2 - 2", "1.2.0 1.2.3 1.9.0 2.0.0 2.5.0"),
            (">= 1.9 < 2.5", "1.9.0 2.0.0"),
            ("^1.2.3-beta.2", "1.2.3-beta.2 1.2.3 1.9.0"),
            ("<2.0.0", "0.0.2 0.0.3 0.0.4 0.2.3 1.0.0 1.2.0 1.2.3 1.9.0"),
            (">2 <1", ""),
            ("1 2", ""),
            ("^1 <1.2", "1.0.0"),
            ("^2.0.0 || ", "0.0.2 0.0.3 0.0.4 0.2.3 1.0.0 1.2.0 1.2.3 1.9.0 2.0.0 2.5.0 3.0.0"),
            ("* 1.0.0", "1.0.0"),
            ("3 || nonsense", "3.0.0"),
            (">=1.0.0, <0.1", "0.0.2 0.0.3 0.0.4"),
            ("*", VERSIONS),
            ("", VERSIONS),
        ] {
            let parsed = Range::parse(range).expect(range);
            let inside = |text: &&str| parsed.contains(&Version::parse(text).expect("a version"));
            assert_eq!(VERSIONS.split(' ').filter(inside).collect::<Vec<_>>().join(" "), expected, "{range}");
        }
        for range in ["latest", "next-11", "!1", ">=", "~", "1.2.3.4.5-", "git:x"] {
            assert!(Range::parse(range).is_none(), "{range}");
        }
    }
}
