//! The in-memory file system of a project and its packages.
//!
//! The project's own files are what the host page sent; package folders appear
//! once their tarball has been unpacked, and until then count as pending.

use std::collections::BTreeMap;
use std::sync::Arc;

use bundler_resolve::{FileSystem, Kind};
use rustc_hash::{FxHashMap, FxHashSet};

/// A file's bytes. Cheap to share with caches.
pub type Bytes = Arc<[u8]>;

/// Largest single file of a project; more would only hang the page that edits it.
pub const MAX_FILE_BYTES: usize = 32 * 1024 * 1024;

/// All files by absolute path.
#[derive(Debug, Default)]
pub struct Files {
    files: BTreeMap<String, Bytes>,
    /// Every folder that holds a file, without trailing slash; `""` is the root.
    folders: FxHashMap<String, u32>,
    /// Package folders that are locked but not unpacked.
    pending: FxHashSet<String>,
}

impl Files {
    /// The bytes at a path.
    pub fn get(&self, path: &str) -> Option<&Bytes> {
        self.files.get(path)
    }

    /// Writes or replaces a file. Says whether the set of paths changed.
    pub fn insert(&mut self, path: &str, bytes: Bytes) -> bool {
        let new = self.files.insert(path.to_owned(), bytes).is_none();
        if new {
            for folder in folders_of(path) {
                *self.folders.entry(folder.to_owned()).or_default() += 1;
            }
        }
        new
    }

    /// Removes a file. Says whether it was there.
    pub fn remove(&mut self, path: &str) -> bool {
        if self.files.remove(path).is_none() {
            return false;
        }
        for folder in folders_of(path) {
            if let Some(count) = self.folders.get_mut(folder) {
                *count -= 1;
                if *count == 0 {
                    self.folders.remove(folder);
                }
            }
        }
        true
    }

    /// Paths of files in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Marks the package folders that exist by the lock but aren't unpacked.
    pub fn set_pending(&mut self, folders: impl IntoIterator<Item = String>) {
        self.pending = folders.into_iter().collect();
    }

    /// Puts an unpacked package in its folder.
    pub fn unpack(&mut self, folder: &str, files: Vec<(String, Vec<u8>)>) {
        self.pending.remove(folder);
        for (name, bytes) in files {
            self.insert(&format!("{folder}/{name}"), bytes.into());
        }
    }

    fn is_pending(&self, path: &str) -> bool {
        if self.pending.is_empty() {
            return false;
        }
        // A package nested in another may be there while the outer isn't, and
        // the other way round: only the innermost package folder counts.
        match package_folder(path) {
            Some(folder) => self.pending.contains(folder),
            None => false,
        }
    }
}

impl FileSystem for Files {
    fn kind(&self, path: &str) -> Kind {
        if self.files.contains_key(path) {
            Kind::File
        } else if self.is_pending(path) {
            Kind::Pending
        } else if self.folders.contains_key(path.trim_end_matches('/')) {
            Kind::Folder
        } else {
            Kind::Missing
        }
    }

    fn read(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(|bytes| &**bytes)
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let folder = format!("{}/", folder.trim_end_matches('/'));
        let inside = self.files.range(folder.clone()..).map_while(|(path, _)| path.strip_prefix(&folder));
        let mut names: Vec<String> = inside.filter_map(|rest| rest.split('/').next()).map(str::to_owned).collect();
        names.dedup();
        names
    }
}

/// `/a/b/c.js` → `/a/b`, `/a`, ``.
fn folders_of(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// `/node_modules/@a/b/x.js` → `/node_modules/@a/b`: the innermost package folder.
pub fn package_folder(path: &str) -> Option<&str> {
    const MARK: &str = "/node_modules/";
    let name = path.rfind(MARK)? + MARK.len();
    let rest = &path[name..];
    let mut length = rest.find('/').unwrap_or(rest.len());
    if rest.starts_with('@') {
        let second = rest.get(length + 1..)?;
        length += 1 + second.find('/').unwrap_or(second.len());
    }
    Some(&path[..name + length])
}

/// Why a path can't be a file's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} is not a path of this project: {reason}")]
pub struct InvalidPath {
    path: String,
    reason: &'static str,
}

/// Checks and normalises a path that came from outside; `src/a.ts` gets its leading slash.
pub fn normalize(path: &str) -> Result<String, InvalidPath> {
    let fail = |reason| InvalidPath { path: path.chars().take(200).collect(), reason };
    let rest = path.strip_prefix("./").unwrap_or(path);
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    if rest.is_empty() {
        return Err(fail("it is empty"));
    }
    if rest.len() > 1024 {
        return Err(fail("it is longer than 1024 bytes"));
    }
    if rest.contains(['\0', '\\', '?', '#']) {
        return Err(fail("it contains a NUL, a backslash, ? or #"));
    }
    if rest.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(fail("it has an empty, . or .. segment"));
    }
    if rest.starts_with("__sandglass/") {
        return Err(fail("/__sandglass/ is ours"));
    }
    Ok(format!("/{rest}"))
}

/// Joins `relative` to the folder of the file `from`; `None` above the root.
pub fn join(from: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = if relative.starts_with('/') {
        Vec::new()
    } else {
        from.split('/').skip(1).collect::<Vec<_>>().split_last().map(|(_, folder)| folder.to_vec())?
    };
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_folders() {
        assert_eq!(package_folder("/node_modules/a/x.js"), Some("/node_modules/a"));
        assert_eq!(package_folder("/node_modules/@a/b"), Some("/node_modules/@a/b"));
        assert_eq!(
            package_folder("/node_modules/a/node_modules/@b/c/d/e.js"),
            Some("/node_modules/a/node_modules/@b/c")
        );
        assert_eq!(package_folder("/node_modules/@a"), None);
        assert_eq!(package_folder("/src/a.js"), None);
    }

    #[test]
    fn paths_from_outside() {
        assert_eq!(normalize("src/a.ts").as_deref(), Ok("/src/a.ts"));
        assert_eq!(normalize("./a.ts").as_deref(), Ok("/a.ts"));
        for bad in ["", "/", "/a/../b", "//a", "/a\0", "a\\b", "/__sandglass/x", "/a?b"] {
            assert!(normalize(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn joined() {
        assert_eq!(join("/src/a.css", "../x/./y.png").as_deref(), Some("/x/y.png"));
        assert_eq!(join("/a.css", "../x").as_deref(), None);
        assert_eq!(join("/src/a.css", "/x").as_deref(), Some("/x"));
    }

    #[test]
    fn folders_come_and_go() {
        let mut files = Files::default();
        files.insert("/src/a.ts", Bytes::from(&b""[..]));
        assert_eq!(files.kind("/src"), Kind::Folder);
        files.remove("/src/a.ts");
        assert_eq!(files.kind("/src"), Kind::Missing);
    }
}
