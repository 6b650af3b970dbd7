//! A file system made of text.

use std::collections::{BTreeMap, BTreeSet};

use bundler_resolve::{FileSystem, Kind};

/// Files by path, and package folders that aren't there yet.
#[derive(Debug, Default)]
pub struct Fixture {
    files: BTreeMap<String, String>,
    pending: BTreeSet<String>,
}

impl Fixture {
    pub fn parse(text: &str) -> Self {
        let mut out = Self::default();
        let mut current = None;
        for line in text.lines() {
            match line.strip_prefix("# ") {
                Some(head) => match head.strip_suffix(" pending") {
                    Some(folder) => {
                        out.pending.insert(folder.to_owned());
                        current = None;
                    }
                    None => {
                        out.files.insert(head.to_owned(), String::new());
                        current = Some(head.to_owned());
                    }
                },
                None => {
                    if let Some(content) = current.as_ref().and_then(|path| out.files.get_mut(path)) {
                        content.push_str(line);
                        content.push('\n');
                    }
                }
            }
        }
        out
    }

    pub fn write(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), text.to_owned());
    }

    pub fn unpack(&mut self, folder: &str) {
        self.pending.remove(folder);
    }
}

impl FileSystem for Fixture {
    fn kind(&self, path: &str) -> Kind {
        assert!(path.starts_with('/'), "{path:?} is not absolute");
        assert!(path == "/" || path.split('/').skip(1).all(|part| !matches!(part, "" | "." | "..")), "{path:?}");
        let folder = format!("{}/", path.trim_end_matches('/'));
        // As in the real one, only the innermost package folder counts.
        let inner = folder.rfind("/node_modules/").map_or(0, |at| at + 1);
        let is_around = |pending: &String| pending.len() > inner && folder.starts_with(&format!("{pending}/"));
        if self.files.contains_key(path) {
            Kind::File
        } else if self.pending.iter().any(is_around) {
            Kind::Pending
        } else if self.files.keys().any(|file| file.starts_with(&folder)) {
            Kind::Folder
        } else {
            Kind::Missing
        }
    }

    fn read(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(String::as_bytes)
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let folder = format!("{}/", folder.trim_end_matches('/'));
        let inside = self.files.keys().filter_map(|file| file.strip_prefix(&folder));
        let names: BTreeSet<&str> = inside.filter_map(|rest| rest.split('/').next()).collect();
        names.into_iter().map(str::to_owned).collect()
    }
}
