//! Over random small registries: a lock always gives everyone what they need.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bundler_npm::{Lock, Problem};

use crate::universe::{drive, superfluous, universe, violations, violations_of};

/// A small generator of its own, so that a failure's seed means the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }
}

type Versions = BTreeMap<String, Vec<String>>;

fn range(random: &mut Random, versions: &[String]) -> String {
    let version = random.of(versions).clone();
    match random.below(10) {
        0 => "*".to_owned(),
        1 => version,
        2 => format!("~{version}"),
        3 => format!(">={version}"),
        4 => format!("^{version}_||_^{}", random.of(versions)),
        _ => format!("^{version}"),
    }
}

fn registry(random: &mut Random, versions: &Versions) -> String {
    let names: Vec<&String> = versions.keys().collect();
    let mut text = String::new();
    for (name, list) in versions {
        for version in list {
            let _ = write!(text, "{name}@{version}");
            for _ in 0..random.below(4) {
                let dependency = *random.of(&names);
                let kind = if random.percent(25) {
                    "peer:"
                } else if random.percent(15) {
                    "peer?:"
                } else if random.percent(10) {
                    "opt:"
                } else {
                    ""
                };
                if dependency != name {
                    let _ = write!(text, " {kind}{dependency}:{}", range(random, &versions[dependency]));
                }
            }
            text.push('\n');
        }
    }
    text
}

fn some_versions(random: &mut Random) -> Versions {
    let count = 3 + random.below(9);
    let name = |n: u64| format!("p{n}");
    (0..count)
        .map(|n| {
            let list: std::collections::BTreeSet<String> = (0..=random.below(4))
                .map(|_| format!("{}.{}.{}", 1 + random.below(3), random.below(3), random.below(2)))
                .collect();
            (name(n), list.into_iter().collect())
        })
        .collect()
}

fn some_wanted(random: &mut Random, versions: &Versions) -> BTreeMap<String, String> {
    let names: Vec<&String> = versions.keys().collect();
    (0..1 + random.below(4))
        .map(|_| {
            let name = *random.of(&names);
            (name.clone(), range(random, &versions[name]).replace('_', " "))
        })
        .collect()
}

/// What came of all seeds.
#[derive(Debug, Default)]
struct Tally {
    solved: u32,
    /// Solved again with the lock at hand, to the very same.
    kept: u32,
    /// Found an optional dependency or a peer that nobody asked for in another version.
    loose: u32,
}

fn check(seed: u64, tally: &mut Tally) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let versions = some_versions(&mut random);
    let text = registry(&mut random, &versions);
    let wanted = some_wanted(&mut random, &versions);
    let context = || format!("seed {seed}: {wanted:?}\n{text}");
    let universe = universe(&text);
    let lock = match drive(&universe, &wanted, None).result {
        Ok(lock) => lock,
        Err(errors) => {
            for error in errors {
                let known = matches!(error.problem, Problem::Peer { .. } | Problem::TooDeep { .. });
                assert!(known, "{}{error:?}", context());
            }
            return;
        }
    };
    tally.solved += 1;
    tally.loose += u32::from(!violations(&lock, &wanted).is_empty());
    assert_eq!(violations_of(&lock, &wanted, false), [""; 0], "{}{}", context(), lock.to_text());
    assert_eq!(superfluous(&lock, &wanted), [""; 0], "{}{}", context(), lock.to_text());
    assert!(lock.satisfies(&wanted), "{}", context());
    assert_eq!(Lock::parse(&lock.to_text()).as_ref(), Ok(&lock), "{}", context());

    let again = drive(&universe, &wanted, Some(&lock)).result.expect("what has a lock can be solved");
    assert_eq!(violations_of(&again, &wanted, false), [""; 0], "{}{}", context(), again.to_text());
    tally.kept += u32::from(again == lock);

    let other = some_wanted(&mut random, &versions);
    if let Ok(changed) = drive(&universe, &other, Some(&lock)).result {
        assert_eq!(violations_of(&changed, &other, false), [""; 0], "{}{other:?}{}", context(), changed.to_text());
        assert!(changed.satisfies(&other), "{}", context());
    }
}

#[test]
fn everyone_finds_what_they_need() {
    let mut tally = Tally::default();
    for seed in 0..1_500 {
        check(seed, &mut tally);
    }
    assert!(tally.solved > 1_200, "{tally:?}");
    assert!(tally.kept * 100 > tally.solved * 98, "{tally:?}");
    assert!(tally.loose * 12 < tally.solved, "{tally:?}");
}
