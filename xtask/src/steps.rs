//! Stamps: a slow step runs only when something that it depends on has changed.
//!
//! In:  a step's name, its inputs (files, versions, flags) and what it makes.
//! Out: the work is done, or was already.
//!
//! A stamp is a hash of the inputs' content, never a time: a branch switched
//! back and forth costs nothing. It is written after the work, so work that was
//! broken off is done again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use crate::repo::Repo;

/// Folders that hold no sources of ours.
const FOREIGN: [&str; 4] = ["node_modules", "target", ".git", "results"];

/// Does `work` unless the last run had the same `inputs` and all `outputs` are there.
///
/// # Errors
/// Those of the work, and of keeping its stamp.
pub fn ensure(
    repo: &Repo,
    name: &str,
    inputs: Inputs,
    outputs: &[&Path],
    work: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let Some(stamp) = Stamp::missing(repo, name, inputs, outputs) else { return Ok(()) };
    work()?;
    stamp.keep()
}

/// The stamp of work that is still to be done.
pub struct Stamp {
    path: PathBuf,
    key: String,
}

impl Stamp {
    /// `None` if the work is done already.
    pub fn missing(repo: &Repo, name: &str, inputs: Inputs, outputs: &[&Path]) -> Option<Self> {
        let stamp = Self { path: repo.state("stamps").join(name), key: inputs.key() };
        let done = fs::read_to_string(&stamp.path).is_ok_and(|kept| kept == stamp.key);
        if done && outputs.iter().all(|output| output.exists()) {
            return None;
        }
        // Without this a failure would leave the stamp of what was there before.
        let _ = fs::remove_file(&stamp.path);
        Some(stamp)
    }

    /// Says that the work is done.
    ///
    /// # Errors
    /// When the stamp can't be written.
    pub fn keep(self) -> anyhow::Result<()> {
        write(&self.path, self.key.as_bytes())
    }
}

/// Writes a file, and the folders above it.
///
/// # Errors
/// Names the file.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("can't write {}", path.display()))
}

/// Reads a file.
///
/// # Errors
/// Names the file.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("can't read {}", path.display()))
}

/// Hex digits of a SHA-256: enough of them that two contents never meet.
pub fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..8])
}

/// What a step depends on.
#[derive(Default)]
pub struct Inputs(Sha256);

impl Inputs {
    /// A version, a flag, a key of another step.
    pub fn text(mut self, text: &str) -> Self {
        self.add(text.as_bytes());
        self
    }

    /// A file or a folder with all below it; one that isn't there counts as empty.
    ///
    /// # Errors
    /// Names what can't be read.
    pub fn path(mut self, path: &Path) -> anyhow::Result<Self> {
        for file in files(path)? {
            self.add(file.strip_prefix(path).unwrap_or(&file).to_string_lossy().as_bytes());
            self.add(&read(&file)?);
        }
        Ok(self)
    }

    /// Several paths within the checkout.
    ///
    /// # Errors
    /// Names what can't be read.
    pub fn paths(self, repo: &Repo, paths: &[&str]) -> anyhow::Result<Self> {
        paths.iter().try_fold(self, |inputs, path| inputs.text(path).path(&repo.at(path)))
    }

    /// The hash over everything.
    pub fn key(self) -> String {
        hex(&self.0.finalize())
    }

    // With its length before it, no two lists of parts give the same bytes.
    fn add(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

/// A file, or all files below a folder, in a fixed order and without what isn't ours.
///
/// # Errors
/// Names the folder that can't be read.
pub fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    if path.is_dir() {
        collect(path, &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let context = || format!("can't read the folder {}", folder.display());
    for entry in fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        let kind = entry.file_type().with_context(context)?;
        if kind.is_dir() && !FOREIGN.iter().any(|name| entry.file_name() == *name) {
            collect(&entry.path(), found)?;
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_dont_run_together() {
        let key = |parts: &[&str]| parts.iter().fold(Inputs::default(), |inputs, part| inputs.text(part)).key();
        assert_eq!(key(&["a", "b"]), key(&["a", "b"]));
        assert_ne!(key(&["ab"]), key(&["a", "b"]));
        assert_ne!(key(&["a", "b"]), key(&["b", "a"]));
    }
}
