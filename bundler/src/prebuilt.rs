//! Chunks of packages: built once from tarballs, kept under a content address.
//!
//! In:  a lock and the bare specifiers a project imports.
//! Out: one text, a first line `//{json}` for the linker and then registrations.
//!
//! The same code runs in the worker and on the server and gives the same bytes,
//! so whoever has built a chunk can serve it to all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bundler_npm::{Limits, Lock};
use bundler_resolve::{Mode, Options, Resolution, Resolver};
use bundler_transform::Jsx;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, Severity};
use crate::files::Files;
use crate::hash;
use crate::link::{self, NoPackages, Packages};
use crate::load::{Assets, Settings};
use crate::walk::{Cache, Realm, Walk, Walker};

/// Part of every key: changes with the code that builds, as the same inputs may then give other bytes.
const FORMAT: &str = concat!("sandglass-chunk-1-", env!("BUNDLER_SOURCES"));

/// The content address of a chunk.
///
/// # Errors
/// Says why the lock can't be read.
pub fn prebuild_key(lock: &str, entries: &[String]) -> Result<String, String> {
    let lock = Lock::parse(lock).map_err(|error| error.to_string())?;
    Ok(key(&lock, entries))
}

pub(crate) fn key(lock: &Lock, entries: &[String]) -> String {
    let sorted: BTreeSet<&String> = entries.iter().collect();
    let mut text = format!("{FORMAT}\n{}\n", lock.to_text());
    for entry in sorted {
        text.push_str(entry);
        text.push('\n');
    }
    hash::hex(text.as_bytes())
}

/// Gets a tarball by package name, version and integrity, or says why not.
pub type FetchTarball<'a> = dyn FnMut(&str, &str, &str) -> Result<Vec<u8>, String> + 'a;

/// Builds a chunk, asking `tarball` (name, version, integrity) for packages as they are reached.
///
/// # Errors
/// Says why the lock can't be read. What is wrong with a package becomes part of the chunk.
pub fn prebuild(lock: &str, entries: &[String], tarball: &mut FetchTarball<'_>) -> Result<String, String> {
    let mut builder = Prebuilder::from_text(lock, entries)?;
    loop {
        match builder.step() {
            Step::Done(text) => return Ok(text),
            Step::Needs(packages) => {
                for package in packages {
                    let bytes = tarball(&package.name, &package.version, &package.integrity);
                    builder.supply(&package.folder, bytes);
                }
            }
        }
    }
}

/// A tarball that is needed to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageRequest {
    /// `/node_modules/react`.
    pub folder: String,
    /// The package's real name.
    pub name: String,
    /// The locked version.
    pub version: String,
    /// What the bytes must hash to.
    pub integrity: String,
}

/// What [`Prebuilder::step`] came to.
pub enum Step {
    /// Supply these, then step again.
    Needs(Vec<PackageRequest>),
    /// The chunk.
    Done(String),
}

/// A chunk being built.
pub struct Prebuilder {
    lock: Arc<Lock>,
    entries: Vec<String>,
    files: Files,
    resolver: Resolver,
    cache: Cache,
    settings: Settings,
    /// Folder → why its package can't be had.
    failed: BTreeMap<String, (String, String)>,
}

impl Prebuilder {
    /// Starts a build of `entries`: bare specifiers, or ids of package files.
    pub fn new(lock: Arc<Lock>, mut entries: Vec<String>) -> Self {
        entries.sort();
        entries.dedup();
        let mut files = Files::default();
        files.set_pending(lock.packages.keys().map(|path| format!("/{path}")));
        let settings = Settings {
            jsx: Jsx::Automatic { import_source: "react".to_owned() },
            refresh: false,
            assets: Assets::Inline,
        };
        Self {
            lock,
            entries,
            files,
            resolver: Resolver::new(Options::default()),
            cache: Cache::default(),
            settings,
            failed: BTreeMap::new(),
        }
    }

    /// The same, from the lock's text.
    ///
    /// # Errors
    /// Says why the lock can't be read.
    pub fn from_text(lock: &str, entries: &[String]) -> Result<Self, String> {
        let lock = Lock::parse(lock).map_err(|error| error.to_string())?;
        Ok(Self::new(Arc::new(lock), entries.to_vec()))
    }

