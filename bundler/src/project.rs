//! A project being edited: files in, builds out.
//!
//! Sync and without I/O. [`Project::step`] goes as far as it can and either
//! gives an [`Outcome`] or says what it needs from outside; whoever drives it
//! fetches that, supplies it and steps again. Nothing is done twice: files are
//! cached by content, packages by the lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use bundler_npm::{Lock, Packument, PackumentState, Solve};
use bundler_resolve::{Options, Resolver};
use bundler_transform::Jsx;
use rustc_hash::FxHashSet;

use crate::build::{self, Build};
use crate::diagnostic::{Diagnostic, Severity};
use crate::document::{self, Page};
use crate::files::{Bytes, Files, InvalidPath, MAX_FILE_BYTES, normalize};
use crate::load::{Assets, Settings};
use crate::manifest::{self, Manifest};
use crate::prebuilt::{self, PackageRequest, Prebuilder, Prebuilt};
use crate::walk::{Cache, Realm, Walker};

/// Where our own scripts are, for the documents we write.
#[derive(Debug, Clone, Default)]
pub struct RuntimeScripts {
    /// Address or text of the runtime.
    pub runtime: Script,
    /// Address or text of React Refresh.
    pub refresh: Script,
}

/// A script of ours in a document.
#[derive(Debug, Clone)]
pub enum Script {
    /// Loaded from an address.
    Src(String),
    /// Written into the document.
    Text(Arc<str>),
}

impl Default for Script {
    fn default() -> Self {
        Self::Src(String::new())
    }
}

/// What has to be supplied before a build can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// A packument: [`Project::supply_packument`].
    Packument(String),
    /// A prebuilt chunk: [`Project::supply_prebuilt`].
    Prebuilt {
        /// Its content address.
        key: String,
        /// Lock and entries, for a server that has to build it.
        lock: String,
        /// Bare specifiers.
        entries: Vec<String>,
    },
    /// A tarball: [`Project::supply_tarball`].
    Tarball(PackageRequest),
}

/// How far a step came.
#[derive(Debug)]
pub enum Step {
    /// Supply all of these, then step again.
    Needs(Vec<Need>),
    /// The files as they are now have been built.
    Done(Outcome),
}

/// What a build came to.
#[derive(Debug)]
pub struct Outcome {
    /// The revision of the files.
    pub revision: u32,
    /// Every problem there is; empty says that all earlier ones are repaired.
    pub diagnostics: Vec<Diagnostic>,
    /// What the page has to do.
    pub change: Change,
    /// A newly solved lock, to keep with the project.
    pub lock: Option<String>,
}

/// What a page has to do to show a build.
#[derive(Debug)]
pub enum Change {
    /// Nothing; there were errors, or nothing that shows has changed.
    None,
    /// Load the document.
    Load,
    /// Apply this.
    Patch(build::Patch),
}

/// A mounted project.
pub struct Project {
    pub(crate) files: Files,
    pub(crate) resolver: Resolver,
    pub(crate) settings: Settings,
    entry: Option<String>,
    scripts: RuntimeScripts,
    cache: Cache,
    revision: u32,
    /// Paths written since the last finished build.
    changed: FxHashSet<String>,
    /// Files refused on writing: they are problems until they are replaced.
    refused: BTreeMap<String, Diagnostic>,
    lock: Option<Arc<Lock>>,
    lock_is_news: bool,
    packuments: BTreeMap<String, PackumentState>,
    prebuilt: Option<Arc<Prebuilt>>,
    /// Keys that neither a server nor a static file has.
    unavailable: FxHashSet<String>,
    prebuilder: Option<(String, Prebuilder)>,
    pub(crate) good: Option<Build>,
}

impl Project {
    /// An empty project.
    pub fn new(assets: Assets, scripts: RuntimeScripts) -> Self {
        Self {
            files: Files::default(),
            resolver: Resolver::new(Options::default()),
            settings: Settings { jsx: Jsx::Automatic { import_source: "react".to_owned() }, refresh: true, assets },
            entry: None,
            scripts,
            cache: Cache::default(),
            revision: 0,
            changed: FxHashSet::default(),
            refused: BTreeMap::new(),
            lock: None,
            lock_is_news: false,
            packuments: BTreeMap::new(),
            prebuilt: None,
            unavailable: FxHashSet::default(),
            prebuilder: None,
            good: None,
        }
    }

    /// Says what to start with, and the lock kept from an earlier time.
    ///
    /// # Errors
    /// Says why the lock can't be read; the project then solves anew.
    pub fn configure(&mut self, entry: Option<String>, lock: Option<&str>) -> Result<(), Diagnostic> {
        self.entry = entry;
        let Some(text) = lock else { return Ok(()) };
        self.set_lock(text)
    }

    fn set_lock(&mut self, text: &str) -> Result<(), Diagnostic> {
        let lock = Lock::parse(text).map_err(|error| {
            let message = format!("The project's lock can't be read: {error}");
            Diagnostic::error("/package-lock.json", message, "It is solved anew from package.json.")
        })?;
        self.use_lock(lock);
        Ok(())
    }

