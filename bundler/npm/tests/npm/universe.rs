//! A registry as a small text, and the loop that drives the solver with it.
//!
//! One version a line: `NAME@VERSION`, then what it has, in any order:
//! `dep:^1` a dependency (`_` stands for a space in a range), `peer:dep:^1`,
//! `peer?:dep:^1`, `opt:dep:^1`, `#tag`, `!deprecated`, `os=linux`, `cpu=x64`.
//! `latest` is the highest release where no line has that tag. A line `NAME !fails`
//! is a packument that can't be had.

use std::collections::{BTreeMap, BTreeSet};

use bundler_npm::{Lock, Packument, PackumentState, Solve, SolveError, solve};
use nodejs_semver::Version;
use serde_json::{Value, json};

/// Name → packument as JSON; `None` can't be had.
pub type Universe = BTreeMap<String, Option<Value>>;

/// Rounds of asking: more would mean that solving doesn't get on.
const MAX_ROUNDS: usize = 100;

pub fn universe(text: &str) -> Universe {
    let mut universe = Universe::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        let first = words.next().expect("the line is not empty");
        let Some((name, version)) = first[1..].split_once('@').map(|(name, rest)| (&first[..=name.len()], rest)) else {
            assert_eq!(words.next(), Some("!fails"), "{line}");
            universe.insert(first.to_owned(), None);
            continue;
        };
        let packument = universe
            .entry(name.to_owned())
            .or_insert_with(|| Some(json!({ "name": name, "dist-tags": {}, "versions": {} })))
            .as_mut()
            .expect("a packument that fails has no versions");
        let integrity = integrity_of(&format!("{name}@{version}"));
        let mut manifest = json!({ "name": name, "version": version, "dist": { "integrity": integrity } });
        for word in words {
            if let Some(tag) = word.strip_prefix('#') {
                packument["dist-tags"][tag] = version.into();
            } else {
                describe(&mut manifest, word);
            }
        }
        packument["versions"][version] = manifest;
    }
    universe.values_mut().flatten().for_each(tag_latest);
    universe
}

fn describe(manifest: &mut Value, word: &str) {
    if word == "!deprecated" {
        manifest["deprecated"] = "use another".into();
    } else if let Some((key @ ("os" | "cpu"), list)) = word.split_once('=') {
        manifest[key] = list.split(',').collect::<Vec<_>>().into();
    } else {
        let (first, rest) = word.split_once(':').expect("a dependency is NAME:RANGE");
        let (kind, name, range) = match (first, rest.split_once(':')) {
            ("peer" | "peer?", Some((name, range))) => ("peerDependencies", name, range),
            ("opt", Some((name, range))) => ("optionalDependencies", name, range),
            _ => ("dependencies", first, rest),
        };
        manifest[kind][name] = range.replace('_', " ").into();
        if first == "peer?" {
            manifest["peerDependenciesMeta"][name] = json!({ "optional": true });
        }
    }
}

fn tag_latest(packument: &mut Value) {
    if packument["dist-tags"]["latest"].is_null() {
        let versions = packument["versions"].as_object().into_iter().flatten();
        let parsed = versions.filter_map(|(version, _)| Version::parse(version).ok());
        if let Some(latest) = parsed.filter(|version| !version.is_prerelease()).max() {
            packument["dist-tags"]["latest"] = latest.to_string().into();
        }
    }
}

/// Something of an integrity's form, different for each package.
pub fn integrity_of(seed: &str) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let hash = sha2::Sha512::digest(seed.as_bytes());
    format!("sha512-{}", base64::engine::general_purpose::STANDARD.encode(hash))
}

/// `react:^19 x:npm:y@1` → a project's dependencies.
pub fn wanted(text: &str) -> BTreeMap<String, String> {
    let pair = |word: &str| {
        let (name, range) = word.split_once(':').expect("a dependency is NAME:RANGE");
        (name.to_owned(), range.replace('_', " "))
    };
    text.split_whitespace().map(pair).collect()
}

/// How a solve went.
pub struct Solved {
    pub result: Result<Lock, Vec<SolveError>>,
    /// What was asked for, round by round.
    pub rounds: Vec<Vec<String>>,
}