    /// Hands over a package's tarball, or why there is none.
    pub fn supply(&mut self, folder: &str, tarball: Result<Vec<u8>, String>) {
        let Some(package) = self.lock.packages.get(folder.trim_start_matches('/')) else { return };
        let shown = format!("{}@{}", package.name, package.version);
        let unpacked = tarball
            .map_err(|error| {
                (
                    format!("{shown} can't be fetched: {error}"),
                    "Try again; if it stays so, the registry or the lock is to blame.".to_owned(),
                )
            })
            .and_then(|bytes| {
                let broken =
                    "The download was damaged or the lock is wrong: remove the package from the lock and solve again.";
                bundler_npm::verify(&bytes, &package.integrity)
                    .map_err(|error| (format!("{shown}: {error}"), broken.to_owned()))?;
                bundler_npm::unpack(&bytes, &Limits::default())
                    .map_err(|error| (format!("{shown} can't be unpacked: {error}"), broken.to_owned()))
            });
        match unpacked {
            Ok(files) => self.files.unpack(folder, files),
            Err(why) => {
                self.files.unpack(folder, Vec::new());
                self.failed.insert(folder.to_owned(), why);
            }
        }
        self.resolver.invalidate(&format!("{folder}/package.json"));
    }

    /// Goes as far as the packages at hand allow.
    pub fn step(&mut self) -> Step {
        let mut pending = BTreeSet::new();
        let mut diagnostics = Vec::new();
        let mut entries = BTreeMap::new();
        for specifier in &self.entries {
            let resolved = self.resolver.resolve(&self.files, "/index.js", specifier, Mode::Import);
            match resolved {
                Ok(Resolution::File { path, query }) => {
                    entries.insert(specifier.clone(), path + &query);
                }
                Ok(Resolution::Pending { folder, .. }) => {
                    pending.insert(folder);
                }
                Ok(Resolution::Empty | Resolution::Url(_)) => {
                    entries.insert(specifier.clone(), link::EMPTY_ID.to_owned());
                }
                Err(error) => {
                    diagnostics.push((specifier.clone(), Diagnostic::error("", error.message(), error.remedy())));
                }
            }
        }
        let roots: Vec<String> = entries.values().filter(|id| *id != link::EMPTY_ID).cloned().collect();
        let mut walk = Walker {
            files: &self.files,
            resolver: &mut self.resolver,
            cache: &mut self.cache,
            settings: &self.settings,
            realm: Realm::Packages,
        }
        .walk(&roots);
        pending.append(&mut walk.pending);
        if !pending.is_empty() {
            return Step::Needs(pending.into_iter().filter_map(|folder| self.request(folder)).collect());
        }
        if !self.failed.is_empty() {
            // What is missing after a failed download is only its echo.
            diagnostics.clear();
            walk.diagnostics.clear();
        }
        let failed = self.failed.iter().map(|(folder, (message, remedy))| {
            (package_name(folder).to_owned(), Diagnostic::error("", message, remedy))
        });
        diagnostics.splice(0..0, failed);
        diagnostics.extend(walk.diagnostics.drain(..).map(|found| (String::new(), found)));
        Step::Done(write(&walk, &entries, &diagnostics))
    }

    fn request(&self, folder: String) -> Option<PackageRequest> {
        let package = self.lock.packages.get(folder.trim_start_matches('/'))?;
        Some(PackageRequest {
            name: package.name.clone(),
            version: package.version.clone(),
            integrity: package.integrity.clone(),
            folder,
        })
    }
}

/// `/node_modules/a/node_modules/@b/c` → `@b/c`.
fn package_name(folder: &str) -> &str {
    folder.rsplit("node_modules/").next().unwrap_or(folder)
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    entries: BTreeMap<String, String>,
    errors: Vec<HeaderError>,
    /// Id, bytes of the registration, exports.
    modules: Vec<(String, usize, Option<Vec<String>>)>,
}

