//! Follows imports from entries to every module that is reachable.
//!
//! Runs in two realms over the same code: a project's own files, where a
//! package is a name to be prebuilt (`Target::Bare`), and packages, where a
//! folder that isn't unpacked yet is reported as pending and asked for.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use bundler_resolve::{Mode, Resolution, ResolveError, Resolver};
use bundler_transform::RequestKind;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::diagnostic::Diagnostic;
use crate::files::{Bytes, Files};
use crate::load::{self, Loaded, ModuleType, Settings, split_id};

/// Where an import leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A module id.
    Module(String),
    /// A package's entry, known to the prebuilt chunk.
    Bare(String),
    /// A module somewhere on the network.
    Url(String),
    /// Replaced by nothing (`"browser": {"x": false}`, a Node builtin in a package).
    Empty,
    /// Fails when it is reached.
    Missing,
}

/// A module with its imports resolved.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) loaded: Rc<Loaded>,
    /// One for each of `loaded.imports`.
    pub(crate) statics: Vec<Target>,
    /// Specifier → target of `require` and `import()`.
    pub(crate) requests: Vec<(String, Target)>,
}

/// Everything that was reached.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) nodes: Vec<Node>,
    /// Package folders whose files are needed to go on.
    pub(crate) pending: BTreeSet<String>,
    /// Bare specifiers of the project, without duplicates.
    pub(crate) bare: BTreeSet<String>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Walk {
    /// A problem with a package's entry, placed at the first import of it.
    pub(crate) fn placed(&self, files: &Files, specifier: &str, found: &Diagnostic) -> Option<Diagnostic> {
        let (node, range) = self.nodes.iter().find_map(|node| {
            let imports = node.loaded.imports.iter().zip(&node.statics).map(|(import, target)| (import.range, target));
            let requests = node.requests.iter().filter_map(|(name, target)| {
                let request = node.loaded.requests.iter().find(|request| request.specifier == *name)?;
                Some((request.range, target))
            });
            let is_it = |target: &Target| matches!(target, Target::Bare(name) if name == specifier);
            imports.chain(requests).find(|(_, target)| is_it(target)).map(|(range, _)| (node, range))
        })?;
        let path = split_id(&node.id).0;
        let source = std::str::from_utf8(files.get(path)?).ok()?;
        Some(Diagnostic { file: path.to_owned(), ..found.clone() }.at(source, range.0, range.1))
    }
}

/// Modules as they were loaded last, with the bytes they were made of.
#[derive(Default)]
pub(crate) struct Cache {
    loaded: FxHashMap<String, Cached>,
}

/// A module with the files it was made of.
struct Cached {
    inputs: Vec<(String, Bytes)>,
    loaded: Rc<Loaded>,
}

impl Cache {
    /// Forgets everything: the settings changed.
    pub(crate) fn clear(&mut self) {
        self.loaded.clear();
    }

    fn get(&self, files: &Files, id: &str) -> Option<Rc<Loaded>> {
        let Cached { inputs, loaded } = self.loaded.get(id)?;
        let same = |(path, bytes): &(String, Bytes)| files.get(path).is_some_and(|now| Arc::ptr_eq(now, bytes));
        inputs.iter().all(same).then(|| Rc::clone(loaded))
    }

    fn insert(&mut self, files: &Files, id: &str, loaded: &Rc<Loaded>) {
        let own = std::iter::once(split_id(id).0).chain(loaded.inputs.iter().map(String::as_str));
        let inputs = own.filter_map(|path| Some((path.to_owned(), Arc::clone(files.get(path)?)))).collect();
        self.loaded.insert(id.to_owned(), Cached { inputs, loaded: Rc::clone(loaded) });
    }
}

/// Whose imports are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Realm {
    Project,
    Packages,
}

pub(crate) struct Walker<'a> {
    pub(crate) files: &'a Files,
    pub(crate) resolver: &'a mut Resolver,
    pub(crate) cache: &'a mut Cache,
    pub(crate) settings: &'a Settings,
    pub(crate) realm: Realm,
}

