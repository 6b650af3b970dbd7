//! Compiles `guest-init` as a static program and packs it as the first guest's initramfs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use super::cpio::Archive;
use crate::process::run;
use crate::repo::{Repo, cache};
use crate::steps::{hash, read, write};

/// The only target that links glibc statically without breaking the macros that run while compiling.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The archive's path, after making it if need be.
///
/// # Errors
/// When the program doesn't compile, or the cache can't be written.
pub fn obtain(repo: &Repo) -> anyhow::Result<PathBuf> {
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys", "tmp"] {
        archive.folder(folder);
    }
    archive.program("init", &read(&program(repo)?)?);
    let bytes = archive.finish();
    let path = cache("guest")?.join(hash(&bytes)).join("initramfs.cpio");
    if !path.is_file() {
        // Whoever reads it while it is written would boot half of it.
        let partial = path.with_extension(format!("{}.partial", std::process::id()));
        write(&partial, &bytes)?;
        std::fs::rename(&partial, &path).with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(path)
}

fn program(repo: &Repo) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "-p", "guest-init", "--target", TARGET]).current_dir(repo.root());
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
    run("compile the guest's first program", &mut cargo)?;
    Ok(repo.target(TARGET).join("release/guest-init"))
}
