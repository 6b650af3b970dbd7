//! A bounded cache on disk: one file an entry, written whole or not at all.
//!
//! A file is a line of JSON (what it is, its length and SHA-256, the caller's
//! notes) and then the bytes. What does not hash to what the line says is
//! removed and counts as never having been there. All methods block.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::warn;

use crate::site::files::hex;

/// A cache in one folder.
pub struct Cache {
    folder: PathBuf,
    max_bytes: u64,
    index: OnceLock<Mutex<Index>>,
    temporary: AtomicU64,
}

#[derive(Default)]
struct Index {
    bytes: u64,
    used: HashMap<PathBuf, (u64, SystemTime)>,
}

/// What was stored.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The caller's notes.
    pub notes: serde_json::Value,
    /// The bytes.
    pub body: Bytes,
    /// SHA-256 of the bytes in hex.
    pub sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Head {
    key: String,
    sha256: String,
    len: usize,
    notes: serde_json::Value,
}

impl Cache {
    /// A cache of at most `max_bytes`. Nothing is touched before the first use.
    pub fn new(folder: PathBuf, max_bytes: u64) -> Self {
        Self { folder, max_bytes, index: OnceLock::new(), temporary: AtomicU64::new(0) }
    }

    /// An entry, if it is there and whole.
    pub fn get(&self, kind: &str, key: &str) -> Option<Entry> {
        let path = self.path(kind, key);
        let bytes = Bytes::from(fs::read(&path).ok()?);
        let Some(entry) = decode(key, &bytes) else {
            warn!(path = %path.display(), "a damaged cache entry is dropped");
            self.remove(&path);
            return None;
        };
        self.touch(&path, bytes.len() as u64);
        Some(entry)
    }

    /// Stores an entry. That the disk refuses is logged and no error: a cache may forget.
    pub fn put(&self, kind: &str, key: &str, notes: serde_json::Value, body: &Bytes) -> Entry {
        let sha256 = hex(&Sha256::digest(body));
        let head = Head { key: key.to_owned(), sha256, len: body.len(), notes };
        let path = self.path(kind, key);
        match self.write(&path, &head, body) {
            Ok(len) => self.grown(&path, len),
            Err(error) => warn!(path = %path.display(), %error, "can't write to the cache"),
        }
        Entry { notes: head.notes, body: body.clone(), sha256: head.sha256 }
    }

    fn path(&self, kind: &str, key: &str) -> PathBuf {
        let name = hex(&Sha256::digest(key));
        self.folder.join(kind).join(&name[..2]).join(&name[2..])
    }

    fn write(&self, path: &Path, head: &Head, body: &[u8]) -> io::Result<u64> {
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder)?;
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!("{TEMPORARY}{}-{number}", std::process::id()));
        let mut line = serde_json::to_vec(head)?;
        line.push(b'\n');
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(&line)?;
            file.write_all(body)
        });
        // Renaming is atomic: a reader finds the old entry or the new one, never half of it.
        if let Err(error) = written.and_then(|()| fs::rename(&temporary, path)) {
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        Ok((line.len() + body.len()) as u64)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        let index = self.index.get_or_init(|| Mutex::new(scan(&self.folder)));
        index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self, path: &Path, len: u64) {
        let now = SystemTime::now();
        self.index().insert(path, len, now);
        // The file's time carries the order of use over to the next start.
        if let Ok(file) = File::options().append(true).open(path) {
            let _ = file.set_modified(now);
        }
    }

    fn remove(&self, path: &Path) {
        let _ = fs::remove_file(path);
        self.index().forget(path);
    }

    /// Notes a new entry, and removes what was not used longest while there is too much.
    fn grown(&self, path: &Path, len: u64) {
        let mut index = self.index();
        index.insert(path, len, SystemTime::now());
        if index.bytes <= self.max_bytes {
            return;
        }
        let mut by_age: Vec<_> = index.used.iter().map(|(path, (_, used))| (*used, path.clone())).collect();
        by_age.sort();
        // Down to nine tenths, so that this is rare.
        let enough = self.max_bytes / 10 * 9;
        for (_, path) in by_age {
            if index.bytes <= enough {
                break;
            }
            let _ = fs::remove_file(&path);
            index.forget(&path);
        }
    }
}

const TEMPORARY: &str = ".new-";

impl Index {
    fn insert(&mut self, path: &Path, len: u64, used: SystemTime) {
        self.forget(path);
        self.bytes += len;
        self.used.insert(path.to_path_buf(), (len, used));
    }

    fn forget(&mut self, path: &Path) {
        if let Some((len, _)) = self.used.remove(path) {
            self.bytes -= len;
        }
    }
}

/// Finds what an earlier server left, and clears away what it did not finish.
fn scan(folder: &Path) -> Index {
    let mut index = Index::default();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, Ok(data)) = (entry.path(), entry.metadata()) else { continue };
            let used = data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if data.is_dir() {
                folders.push(path);
            } else if !entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                index.insert(&path, data.len(), used);
            } else if used.elapsed().is_ok_and(|age| age.as_secs() > 3600) {
                // Younger ones may be another server's, being written now.
                let _ = fs::remove_file(path);
            }
        }
    }
    index
}

fn decode(key: &str, bytes: &Bytes) -> Option<Entry> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
    let body = bytes.slice(end + 1..);
    let whole = head.key == key && head.len == body.len() && head.sha256 == hex(&Sha256::digest(&body));
    whole.then_some(Entry { notes: head.notes, body, sha256: head.sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn folder(name: &str) -> Folder {
        Folder(std::env::temp_dir().join(format!("sandglass-cache-{name}-{}", std::process::id())))
    }

    fn put(cache: &Cache, key: &str, len: usize) {
        cache.put("k", key, serde_json::Value::Null, &Bytes::from(vec![7; len]));
    }

    #[test]
    fn entries_outlive_the_server() {
        let folder = folder("outlive");
        let stored =
            Cache::new(folder.0.clone(), 1 << 20).put("k", "a", serde_json::json!({"n": 1}), &Bytes::from("text"));
        let found = Cache::new(folder.0.clone(), 1 << 20).get("k", "a").unwrap();
        assert_eq!((found.notes, found.body, found.sha256), (stored.notes, Bytes::from("text"), stored.sha256));
    }

    #[test]
    fn damage_is_noticed_and_cleared_away() {
        let folder = folder("damage");
        let cache = Cache::new(folder.0.clone(), 1 << 20);
        put(&cache, "a", 100);
        let path = cache.path("k", "a");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(cache.get("k", "a").is_none());
        assert!(!path.exists());
        assert_eq!(cache.index().bytes, 0);
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let folder = folder("lru");
        let cache = Cache::new(folder.0.clone(), 3_000);
        put(&cache, "a", 1_000);
        put(&cache, "b", 1_000);
        assert!(cache.get("k", "a").is_some());
        put(&cache, "c", 1_000);
        assert!(cache.get("k", "b").is_none(), "b was used before a");
        assert!(cache.get("k", "a").is_some() && cache.get("k", "c").is_some());
        assert!(cache.index().bytes <= 3_000);
    }
}