impl Walker<'_> {
    /// Walks from `entries` (module ids) in depth-first order.
    pub(crate) fn walk(&mut self, entries: &[String]) -> Walk {
        let mut out = Walk::default();
        let mut seen = FxHashSet::default();
        let mut stack: Vec<String> = entries.iter().rev().cloned().collect();
        while let Some(id) = stack.pop() {
            if !seen.insert(id.clone()) {
                continue;
            }
            match self.load(&id) {
                Ok(loaded) => {
                    let node = self.node(id, loaded, &mut out);
                    stack.extend(self.next(&node).into_iter().rev());
                    out.nodes.push(node);
                }
                Err(diagnostics) => out.diagnostics.extend(diagnostics),
            }
        }
        out
    }

    fn load(&mut self, id: &str) -> Result<Rc<Loaded>, Vec<Diagnostic>> {
        if let Some(loaded) = self.cache.get(self.files, id) {
            return Ok(loaded);
        }
        let module_type = module_type(self.resolver, self.files, split_id(id).0);
        let loaded = Rc::new(load::load(self.files, id, self.settings, module_type)?);
        self.cache.insert(self.files, id, &loaded);
        Ok(loaded)
    }

    /// Ids to walk after a node. A package's `import()` stays behind until it
    /// is called: some packages have hundreds of them.
    fn next(&self, node: &Node) -> Vec<String> {
        let lazy = |specifier: &str| {
            self.realm == Realm::Packages
                && node.loaded.requests.iter().any(|r| r.specifier == specifier && r.kind == RequestKind::Dynamic)
        };
        let statics = node.statics.iter();
        let requests = node.requests.iter().filter(|(specifier, _)| !lazy(specifier)).map(|(_, target)| target);
        let id = |target: &Target| match target {
            Target::Module(id) => Some(id.clone()),
            _ => None,
        };
        statics.chain(requests).filter_map(id).collect()
    }

    fn node(&mut self, id: String, loaded: Rc<Loaded>, out: &mut Walk) -> Node {
        let path = split_id(&id).0.to_owned();
        let mut statics = Vec::with_capacity(loaded.imports.len());
        for import in &loaded.imports {
            let resolved = self.resolve(&path, &import.specifier, Mode::Import, out);
            statics.push(resolved.unwrap_or_else(|error| self.broken_import(&path, import.range, &error, out)));
        }
        let mut requests: Vec<(String, Target)> = Vec::new();
        for request in &loaded.requests {
            let mode = match request.kind {
                RequestKind::Dynamic => Mode::Import,
                RequestKind::Require | RequestKind::OptionalRequire => Mode::Require,
                RequestKind::Url | RequestKind::Worker => continue,
            };
            if requests.iter().any(|(specifier, _)| *specifier == request.specifier) {
                continue;
            }
            let target = self.resolve(&path, &request.specifier, mode, out).unwrap_or_else(|error| {
                let fatal = self.realm == Realm::Project && request.kind != RequestKind::OptionalRequire;
                if fatal {
                    self.broken_import(&path, request.range, &error, out)
                } else if matches!(error, ResolveError::NodeBuiltin { .. }) {
                    Target::Empty
                } else {
                    Target::Missing
                }
            });
            requests.push((request.specifier.clone(), target));
        }
        Node { id, loaded, statics, requests }
    }

    fn resolve(&mut self, importer: &str, specifier: &str, mode: Mode, out: &mut Walk) -> Result<Target, ResolveError> {
        Ok(match self.resolver.resolve(self.files, importer, specifier, mode)? {
            Resolution::File { path, query } => Target::Module(path + &query),
            Resolution::Empty => Target::Empty,
            Resolution::Url(url) => Target::Url(url),
            Resolution::Pending { folder, request } => match self.realm {
                Realm::Project => {
                    out.bare.insert(request.clone());
                    Target::Bare(request)
                }
                Realm::Packages => {
                    out.pending.insert(folder);
                    Target::Missing
                }
            },
        })
    }

    fn broken_import(&self, path: &str, range: (u32, u32), error: &ResolveError, out: &mut Walk) -> Target {
        if self.realm == Realm::Packages && matches!(error, ResolveError::NodeBuiltin { .. }) {
            return Target::Empty;
        }
        let mut found = Diagnostic::error(path, error.message(), error.remedy());
        if let Some(source) = self.files.get(path).and_then(|bytes| std::str::from_utf8(bytes).ok()) {
            found = found.at(source, range.0, range.1);
        }
        out.diagnostics.push(found);
        Target::Missing
    }
}

/// What the nearest `package.json` says about a file.
pub(crate) fn module_type(resolver: &mut Resolver, files: &Files, path: &str) -> ModuleType {
    match resolver.package_of(files, path) {
        Some(package) if package.is_module => ModuleType::Module,
        _ => ModuleType::Unmarked,
    }
}