#[derive(Serialize, Deserialize)]
struct HeaderError {
    /// The entry or package that is to blame; may be empty.
    subject: String,
    file: String,
    line: u32,
    column: u32,
    message: String,
    frame: String,
    remedy: String,
}

fn write(walk: &Walk, entries: &BTreeMap<String, String>, diagnostics: &[(String, Diagnostic)]) -> String {
    let mut exports = link::all_exports(walk, &NoPackages);
    let mut body = String::new();
    let mut modules = Vec::new();
    for registration in link::registrations(walk, &NoPackages) {
        let text = registration.text();
        modules.push((registration.id.clone(), text.len(), exports.remove(&registration.id).flatten()));
        body.push_str(&text);
    }
    let errors = diagnostics.iter().map(|(subject, found)| HeaderError {
        subject: subject.clone(),
        file: found.file.clone(),
        line: found.line,
        column: found.column,
        message: found.message.clone(),
        frame: found.code_frame.clone(),
        remedy: found.remedy.clone(),
    });
    let header = Header { format: FORMAT.to_owned(), entries: entries.clone(), errors: errors.collect(), modules };
    let json = serde_json::to_string(&header).expect("a header is plain data");
    format!("//{json}\n{body}")
}

/// A chunk as the linker sees it.
#[derive(Debug, Clone)]
pub struct Prebuilt {
    /// Its content address.
    pub key: String,
    /// The whole text, as served.
    pub text: Arc<str>,
    /// What went wrong in packages: the entry or package that is to blame, if one is, and the problem.
    pub errors: Vec<(String, Diagnostic)>,
    entries: BTreeMap<String, String>,
    modules: FxHashMap<String, Module>,
    order: Vec<String>,
}

#[derive(Debug, Clone)]
struct Module {
    start: usize,
    end: usize,
    exports: Option<Vec<String>>,
}

impl Prebuilt {
    /// Reads a chunk that came from a server, a cache or [`Prebuilder`].
    ///
    /// # Errors
    /// Says what is wrong with the text: it isn't one, or one of another version.
    pub fn parse(key: &str, text: Arc<str>) -> Result<Self, String> {
        let line = text.split('\n').next().unwrap_or("");
        let json = line.strip_prefix("//").ok_or("it has no header")?;
        let header: Header = serde_json::from_str(json).map_err(|error| format!("its header is broken: {error}"))?;
        if header.format != FORMAT {
            return Err(format!("its format is {:?}, {FORMAT:?} is wanted", header.format));
        }
        let mut start = line.len() + 1;
        let mut modules = FxHashMap::default();
        let mut order = Vec::with_capacity(header.modules.len());
        for (id, length, exports) in header.modules {
            let end = start.saturating_add(length);
            if text.get(start..end).is_none() {
                return Err(format!("it is cut off at {id}"));
            }
            order.push(id.clone());
            modules.insert(id, Module { start, end, exports });
            start = end;
        }
        let errors = header.errors.into_iter().map(|error| {
            let found = Diagnostic {
                severity: Severity::Error,
                message: error.message,
                file: error.file,
                line: error.line,
                column: error.column,
                code_frame: error.frame,
                remedy: error.remedy,
            };
            (error.subject, found)
        });
        Ok(Self { key: key.to_owned(), errors: errors.collect(), entries: header.entries, modules, order, text })
    }

    /// Whether all these specifiers are among its entries, or known to be broken.
    pub fn covers<'a>(&self, mut specifiers: impl Iterator<Item = &'a String>) -> bool {
        specifiers.all(|specifier| self.entries.contains_key(specifier))
    }

    /// Module ids in the order of the text.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str)
    }

    /// One module's registration.
    pub fn registration(&self, id: &str) -> Option<&str> {
        let module = self.modules.get(id)?;
        self.text.get(module.start..module.end)
    }
}

impl Packages for Prebuilt {
    fn entry(&self, specifier: &str) -> Option<&str> {
        self.entries.get(specifier).map(String::as_str)
    }

    fn exports(&self, id: &str) -> Option<&[String]> {
        self.modules.get(id)?.exports.as_deref()
    }
}
