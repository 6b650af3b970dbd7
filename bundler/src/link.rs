//! Resolved modules → registrations of the linked form, and checks between them.
//!
//! In:  nodes of a walk. Out: `__sg.d("/a.js",1,["/b.js"],{},function*($m,$0){…});`

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::diagnostic::Diagnostic;
use crate::files::Files;
use crate::load::{Exports, kind, quote, split_id};
use crate::walk::{Node, Target, Walk};

/// The module that stands for nothing.
pub(crate) const EMPTY_ID: &str = "/__sandglass/empty";

/// One module's registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registration {
    pub(crate) id: String,
    /// The statement up to the factory; one line.
    pub(crate) head: String,
    pub(crate) factory: String,
}

impl Registration {
    /// The whole statement, with a line end.
    pub(crate) fn text(&self) -> String {
        format!("{}{});\n", self.head, self.factory)
    }
}

/// What prebuilt chunks say of packages.
pub(crate) trait Packages {
    /// The module id of a bare specifier.
    fn entry(&self, specifier: &str) -> Option<&str>;
    /// The names that a module exports; `None` where only running it tells.
    fn exports(&self, id: &str) -> Option<&[String]>;
}

/// No packages at all: every target is a module.
pub(crate) struct NoPackages;

impl Packages for NoPackages {
    fn entry(&self, _: &str) -> Option<&str> {
        None
    }
    fn exports(&self, _: &str) -> Option<&[String]> {
        None
    }
}

/// Writes all registrations of a walk, with those of stand-in modules it needs.
pub(crate) fn registrations(walk: &Walk, packages: &dyn Packages) -> Vec<Registration> {
    let mut out: Vec<Registration> = walk.nodes.iter().map(|node| registration(node, packages)).collect();
    let all = || walk.nodes.iter().flat_map(|n| n.statics.iter().chain(n.requests.iter().map(|(_, t)| t)));
    if all().any(|target| *target == Target::Empty) {
        out.push(Registration {
            id: EMPTY_ID.to_owned(),
            head: format!("__sg.d({},{},[],{{}},", quote(EMPTY_ID), kind::COMMON_JS),
            factory: "function(){}".to_owned(),
        });
    }
    for (url, names) in external_names(walk) {
        out.push(external(&url, &names));
    }
    out
}

fn registration(node: &Node, packages: &dyn Packages) -> Registration {
    let statics: Vec<String> = node.statics.iter().map(|target| id_of(target, packages)).collect();
    let requests =
        node.requests.iter().map(|(specifier, target)| format!("{}:{}", quote(specifier), id_of(target, packages)));
    let requests: Vec<String> = requests.collect();
    Registration {
        id: node.id.clone(),
        head: format!(
            "__sg.d({},{},[{}],{{{}}},",
            quote(&node.id),
            node.loaded.kind,
            statics.join(","),
            requests.join(",")
        ),
        factory: node.loaded.factory.clone(),
    }
}

fn id_of(target: &Target, packages: &dyn Packages) -> String {
    match target {
        Target::Module(id) | Target::Url(id) => quote(id),
        Target::Bare(specifier) => packages.entry(specifier).map_or_else(|| "null".to_owned(), quote),
        Target::Empty => quote(EMPTY_ID),
        Target::Missing => "null".to_owned(),
    }
}

/// Static imports of modules on the network: each gets a stand-in that awaits the real one.
fn external_names(walk: &Walk) -> BTreeMap<String, BTreeSet<String>> {
    let mut out: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in &walk.nodes {
        for (import, target) in node.loaded.imports.iter().zip(&node.statics) {
            if let Target::Url(url) = target {
                out.entry(url.clone()).or_default().extend(import.names.iter().map(|(name, _)| name.clone()));
            }
        }
    }
    out
}