    fn use_lock(&mut self, lock: Lock) {
        self.files.set_pending(lock.packages.keys().map(|path| format!("/{path}")));
        self.lock = Some(Arc::new(lock));
        self.prebuilt = None;
        self.prebuilder = None;
        self.resolver = Resolver::new(Options::default());
    }

    /// The revision of the files: one more after each write.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// Writes a file, or removes it with `None`.
    ///
    /// # Errors
    /// The path is none. A file that is too large is kept out and becomes a diagnostic.
    pub fn write(&mut self, path: &str, content: Option<Bytes>) -> Result<(), InvalidPath> {
        let path = normalize(path)?;
        self.revision += 1;
        self.refused.remove(&path);
        match content {
            Some(bytes) if bytes.len() > MAX_FILE_BYTES => {
                let mib = bytes.len() / (1024 * 1024);
                let message = format!("{path} is {mib} MiB; a file can have {} MiB.", MAX_FILE_BYTES / (1024 * 1024));
                let remedy = "Make it smaller, or fetch it at run time.";
                self.refused.insert(path.clone(), Diagnostic::error(&path, message, remedy));
                self.files.remove(&path);
            }
            Some(bytes) => {
                self.files.insert(&path, bytes);
            }
            None => {
                self.files.remove(&path);
            }
        }
        self.resolver.invalidate(&path);
        self.changed.insert(path);
        Ok(())
    }

