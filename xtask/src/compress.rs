//! A `.br` beside every text and module of a site.
//!
//! At the highest quality a module of some megabytes takes seconds, so forms
//! once made are kept by content: what a rebuild leaves as it was costs a copy.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::repo::{Profile, Repo};
use crate::steps::{files, hash, read, write};

/// Kinds of files that shrink.
const KINDS: [&str; 9] = ["html", "js", "css", "json", "svg", "txt", "wasm", "map", "webmanifest"];

/// brotli's quality for a profile.
pub fn quality(profile: Profile) -> u32 {
    match profile {
        Profile::Debug => 5,
        Profile::Release => 11,
    }
}

/// Compresses every file below `folder` that shrinks.
///
/// # Errors
/// Names what can't be read or written.
pub fn folder(repo: &Repo, folder: &Path, quality: u32) -> anyhow::Result<()> {
    let mut all: Vec<PathBuf> = files(folder)?.into_iter().filter(|path| shrinks(path)).collect();
    // The largest first, so that no thread is left alone with it at the end.
    all.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).map_or(0, |data| data.len())));
    let next = AtomicUsize::new(0);
    let worker = || -> anyhow::Result<()> {
        while let Some(path) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            file(repo, path, quality)?;
        }
        Ok(())
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        started.into_iter().try_for_each(|thread| thread.join().expect("compressing does not panic"))
    })
}

/// Compresses a file that has changed since its folder was.
///
/// # Errors
/// Names what can't be read or written.
pub fn file(repo: &Repo, path: &Path, quality: u32) -> anyhow::Result<()> {
    let bytes = read(path)?;
    let kept = repo.state("br").join(format!("{}-{quality}", hash(&bytes)));
    let packed = match fs::read(&kept) {
        Ok(packed) => packed,
        Err(_) => {
            let packed = brotli(&bytes, quality);
            // Under another name first: a half-written form would be served for ever.
            let half = kept.with_extension(format!("{}", std::process::id()));
            write(&half, &packed)?;
            fs::rename(&half, &kept)?;
            packed
        }
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".br");
    write(Path::new(&beside), &packed)
}

/// Bytes in brotli.
pub fn brotli(bytes: &[u8], quality: u32) -> Vec<u8> {
    let mut packed = brotli::CompressorWriter::new(Vec::with_capacity(bytes.len() / 3), 64 << 10, quality, 24);
    packed.write_all(bytes).expect("a Vec takes every byte");
    packed.into_inner()
}

fn shrinks(path: &Path) -> bool {
    path.extension().and_then(|kind| kind.to_str()).is_some_and(|kind| KINDS.contains(&kind))
}
