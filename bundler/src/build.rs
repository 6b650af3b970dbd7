//! One finished build: the chunk of a project's own modules, and what separates two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::diagnostic::Diagnostic;
use crate::document::{self, Page};
use crate::files::Files;
use crate::hash;
use crate::link::{self, NoPackages, Packages, Registration};
use crate::load::{Assets, Settings, kind, public_address, quote, split_id};
use crate::prebuilt::Prebuilt;
use crate::project::Change;
use crate::walk::Walk;

/// Chunks of earlier builds that documents still open may have been loaded from.
const KEPT_CHUNKS: usize = 8;

/// Modules in one script.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub(crate) key: String,
    pub(crate) text: String,
    /// First line (from 1) of each module, with the length of what stands before its factory.
    pub(crate) layout: Vec<(u32, u32, String)>,
}

/// Everything a page needs.
#[derive(Debug)]
pub(crate) struct Build {
    pub(crate) revision: u32,
    pub(crate) document: String,
    pub(crate) chunk: Chunk,
    pub(crate) prebuilt: Option<Arc<Prebuilt>>,
    /// Linked style sheets: path → text.
    pub(crate) styles: BTreeMap<String, String>,
    pub(crate) refresh: bool,
    modules: BTreeMap<String, Registration>,
    exports: FxHashMap<String, Option<Vec<String>>>,
    entries: Vec<String>,
    page_hash: String,
    /// Chunks of builds before this one.
    pub(crate) older: Vec<Chunk>,
}

/// What turns a page that shows one build into one that shows the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// The revision that the page has to show.
    pub from: u32,
    /// The revision it shows afterwards.
    pub to: u32,
    /// Script text with the registrations of what is new or changed.
    pub code: String,
    /// Module ids to replace.
    pub changed: Vec<String>,
    /// Module ids that nothing imports any more.
    pub removed: Vec<String>,
    /// Linked style sheets: path and, where nobody answers requests, text.
    pub styles: Vec<(String, Option<String>)>,
}

impl Build {
    pub(crate) fn new(
        revision: u32,
        files: &Files,
        settings: &Settings,
        page: &Page,
        walk: &Walk,
        prebuilt: Option<Arc<Prebuilt>>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let packages: &dyn Packages = match &prebuilt {
            Some(chunk) => &**chunk,
            None => &NoPackages,
        };
        let exports = link::all_exports(walk, packages);
        let wrong = link::check_names(walk, files, &exports, packages);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let registrations = link::registrations(walk, packages);
        Ok(Self {
            revision,
            document: String::new(),
            chunk: chunk(&registrations, &page.modules),
            styles: document::linked_styles(page, files, settings.assets)?,
            refresh: walk.nodes.iter().any(|node| node.loaded.kind & kind::REFRESH != 0),
            modules: registrations.into_iter().map(|module| (module.id.clone(), module)).collect(),
            exports,
            entries: page.modules.clone(),
            page_hash: page.hash(),
            prebuilt,
            older: Vec::new(),
        })
    }

    /// Keeps what stacks of pages loaded earlier may point into.
    pub(crate) fn keep_chunks(&mut self, old: Build) {
        self.older = old.older;
        if old.chunk.key != self.chunk.key {
            self.older.insert(0, old.chunk);
        }
        self.older.truncate(KEPT_CHUNKS);
    }

    /// The text of one module's factory, by id.
    pub(crate) fn module(&self, id: &str) -> Option<&Registration> {
        self.modules.get(id)
    }

    /// The names that a module exports, as far as they can be told.
    pub(crate) fn exported(&self, id: &str) -> Vec<String> {
        self.exports.get(id).cloned().flatten().unwrap_or_default()
    }

    /// What a page that shows `old` has to do to show this.
    pub(crate) fn change_from(&self, old: &Build, paths: &FxHashSet<String>, assets: Assets) -> Change {
        let same_page = self.page_hash == old.page_hash && self.entries == old.entries && self.refresh == old.refresh;
        if !same_page || self.replaces_packages(old) || self.shows_asset(paths) {
            return Change::Load;
        }
        let changed: Vec<&Registration> =
            self.modules.values().filter(|module| old.modules.get(&module.id) != Some(module)).collect();
        let removed: Vec<String> = old.modules.keys().filter(|id| !self.modules.contains_key(*id)).cloned().collect();
        let styles: Vec<(String, Option<String>)> = self
            .styles
            .iter()
            .filter(|(path, text)| old.styles.get(*path) != Some(text))
            .map(|(path, text)| (path.clone(), (assets == Assets::Inline).then(|| text.clone())))
            .collect();
        if changed.is_empty() && removed.is_empty() && styles.is_empty() {
            return Change::None;
        }
        Change::Patch(Patch {
            from: old.revision,
            to: self.revision,
            code: self.new_packages(old) + &changed.iter().map(|module| self.evaluated(module)).collect::<String>(),
            changed: changed.iter().map(|module| module.id.clone()).collect(),
            removed,
            styles,
        })
    }

    /// Whether a package's module has become another one: its state can't be carried over.
    fn replaces_packages(&self, old: &Build) -> bool {
        let (Some(new), Some(old)) = (&self.prebuilt, &old.prebuilt) else { return false };
        new.key != old.key
            && new.ids().any(|id| old.registration(id).is_some_and(|text| Some(text) != new.registration(id)))
    }

    fn new_packages(&self, old: &Build) -> String {
        let Some(new) = &self.prebuilt else { return String::new() };
        if old.prebuilt.as_ref().is_some_and(|old| old.key == new.key) {
            return String::new();
        }
        let known: BTreeSet<&str> = old.prebuilt.iter().flat_map(|chunk| chunk.ids()).collect();
        new.ids().filter(|id| !known.contains(id)).filter_map(|id| new.registration(id)).collect()
    }

    /// Whether a changed file stands in the document by its address.
    fn shows_asset(&self, paths: &FxHashSet<String>) -> bool {
        paths.iter().any(|path| {
            let shown = public_address(path);
            let own = self.modules.contains_key(path) || self.styles.contains_key(path);
            !own && self.document.contains(&format!("\"{shown}\""))
        })
    }

    /// Evaluated on its own, so that a stack names the file and its own lines.
    fn evaluated(&self, module: &Registration) -> String {
        let path = split_id(&module.id).0;
        let text = format!("{}{})\n//# sourceURL={path}?t={}", module.head, module.factory, self.revision);
        format!("(0,eval)({});\n", quote(&text))
    }
}

fn chunk(registrations: &[Registration], entries: &[String]) -> Chunk {
    let mut text = String::new();
    let mut layout = Vec::new();
    let mut line = 1;
    for module in registrations {
        layout.push((line, module.head.encode_utf16().count() as u32, module.id.clone()));
        let registration = module.text();
        line += registration.bytes().filter(|byte| *byte == b'\n').count() as u32;
        text.push_str(&registration);
    }
    for entry in entries {
        text.push_str(&format!("__sg.run({});\n", quote(entry)));
    }
    Chunk { key: hash::hex(text.as_bytes()), text, layout }
}
