//! Node packages: installed by the lock, whenever what is installed isn't what is locked.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

use crate::process::{ask, capture, tail};
use crate::repo::Repo;

/// The oldest Node.js that everything here runs on.
const NODE_MAJOR: u32 = 20;

/// Makes `FOLDER/node_modules` what `FOLDER/package-lock.json` says.
///
/// # Errors
/// Names what is missing and the remedy.
pub fn install(repo: &Repo, folder: &str) -> anyhow::Result<()> {
    let path = repo.at(folder);
    if !path.join("package.json").is_file() {
        bail!("{folder}/package.json isn't there: the checkout is not whole");
    }
    node()?;
    if installed(&path) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    // No package here needs its install scripts: esbuild's only saves a start of Node, and we call its binary.
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&path);
    let finished = capture(&format!("install {folder}'s Node packages"), &mut npm)?;
    if !finished.success {
        bail!(
            "`npm ci` in {folder}/ failed. remedy: with a network run it again; `npm config get registry` tells \
             where npm looks\n{}",
            tail(&finished.text)
        );
    }
    Ok(())
}

/// The version of Node.js, if it is new enough.
///
/// # Errors
/// Says how to get one that is.
pub fn node() -> anyhow::Result<String> {
    let version = ask(Command::new("node").arg("--version"))
        .context("Node.js isn't there. remedy: install Node.js 20 or newer, which brings npm")?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|text| text.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE_MAJOR) {
        bail!("Node.js {version} is too old. remedy: install Node.js {NODE_MAJOR} or newer");
    }
    Ok(version)
}

/// Whether the packages of a folder are those of its lock, by npm's own record of what it installed.
pub fn installed(folder: &Path) -> bool {
    let Some(locked) = packages(&folder.join("package-lock.json")) else { return false };
    let Some(present) = packages(&folder.join("node_modules/.package-lock.json")) else { return false };
    let same = |path: &String, field: &str| locked.get(path).is_some_and(|entry| entry[field] == present[path][field]);
    let as_locked = present.keys().all(|path| same(path, "version") && same(path, "integrity"));
    // What is optional is for other systems.
    let complete = locked
        .iter()
        .filter(|(path, entry)| !path.is_empty() && entry["optional"] != true && entry["devOptional"] != true)
        .all(|(path, _)| present.contains_key(path));
    as_locked && complete
}

fn packages(lock: &Path) -> Option<Map<String, Value>> {
    let mut lock: Value = serde_json::from_slice(&fs::read(lock).ok()?).ok()?;
    match lock["packages"].take() {
        Value::Object(packages) => Some(packages),
        _ => None,
    }
}