fn external(url: &str, names: &BTreeSet<String>) -> Registration {
    let getters: Vec<String> = names.iter().map(|name| format!("{0}:()=>n[{0}]", quote(name))).collect();
    Registration {
        id: url.to_owned(),
        head: format!("__sg.d({},{},[],{{}},", quote(url), kind::ESM_ASYNC),
        factory: format!(
            "async function*($m){{\"use strict\";let n;$m.x({{{}}});yield;n=await import({});}}",
            getters.join(","),
            quote(url)
        ),
    }
}

/// The exports of every module of a walk, with star exports followed.
pub(crate) fn all_exports(walk: &Walk, packages: &dyn Packages) -> FxHashMap<String, Option<Vec<String>>> {
    let nodes: FxHashMap<&str, &Node> = walk.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    walk.nodes
        .iter()
        .map(|node| {
            let mut names = BTreeSet::new();
            let known = collect(&node.id, &nodes, packages, &mut FxHashSet::default(), &mut names);
            (node.id.clone(), known.then(|| names.into_iter().collect()))
        })
        .collect()
}

/// Adds the names that a module exports; false where they can't all be told.
fn collect(
    id: &str,
    nodes: &FxHashMap<&str, &Node>,
    packages: &dyn Packages,
    seen: &mut FxHashSet<String>,
    names: &mut BTreeSet<String>,
) -> bool {
    if !seen.insert(id.to_owned()) {
        return true;
    }
    let Some(node) = nodes.get(id) else {
        return packages.exports(id).is_some_and(|found| {
            names.extend(found.iter().filter(|name| *name != "default").cloned());
            true
        });
    };
    let Exports::Known(own) = &node.loaded.exports else { return false };
    let top = seen.len() == 1;
    names.extend(own.iter().filter(|name| top || *name != "default").cloned());
    node.loaded.stars.iter().all(|star| match node.statics.get(*star) {
        Some(Target::Module(id)) => collect(id, nodes, packages, seen, names),
        Some(Target::Bare(specifier)) => match packages.entry(specifier) {
            Some(id) => collect(id, nodes, packages, seen, names),
            None => false,
        },
        _ => false,
    })
}

/// Named imports that their module doesn't export.
pub(crate) fn check_names(
    walk: &Walk,
    files: &Files,
    exports: &FxHashMap<String, Option<Vec<String>>>,
    packages: &dyn Packages,
) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for node in &walk.nodes {
        for (import, target) in node.loaded.imports.iter().zip(&node.statics) {
            let known = match target {
                Target::Module(id) => exports.get(id).and_then(|names| names.as_deref()),
                Target::Bare(specifier) => packages.entry(specifier).and_then(|id| packages.exports(id)),
                _ => None,
            };
            let Some(known) = known else { continue };
            for (name, range) in &import.names {
                if !known.contains(name) {
                    out.push(missing_name(node, files, &import.specifier, name, *range, known));
                }
            }
        }
    }
    out
}

fn missing_name(
    node: &Node,
    files: &Files,
    specifier: &str,
    name: &str,
    range: (u32, u32),
    known: &[String],
) -> Diagnostic {
    let path = split_id(&node.id).0;
    let (message, remedy) = if name == "default" {
        let shown = known.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        (format!("{specifier:?} has no default export."), format!("Import by name instead: {{ {shown} }}."))
    } else {
        let remedy = match nearest(name, known) {
            Some(near) => format!("Did you mean {near}?"),
            None => "Export it there, or correct the name.".to_owned(),
        };
        (format!("{specifier:?} doesn't export {name}."), remedy)
    };
    let found = Diagnostic::error(path, message, remedy);
    match files.get(path).and_then(|bytes| std::str::from_utf8(bytes).ok()) {
        Some(source) => found.at(source, range.0, range.1),
        None => found,
    }
}

/// The known name that differs least, if it is near enough to be a slip.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let limit = name.len() / 3 + 1;
    known
        .iter()
        .map(|candidate| (distance(name, candidate), candidate.as_str()))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance in bytes, case slips counted half.
fn distance(a: &str, b: &str) -> usize {
    if a.eq_ignore_ascii_case(b) {
        return 0;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}
