//! The system's Chromium, which tests and benchmarks drive.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use crate::toolchain;

/// Names a browser instead of looking for one; the harness in `playwright/` reads it too.
const VARIABLE: &str = "CHROMIUM";

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The browser's path, if there is one.
pub fn find() -> Option<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        return Some(PathBuf::from(named)).filter(|path| path.is_file());
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    NAMES.iter().find_map(|name| env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file()))
}

/// The browser's path, after installing it if need be.
///
/// # Errors
/// Says what to install.
pub fn obtain() -> anyhow::Result<PathBuf> {
    if let Some(path) = find() {
        return Ok(path);
    }
    if let Some(named) = env::var_os(VARIABLE) {
        bail!("{VARIABLE}={} is no file", named.display());
    }
    toolchain::install(&["chromium"])
        .context("there is no Chromium. remedy: install it, or name it by CHROMIUM=PATH")?;
    find().context("Chromium was installed, but is not in PATH. remedy: name it by CHROMIUM=PATH")
}
