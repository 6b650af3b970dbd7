//! What `package.json` says, and which one is a file's.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::json::Json;
use crate::path::{ancestors, folder_of, join};
use crate::{FileSystem, Mode};

/// The part of a `package.json` that modules depend on.
#[derive(Debug)]
pub struct Package {
    /// The folder it lies in; empty for the root.
    pub folder: String,
    /// Its `name`.
    pub name: Option<String>,
    /// Whether it says `"type": "module"`.
    pub is_module: bool,
    /// Why it couldn't be read: it then says nothing.
    pub(crate) problem: Option<String>,
    pub(crate) exports: Option<Json>,
    pub(crate) imports: Option<Json>,
    main: Option<String>,
    module: Option<String>,
    style: Option<String>,
    browser: Option<String>,
    replacements: Vec<Replacement>,
}

/// An entry of a `browser` map.
#[derive(Debug, Clone)]
struct Replacement {
    /// As written.
    key: String,
    /// The path it stands for, where it is written as one.
    path: Option<String>,
    by: Substitute,
}

/// What a `browser` map puts in a module's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Substitute {
    Empty,
    Specifier(String),
}

impl Package {
    fn parse(folder: &str, bytes: &[u8]) -> Self {
        let (json, problem) = match Json::parse(bytes) {
            Ok(json) => (json, None),
            Err(error) => (Json::Null, Some(error)),
        };
        let text = |key: &str| json.get(key).and_then(Json::text).map(str::to_owned);
        let map = |key: &str| json.get(key).filter(|value| **value != Json::Null).cloned();
        let browser = json.get("browser").unwrap_or(&Json::Null);
        Self {
            folder: folder.to_owned(),
            name: text("name"),
            is_module: text("type").is_some_and(|kind| kind == "module"),
            problem,
            exports: map("exports"),
            imports: map("imports"),
            main: text("main"),
            module: text("module"),
            style: text("style"),
            browser: browser.text().map(str::to_owned),
            replacements: browser.entries().iter().filter_map(|(key, by)| replacement(folder, key, by)).collect(),
        }
    }

    /// Where the package starts, in the order to try.
    ///
    /// `require` prefers `main` to `module`, as esbuild does: packages that say
    /// `module.exports = f` there have no use for a namespace. A package that is
    /// both imported and required so exists twice, as in Node with `exports`;
    /// only knowing the whole graph could avoid it, and one specifier and its
    /// importer are all that is known here.
    pub(crate) fn entries(&self, mode: Mode, from_style: bool) -> impl Iterator<Item = &str> {
        let style = self.style.as_ref().filter(|_| from_style);
        let fields = match mode {
            Mode::Import => [style, self.browser.as_ref(), self.module.as_ref(), self.main.as_ref()],
            Mode::Require => [style, self.browser.as_ref(), self.main.as_ref(), self.module.as_ref()],
        };
        fields.into_iter().flatten().map(String::as_str)
    }

    /// What the `browser` map has for a specifier that isn't a path.
    pub(crate) fn substitute_of_name(&self, name: &str) -> Option<&Substitute> {
        let plain = name.strip_prefix("node:").unwrap_or(name);
        let is = |r: &&Replacement| r.key == name || r.key == plain || strip_extension(&r.key, plain);
        self.replacements.iter().find(is).map(|r| &r.by)
    }

    /// What the `browser` map has for a path, be it a file or one without its extension.
    pub(crate) fn substitute_of_path(&self, path: &str) -> Option<&Substitute> {
        let is = |r: &&Replacement| match &r.path {
            None => false,
            Some(key) => {
                key == path
                    || strip_extension(path, key)
                    || strip_extension(key, path)
                    || path.strip_prefix(key.as_str()).is_some_and(|rest| strip_extension(rest, "/index"))
            }
        };
        self.replacements.iter().find(is).map(|r| &r.by)
    }
}

/// Whether `long` is `short` with one of the extensions that Node leaves out.
fn strip_extension(long: &str, short: &str) -> bool {
    long.strip_prefix(short).is_some_and(|rest| matches!(rest, ".js" | ".json" | ".cjs" | ".mjs"))
}

fn replacement(folder: &str, key: &str, by: &Json) -> Option<Replacement> {
    let by = match by {
        Json::Bool(false) => Substitute::Empty,
        Json::String(text) if !text.is_empty() => Substitute::Specifier(text.clone()),
        _ => return None,
    };
    // Some packages write files without `./`; one with an extension can't be a package's own name.
    let is_path =
        key.starts_with(['.', '/']) || strip_extension(key, key.rsplit_once('.').map_or(key, |(stem, _)| stem));
    let path = if is_path { join(folder, key.trim_start_matches('/')) } else { None };
    Some(Replacement { key: key.to_owned(), path, by })
}

/// Every `package.json` that was read, by folder.
#[derive(Debug, Default)]
pub(crate) struct Packages {
    read: FxHashMap<String, Rc<Package>>,
}

impl Packages {
    /// The `package.json` of a folder.
    pub(crate) fn at(&mut self, files: &dyn FileSystem, folder: &str) -> Option<Rc<Package>> {
        if let Some(package) = self.read.get(folder) {
            return Some(Rc::clone(package));
        }
        // That there is none isn't kept: the file may come with a package any time.
        let bytes = files.read(&format!("{folder}/package.json"))?;
        let package = Rc::new(Package::parse(folder, bytes));
        self.read.insert(folder.to_owned(), Rc::clone(&package));
        Some(package)
    }

    /// The nearest `package.json` of a file; those beyond a `node_modules` are somebody else's.
    pub(crate) fn of(&mut self, files: &dyn FileSystem, path: &str) -> Option<Rc<Package>> {
        own_folders(path).find_map(|folder| self.at(files, folder))
    }

    /// The nearest one with a `browser` map: `esm/package.json` often says no more than its type.
    pub(crate) fn with_browser_map(&mut self, files: &dyn FileSystem, path: &str) -> Option<Rc<Package>> {
        own_folders(path).filter_map(|folder| self.at(files, folder)).find(|package| !package.replacements.is_empty())
    }

    /// Forgets a file that has changed.
    pub(crate) fn forget(&mut self, path: &str) {
        if path.ends_with("/package.json") {
            self.read.remove(folder_of(path));
        }
    }
}

fn own_folders(path: &str) -> impl Iterator<Item = &str> {
    ancestors(folder_of(path)).take_while(|folder| !folder.ends_with("/node_modules"))
}
