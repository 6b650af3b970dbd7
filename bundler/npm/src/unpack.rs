//! A package's tarball to its files, in memory.
//!
//! In:  gzip over tar, with all under one folder: `package/index.js`
//! Out: `index.js` and its bytes, in order of paths
//!
//! Strict about what could reach elsewhere: a path or a link that leads out of
//! the package refuses the whole tarball, as no honest one has that. Links that
//! stay inside are left out, as npm does. All work is bounded by [`Limits`],
//! whatever the headers claim.

use std::collections::BTreeMap;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use crate::name::shown;

/// A path longer than that can't be a file's name in a project either.
const PATH_BYTES: usize = 1024;

/// How much a tarball may unpack to. Keeps a small download from filling memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Inflated bytes of the whole archive, its headers included.
    pub total_bytes: u64,
    /// Entries of the archive.
    pub entries: usize,
}

impl Default for Limits {
    /// Above the largest packages that pages use: icon sets have tens of
    /// thousands of files, compilers files of some 10 MiB.
    fn default() -> Self {
        Self { file_bytes: 32 << 20, total_bytes: 192 << 20, entries: 50_000 }
    }
}

/// Why a tarball can't be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// Neither gzip nor tar, or damaged on the way.
    #[error("the tarball is damaged: {0}")]
    Damaged(String),
    /// A file ends before its size.
    #[error("the tarball is cut off in {0:?}")]
    CutOff(String),
    /// A name that is no path inside the package.
    #[error("the tarball has a file {path:?}: {reason}")]
    Path {
        /// As it stands in the archive.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A link out of the package.
    #[error("the tarball has a link {path:?} that leads out of the package, to {target:?}")]
    Link {
        /// As it stands in the archive.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// Neither a file nor a folder.
    #[error("the tarball has {path:?}, which is neither a file nor a folder")]
    Kind {
        /// As it stands in the archive.
        path: String,
    },
    /// A file is too large.
    #[error("{path:?} is larger than {limit} bytes")]
    FileTooLarge {
        /// The file.
        path: String,
        /// What would have been allowed.
        limit: u64,
    },
    /// It's too much in all.
    #[error("the tarball unpacks to more than {limit} bytes")]
    TooLarge {
        /// What would have been allowed.
        limit: u64,
    },
    /// It has too many files.
    #[error("the tarball has more than {limit} entries")]
    TooMany {
        /// What would have been allowed.
        limit: usize,
    },
}

/// Unpacks a tarball. Of several files with one path the last one counts.
///
/// # Errors
/// Says what is wrong, and with which file.
pub fn unpack(bytes: &[u8], limits: &Limits) -> Result<Vec<(String, Vec<u8>)>, UnpackError> {
    let inflated = Bounded { inner: MultiGzDecoder::new(bytes), left: limits.total_bytes };
    let mut archive = Archive::new(inflated);
    let mut files = BTreeMap::new();
    let entries = archive.entries().map_err(|error| damaged(&error, limits))?;
    let mut empty = true;
    for (count, entry) in entries.enumerate() {
        empty = false;
        if count >= limits.entries {
            return Err(UnpackError::TooMany { limit: limits.entries });
        }
        let mut entry = entry.map_err(|error| damaged(&error, limits))?;
        let Some(path) = file_path(&entry)? else { continue };
        let contents = contents(&mut entry, &path, limits)?;
        files.insert(path, contents);
    }
    if empty {
        return Err(UnpackError::Damaged("it is empty".to_owned()));
    }
    Ok(files.into_iter().collect())
}

/// Where a file goes; `None`: nothing is kept of this entry.
fn file_path<R: Read>(entry: &Entry<'_, R>) -> Result<Option<String>, UnpackError> {
    let kind = entry.header().entry_type();
    if kind == EntryType::XGlobalHeader {
        return Ok(None);
    }
    let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let path = inside(&raw)?;
    match kind {
        EntryType::Regular | EntryType::Continuous => {
            // Old archives mark a folder by its slash alone.
            let folder = path.is_empty() || raw.ends_with('/');
            Ok((!folder).then(|| path.join("/")))
        }
        EntryType::Directory => Ok(None),
        EntryType::Symlink | EntryType::Link => {
            let target = entry.link_name_bytes().unwrap_or_default();
            let target = String::from_utf8_lossy(&target).into_owned();
            let depth = if kind == EntryType::Symlink { path.len().saturating_sub(1) } else { 0 };
            // A hard link's target is named from the archive's root, so its first segment is the package's folder.
            let rest = match kind {
                EntryType::Link => target.split_once('/').map_or("", |(_, rest)| rest),
                _ => &target,
            };
            if target.starts_with(['/', '\\']) || leaves(depth, rest) {
                return Err(UnpackError::Link { path: shown(&raw), target: shown(&target) });
            }
            Ok(None)
        }
        _ => Err(UnpackError::Kind { path: shown(&raw) }),
    }
}

/// `package/./lib/a.js` → `lib`, `a.js`.
fn inside(raw: &str) -> Result<Vec<&str>, UnpackError> {
    let fail = |reason| Err(UnpackError::Path { path: shown(raw), reason });
    if raw.len() > PATH_BYTES {
        return fail("its path is too long");
    }
    if raw.starts_with('/') {
        return fail("its path is absolute");
    }
    if raw.contains('\\') {
        return fail("its path has a backslash");
    }
    if raw.contains('\0') {
        return fail("its path has a NUL");
    }
    let parts: Vec<&str> = raw.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return fail("its path leads upwards");
    }
    Ok(parts.into_iter().skip(1).collect())
}

/// Whether a relative target goes above the package, from a folder `depth` below it.
fn leaves(depth: usize, target: &str) -> bool {
    let mut depth = depth;
    for part in target.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

fn contents<R: Read>(entry: &mut Entry<'_, R>, path: &str, limits: &Limits) -> Result<Vec<u8>, UnpackError> {
    let size = entry.size();
    if size > limits.file_bytes {
        return Err(UnpackError::FileTooLarge { path: shown(path), limit: limits.file_bytes });
    }
    // The size is a claim: memory is taken only as bytes arrive.
    let mut contents = Vec::with_capacity(size.min(1 << 20) as usize);
    match entry.take(size).read_to_end(&mut contents) {
        Ok(_) if contents.len() as u64 == size => Ok(contents),
        Ok(_) => Err(UnpackError::CutOff(shown(path))),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(UnpackError::CutOff(shown(path))),
        Err(error) => Err(damaged(&error, limits)),
    }
}

fn damaged(error: &io::Error, limits: &Limits) -> UnpackError {
    // The tar reader wraps errors of what it reads from, so the kind is asked for and not the type.
    if error.kind() == io::ErrorKind::FileTooLarge {
        return UnpackError::TooLarge { limit: limits.total_bytes };
    }
    UnpackError::Damaged(shown(&error.to_string()))
}

/// Passes on so many bytes and then fails.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(count)
    }
}
