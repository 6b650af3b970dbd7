//! `paths` and `baseUrl` of `tsconfig.json`.
//!
//! In:  `@/a`. Out: the paths to try, in order: `/src/a`.
//!
//! A file that can't be read is as if it weren't there: the editor's language
//! service is the one to complain.

use crate::FileSystem;
use crate::json::Json;
use crate::path::{folder_of, join};

/// Where settings may lie; Vite's templates keep those of the page in the second.
const FILES: &[&str] = &["/tsconfig.json", "/tsconfig.app.json", "/jsconfig.json"];

/// Longest chain of `extends`; beyond it somebody is joking.
const MAX_DEPTH: usize = 16;

/// Patterns with their targets.
type Paths = Vec<(String, Vec<String>)>;

/// What bare specifiers of the project may stand for.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    paths: Paths,
    /// What `paths` is relative to.
    folder: String,
    base: Option<String>,
}

impl Aliases {
    /// Reads the first configuration that has any.
    pub(crate) fn read(files: &dyn FileSystem) -> Self {
        let read = FILES.iter().filter_map(|path| settings(files, path, &mut Vec::new()));
        read.map(Self::from).find(|aliases| !aliases.paths.is_empty() || aliases.base.is_some()).unwrap_or_default()
    }

    /// Paths to try for a specifier, in order.
    pub(crate) fn candidates(&self, specifier: &str) -> Vec<String> {
        let mapped = self.mapped(specifier).into_iter().filter_map(|target| join(&self.folder, &target));
        let based = self.base.iter().filter_map(|base| join(base, &format!("./{specifier}")));
        mapped.chain(based).collect()
    }

    fn mapped(&self, specifier: &str) -> Vec<String> {
        if let Some((_, targets)) = self.paths.iter().find(|(pattern, _)| pattern == specifier) {
            return targets.clone();
        }
        let matches = self.paths.iter().filter_map(|(pattern, targets)| {
            let (before, after) = pattern.split_once('*')?;
            let captured = specifier.strip_prefix(before)?.strip_suffix(after)?;
            Some((before.len(), captured, targets))
        });
        // The first of the longest, as in TypeScript.
        let best = matches.reduce(|best, next| if next.0 > best.0 { next } else { best });
        let Some((_, captured, targets)) = best else { return Vec::new() };
        targets.iter().map(|target| target.replacen('*', captured, 1)).collect()
    }
}

/// What one file and those it extends say.
#[derive(Default)]
struct Settings {
    base: Option<String>,
    /// With the folder of the file that says so.
    paths: Option<(String, Paths)>,
}

impl From<Settings> for Aliases {
    fn from(settings: Settings) -> Self {
        let (own, paths) = settings.paths.unwrap_or_default();
        Self { folder: settings.base.clone().unwrap_or(own), paths, base: settings.base }
    }
}

/// Reads a configuration; `open` are the files that are being read, so that a cycle ends.
fn settings(files: &dyn FileSystem, path: &str, open: &mut Vec<String>) -> Option<Settings> {
    if open.len() >= MAX_DEPTH || open.iter().any(|seen| seen == path) {
        return None;
    }
    let json = Json::parse_lenient(files.read(path)?).ok()?;
    open.push(path.to_owned());
    let folder = folder_of(path);
    let mut out = Settings::default();
    for parent in strings(json.get("extends")) {
        let found = extended(folder, parent).into_iter().find(|candidate| files.read(candidate).is_some());
        let inherited = found.and_then(|found| settings(files, &found, open)).unwrap_or_default();
        out.base = inherited.base.or(out.base);
        out.paths = inherited.paths.or(out.paths);
    }
    open.pop();
    let options = json.get("compilerOptions").unwrap_or(&Json::Null);
    if let Some(base) = options.get("baseUrl").and_then(Json::text) {
        out.base = join(folder, &from_root(base));
    }
    if let Some(Json::Object(paths)) = options.get("paths") {
        let targets = |value| strings(Some(value)).map(from_root).collect();
        out.paths = Some((folder.to_owned(), paths.iter().map(|(key, value)| (key.clone(), targets(value))).collect()));
    }
    Some(out)
}

/// `${configDir}` is the folder of the configuration that was asked for: the root.
fn from_root(text: &str) -> String {
    text.strip_prefix("${configDir}").map_or_else(|| text.to_owned(), |rest| format!("/{rest}"))
}

/// Where an extended configuration may lie.
fn extended(folder: &str, specifier: &str) -> Vec<String> {
    let path = if specifier.starts_with(['.', '/']) {
        join(folder, specifier)
    } else {
        join("/node_modules", &format!("./{specifier}"))
    };
    path.map_or_else(Vec::new, |path| [path.clone(), path.clone() + ".json", path + "/tsconfig.json"].to_vec())
}

/// A string, or the strings of a list.
fn strings(value: Option<&Json>) -> impl Iterator<Item = &str> {
    let items = match value {
        Some(Json::Array(items)) => items.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    items.iter().filter_map(Json::text)
}