/// Solves as the bundler does, supplying what is asked for.
pub fn drive(universe: &Universe, wanted: &BTreeMap<String, String>, lock: Option<&Lock>) -> Solved {
    let mut known = BTreeMap::new();
    let mut rounds = Vec::new();
    loop {
        match solve(wanted, lock, &known) {
            Solve::Done(lock) => return Solved { result: Ok(lock), rounds },
            Solve::Failed(errors) => return Solved { result: Err(errors), rounds },
            Solve::Needs(names) => {
                assert!(!names.is_empty(), "nothing is asked for");
                for name in &names {
                    let state = match universe.get(name) {
                        None => PackumentState::Missing,
                        Some(None) => PackumentState::Failed("the line is cut".to_owned()),
                        Some(Some(json)) => {
                            let text = json.to_string();
                            PackumentState::Found(Packument::parse(text.as_bytes()).expect("a packument"))
                        }
                    };
                    assert!(known.insert(name.clone(), state).is_none(), "{name} is asked for twice");
                }
                rounds.push(names);
                assert!(rounds.len() < MAX_ROUNDS, "solving doesn't get on");
            }
        }
    }
}

/// `a > b 1.0.0`: a lock's packages without what every one has.
pub fn layout(lock: &Lock) -> String {
    let mut out = String::new();
    for (path, package) in &lock.packages {
        let folders: Vec<&str> = path["node_modules/".len()..].split("/node_modules/").collect();
        let alias = if folders.last() == Some(&package.name.as_str()) { "" } else { &format!(" = {}", package.name) };
        out.push_str(&format!("{}{alias} {}\n", folders.join(" > "), package.version));
    }
    out
}

/// Every dependency that Node would not find, or find in a wrong version.
pub fn violations(lock: &Lock, wanted: &BTreeMap<String, String>) -> Vec<String> {
    violations_of(lock, wanted, true)
}

/// The same, those that npm lives with only if wanted: an optional dependency that
/// has to be left out may still be found in another version, and so may the peer of
/// a package that the project didn't ask for.
pub fn violations_of(lock: &Lock, wanted: &BTreeMap<String, String>, all: bool) -> Vec<String> {
    let mut out = Vec::new();
    let mut check = |from: &str, name: &str, range: &str, may_miss: bool| {
        let found = lookup(lock, from, name);
        let right = found.map_or(may_miss, |path| fits(lock, path, name, range));
        if !right {
            let found = found.map(|path| format!("{path} {}", lock.packages[path].version));
            out.push(format!("{from:?} needs {name}@{range}, finds {found:?}"));
        }
    };
    wanted.iter().for_each(|(name, range)| check("", name, range, false));
    for (path, package) in &lock.packages {
        package.dependencies.iter().for_each(|(name, range)| check(path, name, range, false));
        if all {
            package.optional_dependencies.iter().for_each(|(name, range)| check(path, name, range, true));
        }
        let asked_for = path.strip_prefix("node_modules/").is_some_and(|name| wanted.contains_key(name));
        for (name, range) in &package.peer_dependencies {
            let range = if all || asked_for { range } else { "*" };
            check(path, name, range, package.optional_peers.contains(name));
        }
    }
    out
}

/// Packages that are also found, in the same version, without being where they are; and ones nobody reaches.
pub fn superfluous(lock: &Lock, wanted: &BTreeMap<String, String>) -> Vec<String> {
    let mut reached = BTreeSet::new();
    let mut stack: Vec<&str> = wanted.keys().filter_map(|name| lookup(lock, "", name)).collect();
    while let Some(path) = stack.pop() {
        if reached.insert(path) {
            let package = &lock.packages[path];
            let needs = [&package.dependencies, &package.optional_dependencies, &package.peer_dependencies];
            stack.extend(needs.into_iter().flatten().filter_map(|(name, _)| lookup(lock, path, name)));
        }
    }
    lock.packages.keys().filter(|path| !reached.contains(path.as_str())).cloned().collect()
}

fn lookup<'a>(lock: &'a Lock, from: &str, name: &str) -> Option<&'a str> {
    let mut folder = from;
    loop {
        let slash = if folder.is_empty() { "" } else { "/" };
        if let Some((path, _)) = lock.packages.get_key_value(&format!("{folder}{slash}node_modules/{name}")) {
            return Some(path);
        }
        if folder.is_empty() {
            return None;
        }
        folder = folder.rfind("/node_modules/").map_or("", |at| &folder[..at]);
    }
}

/// Whether a range is met, by the semver crate itself.
fn fits(lock: &Lock, path: &str, name: &str, range: &str) -> bool {
    let package = &lock.packages[path];
    let (name, range) = match range.strip_prefix("npm:") {
        Some(target) => match target.rfind('@').filter(|at| *at > 0) {
            Some(at) => (&target[..at], &target[at + 1..]),
            None => (target, "*"),
        },
        None => (name, range),
    };
    let version = Version::parse(&package.version).expect("a version");
    let any = matches!(range, "" | "*");
    package.name == name && (any || nodejs_semver::Range::parse(range).is_ok_and(|range| range.satisfies(&version)))
}
