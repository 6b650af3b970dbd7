//! `exports` and `imports` of `package.json`: a subpath in, a target out.
//!
//! In:  `{"./*": {"import": "./esm/*.js", "default": "./cjs/*.js"}}`, `./a`, conditions.
//! Out: `./esm/a.js`
//!
//! Node's PACKAGE_EXPORTS_RESOLVE and PACKAGE_IMPORTS_RESOLVE, with the folder
//! keys (`"./lib/"`) that Node has dropped and old packages still have. Whether
//! the target exists is not known here.

use crate::json::Json;

/// Why there is no target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing matches, or what matches is `null` or under other conditions.
    Absent,
    /// What matches can't be a target.
    Invalid(String),
}

/// The conditions that hold; `default` always does.
pub(crate) struct Conditions<'a> {
    pub(crate) names: Vec<&'a str>,
}

impl Conditions<'_> {
    fn hold(&self, key: &str) -> bool {
        key == "default" || self.names.contains(&key)
    }
}

/// What a target may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// A file of the package.
    Exports,
    /// A file of the package, or another package.
    Imports,
}

/// The target of `.` or `./sub/path` in `exports`; always starts with `./`.
pub(crate) fn exported(exports: &Json, subpath: &str, conditions: &Conditions<'_>) -> Result<String, Failure> {
    if has_subpaths(exports)? {
        return matched(exports, subpath, conditions, Side::Exports);
    }
    if subpath != "." {
        return Err(Failure::Absent);
    }
    chosen(choose(exports, None, conditions, Side::Exports))
}

/// The target of `#name` in `imports`: `./file`, or the specifier of a package.
pub(crate) fn imported(imports: &Json, name: &str, conditions: &Conditions<'_>) -> Result<String, Failure> {
    matched(imports, name, conditions, Side::Imports)
}

/// What could have been meant: keys as specifiers see them (`.`, `./a`, `./b/*`), those that can't be reached left out.
pub(crate) fn keys(map: &Json) -> Vec<&str> {
    match has_subpaths(map) {
        Ok(false) if !map.entries().iter().any(|(key, _)| key.starts_with('#')) => vec!["."],
        _ => map.entries().iter().filter(|(_, value)| *value != Json::Null).map(|(key, _)| key.as_str()).collect(),
    }
}

/// Whether the keys of an object are subpaths rather than conditions. A mixture is neither.
fn has_subpaths(exports: &Json) -> Result<bool, Failure> {
    let entries = exports.entries();
    let dotted = entries.iter().filter(|(key, _)| key.starts_with('.')).count();
    if dotted > 0 && dotted < entries.len() {
        return Err(Failure::Invalid("subpaths and conditions side by side".to_owned()));
    }
    Ok(dotted > 0)
}

fn chosen(choice: Result<Choice, Failure>) -> Result<String, Failure> {
    match choice? {
        Choice::Target(target) => Ok(target),
        Choice::Nothing | Choice::Undecided => Err(Failure::Absent),
    }
}

fn matched(map: &Json, key: &str, conditions: &Conditions<'_>, side: Side) -> Result<String, Failure> {
    if key.ends_with('/') {
        return Err(Failure::Absent);
    }
    if !key.contains('*')
        && let Some(value) = map.get(key)
    {
        return chosen(choose(value, None, conditions, side));
    }
    // The longest text up to the star wins, then the longest key.
    let specificity = |pattern: &str| (pattern.find('*').map_or(pattern.len(), |star| star + 1), pattern.len());
    let patterns = map.entries().iter();
    let best = patterns
        .filter_map(|(pattern, value)| Some((pattern, value, Pattern::of(pattern)?.captured(key)?)))
        .max_by_key(|(pattern, ..)| specificity(pattern));
    let Some((_, value, captured)) = best else { return Err(Failure::Absent) };
    chosen(choose(value, Some(captured), conditions, side))
}

/// A key with one star, or one of a folder.
struct Pattern<'a> {
    before: &'a str,
    after: &'a str,
}

impl<'a> Pattern<'a> {
    fn of(key: &'a str) -> Option<Self> {
        match key.split_once('*') {
            Some((before, after)) if !after.contains('*') => Some(Self { before, after }),
            Some(_) => None,
            None => key.ends_with('/').then_some(Self { before: key, after: "" }),
        }
    }

    fn captured<'k>(&self, key: &'k str) -> Option<&'k str> {
        let captured = key.strip_prefix(self.before)?.strip_suffix(self.after)?;
        (!captured.is_empty()).then_some(captured)
    }
}

/// What PACKAGE_TARGET_RESOLVE comes to.
enum Choice {
    Target(String),
    /// `null`: refused, whatever comes later.
    Nothing,
    /// No condition holds: what comes later may.
    Undecided,
}

fn choose(value: &Json, captured: Option<&str>, conditions: &Conditions<'_>, side: Side) -> Result<Choice, Failure> {
    match value {
        Json::String(text) => substituted(text, captured, side).map(Choice::Target),
        Json::Null => Ok(Choice::Nothing),
        Json::Bool(_) => Err(Failure::Invalid("true or false".to_owned())),
        Json::Object(entries) => {
            for (_, value) in entries.iter().filter(|(key, _)| conditions.hold(key)) {
                match choose(value, captured, conditions, side)? {
                    Choice::Undecided => {}
                    decided => return Ok(decided),
                }
            }
            Ok(Choice::Undecided)
        }
        Json::Array(items) => first_usable(items, captured, conditions, side),
    }
}

/// The first item that is a target; an invalid one is what lists are made for.
fn first_usable(
    items: &[Json],
    captured: Option<&str>,
    conditions: &Conditions<'_>,
    side: Side,
) -> Result<Choice, Failure> {
    let mut last = Ok(if items.is_empty() { Choice::Nothing } else { Choice::Undecided });
    for item in items {
        match choose(item, captured, conditions, side) {
            Ok(Choice::Target(target)) => return Ok(Choice::Target(target)),
            Ok(Choice::Undecided) => {}
            other => last = other,
        }
    }
    last
}

fn substituted(text: &str, captured: Option<&str>, side: Side) -> Result<String, Failure> {
    let invalid = || Failure::Invalid(format!("{text:?}"));
    let full = match captured {
        // A folder's target takes what follows at its end.
        Some(captured) if text.ends_with('/') && !text.contains('*') => format!("{text}{captured}"),
        Some(captured) => text.replace('*', captured),
        None => text.to_owned(),
    };
    let Some(inner) = full.strip_prefix("./") else {
        let outside = text.starts_with("../") || text.starts_with('/') || text.starts_with('#') || text.is_empty();
        return if side == Side::Imports && !outside { Ok(full) } else { Err(invalid()) };
    };
    if inner.split(['/', '\\']).any(leaves_package) { Err(invalid()) } else { Ok(full) }
}

/// Segments that would lead out of the package, also when they are percent-encoded.
fn leaves_package(segment: &str) -> bool {
    let lower = segment.to_ascii_lowercase();
    let plain = lower.replace("%2e", ".").replace("%6e", "n").replace("%6f", "o");
    let encoded_separator = lower.contains("%2f") || lower.contains("%5c");
    matches!(plain.as_str(), "" | "." | ".." | "node_modules") || encoded_separator
}