    /// Moves a file, or a folder with all that is in it.
    ///
    /// # Errors
    /// A path is none, or there is nothing at `from`.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), String> {
        let from = normalize(from).map_err(|error| error.to_string())?;
        let to = normalize(to).map_err(|error| error.to_string())?;
        let folder = format!("{from}/");
        let moved: Vec<String> =
            self.files.paths().filter(|path| **path == from || path.starts_with(&folder)).map(str::to_owned).collect();
        if moved.is_empty() {
            return Err(format!("{from} doesn't exist"));
        }
        for old in moved {
            let new = format!("{to}{}", &old[from.len()..]);
            let bytes = self.files.get(&old).cloned();
            self.write(&new, bytes).and_then(|()| self.write(&old, None)).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// A file's bytes.
    pub fn read(&self, path: &str) -> Option<&Bytes> {
        self.files.get(&normalize(path).ok()?)
    }

    /// Paths of all files, in order.
    pub fn list(&self) -> Vec<String> {
        self.files.paths().map(str::to_owned).collect()
    }

    /// The lock as text.
    pub fn lock_text(&self) -> Option<String> {
        self.lock.as_ref().map(|lock| lock.to_text())
    }

    /// Hands over a packument's bytes; `Ok(None)`: there is no such package.
    pub fn supply_packument(&mut self, name: &str, bytes: Result<Option<Vec<u8>>, String>) {
        let state = match bytes {
            Ok(None) => PackumentState::Missing,
            Err(error) => PackumentState::Failed(error),
            Ok(Some(bytes)) => match Packument::parse(&bytes) {
                Ok(packument) => PackumentState::Found(packument),
                Err(error) => PackumentState::Failed(error.to_string()),
            },
        };
        self.packuments.insert(name.to_owned(), state);
    }

    /// Hands over a prebuilt chunk; `None`: nobody has it, build it here.
    pub fn supply_prebuilt(&mut self, key: &str, text: Option<Arc<str>>) {
        match text.map(|text| Prebuilt::parse(key, text)) {
            Some(Ok(chunk)) => self.prebuilt = Some(Arc::new(chunk)),
            _ => {
                self.unavailable.insert(key.to_owned());
            }
        }
    }

    /// Hands over a tarball, or why there is none.
    pub fn supply_tarball(&mut self, folder: &str, bytes: Result<Vec<u8>, String>) {
        if let Some((_, builder)) = &mut self.prebuilder {
            builder.supply(folder, bytes);
        }
    }

    /// Builds the files as they are, or says what is needed for it.
    pub fn step(&mut self) -> Step {
        let mut diagnostics: Vec<Diagnostic> = self.refused.values().cloned().collect();
        let manifest = match Manifest::read(&self.files) {
            Ok(manifest) => manifest,
            Err(found) => {
                diagnostics.push(found);
                return self.failed(diagnostics);
            }
        };
        self.apply_manifest(&manifest);
        match self.solve(&manifest) {
            Ok(None) => {}
            Ok(Some(needs)) => return Step::Needs(needs),
            Err(mut found) => {
                diagnostics.append(&mut found);
                return self.failed(diagnostics);
            }
        }
        let page = match document::page(&mut self.files, self.entry.as_deref()) {
            Ok(page) => page,
            Err(found) => {
                diagnostics.push(found);
                return self.failed(diagnostics);
            }
        };
        let mut walk = Walker {
            files: &self.files,
            resolver: &mut self.resolver,
            cache: &mut self.cache,
            settings: &self.settings,
            realm: Realm::Project,
        }
        .walk(&page.modules);
        diagnostics.append(&mut walk.diagnostics);
        if !diagnostics.is_empty() {
            return self.failed(diagnostics);
        }
        match self.packages(walk.bare.iter().cloned().collect()) {
            Ok(()) => {}
            Err(needs) => return Step::Needs(needs),
        }
        let prebuilt = if walk.bare.is_empty() { None } else { self.prebuilt.clone() };
        if let Some(prebuilt) = &prebuilt {
            let placed = prebuilt.errors.iter().map(|(subject, found)| {
                walk.placed(&self.files, subject, found).unwrap_or_else(|| manifest.placed(subject, found.clone()))
            });
            diagnostics.extend(placed);
        }
        let built = Build::new(self.revision, &self.files, &self.settings, &page, &walk, prebuilt);
        match built {
            Ok(build) if diagnostics.is_empty() => self.finish(build, &page),
            Ok(_) => self.failed(diagnostics),
            Err(mut found) => {
                diagnostics.append(&mut found);
                self.failed(diagnostics)
            }
        }
    }

    fn apply_manifest(&mut self, manifest: &Manifest) {
        let refresh = manifest::uses_react(&manifest.jsx);
        if self.settings.jsx != manifest.jsx || self.settings.refresh != refresh {
            self.settings.jsx = manifest.jsx.clone();
            self.settings.refresh = refresh;
            self.cache.clear();
        }
    }

    /// Makes the lock fit the manifest. `Some`: packuments that are needed first.
    fn solve(&mut self, manifest: &Manifest) -> Result<Option<Vec<Need>>, Vec<Diagnostic>> {
        let wanted = &manifest.dependencies;
        let fits = match &self.lock {
            Some(lock) => lock.satisfies(wanted),
            None => wanted.is_empty(),
        };
        if fits {
            return Ok(None);
        }
        match bundler_npm::solve(wanted, self.lock.as_deref(), &self.packuments) {
            Solve::Needs(names) => Ok(Some(names.into_iter().map(Need::Packument).collect())),
            Solve::Done(lock) => {
                self.use_lock(lock);
                self.lock_is_news = true;
                self.packuments.clear();
                Ok(None)
            }
            Solve::Failed(errors) => {
                // The next try asks again: the registry may be back, the range corrected.
                self.packuments.clear();
                Err(errors
                    .iter()
                    .map(|error| manifest.problem(&error.package, error.message(), error.remedy()))
                    .collect())
            }
        }
    }

    /// Gets a chunk that has all these entries. `Err`: what is needed for it.
    fn packages(&mut self, entries: Vec<String>) -> Result<(), Vec<Need>> {
        let Some(lock) = self.lock.clone() else { return Ok(()) };
        if entries.is_empty() || self.prebuilt.as_ref().is_some_and(|chunk| chunk.covers(entries.iter())) {
            return Ok(());
        }
        let key = prebuilt::key(&lock, &entries);
        if self.prebuilt.as_ref().is_some_and(|chunk| chunk.key == key) {
            return Ok(());
        }
        if !self.unavailable.contains(&key) {
            return Err(vec![Need::Prebuilt { key, lock: lock.to_text(), entries }]);
        }
        if self.prebuilder.as_ref().is_none_or(|(building, _)| *building != key) {
            self.prebuilder = Some((key.clone(), Prebuilder::new(lock, entries)));
        }
        let Some((_, builder)) = &mut self.prebuilder else { return Ok(()) };
        match builder.step() {
            prebuilt::Step::Needs(packages) => Err(packages.into_iter().map(Need::Tarball).collect()),
            prebuilt::Step::Done(text) => {
                self.prebuilder = None;
                let chunk = Prebuilt::parse(&key, text.into()).expect("the builder writes what the parser reads");
                // A failed download is tried again with the next build.
                if !chunk.errors.is_empty() {
                    self.unavailable.remove(&key);
                }
                self.prebuilt = Some(Arc::new(chunk));
                Ok(())
            }
        }
    }

    fn failed(&mut self, mut diagnostics: Vec<Diagnostic>) -> Step {
        diagnostics.sort_by_key(|found| found.severity != Severity::Error);
        diagnostics.dedup();
        if self.prebuilt.as_ref().is_some_and(|chunk| !chunk.errors.is_empty()) {
            self.prebuilt = None;
        }
        Step::Done(Outcome { revision: self.revision, diagnostics, change: Change::None, lock: self.new_lock() })
    }

    fn new_lock(&mut self) -> Option<String> {
        std::mem::take(&mut self.lock_is_news).then(|| self.lock_text()).flatten()
    }

    fn finish(&mut self, mut build: Build, page: &Page) -> Step {
        build.document = document::write(page, &build, &self.scripts, &self.files, self.settings.assets);
        let changed = std::mem::take(&mut self.changed);
        let change = match &self.good {
            None => Change::Load,
            Some(old) => build.change_from(old, &changed, self.settings.assets),
        };
        if let Some(old) = self.good.take() {
            build.keep_chunks(old);
        }
        self.good = Some(build);
        Step::Done(Outcome { revision: self.revision, diagnostics: Vec::new(), change, lock: self.new_lock() })
    }
}
