//! Builds the packages of projects ahead, for sites that have no server.
//!
//! In:  projects as JSON, `{"files": {"/path": text}, "entry", "lock"}`.
//! Out: `KEY.js` for each, at the address where a worker looks before it builds by itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bundler::{Assets, Need, Outcome, Project, RuntimeScripts, Step};
use serde::Deserialize;

use crate::app::App;
use crate::config::{Config, Settings};
use crate::npm::Source;

/// A project as templates and playgrounds have it; what else they hold is for readers.
#[derive(Deserialize)]
struct ProjectFile {
    files: BTreeMap<String, String>,
    entry: Option<String>,
    lock: Option<String>,
}

/// Builds the chunk of each project into `out`; gives the files written.
///
/// # Errors
/// Names the project and what is wrong with it, or the package that can't be had.
pub async fn run(settings: Settings, out: &Path, projects: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let config = Config::try_from(settings)?;
    let app = App::new(&config, Source::of_process(config.npmrc.clone()));
    let mut written = Vec::new();
    for path in projects {
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("can't read {shown}"))?;
        let file: ProjectFile = serde_json::from_str(&text).with_context(|| format!("{shown} is no project"))?;
        let Some((key, lock, entries)) = wanted(file).with_context(|| format!("{shown}"))? else { continue };
        let chunk = app.chunks.text(lock, entries).await.with_context(|| format!("{shown}"))?;
        let to = out.join(format!("{key}.js"));
        std::fs::create_dir_all(out).with_context(|| format!("can't make {}", out.display()))?;
        std::fs::write(&to, &*chunk).with_context(|| format!("can't write {}", to.display()))?;
        written.push(to);
    }
    Ok(written)
}

/// Key, lock and entries of the packages that a project imports, if it imports any.
fn wanted(file: ProjectFile) -> anyhow::Result<Option<(String, String, Vec<String>)>> {
    let mut project = Project::new(Assets::ByUrl, RuntimeScripts::default());
    for (path, text) in file.files {
        project.write(&path, Some(text.into_bytes().into()))?;
    }
    if let Err(found) = project.configure(file.entry, file.lock.as_deref()) {
        bail!("{} {}", found.message, found.remedy);
    }
    match project.step() {
        Step::Done(Outcome { diagnostics, .. }) => match diagnostics.first() {
            None => Ok(None),
            Some(found) => bail!("{}:{} {} {}", found.file, found.line, found.message, found.remedy),
        },
        Step::Needs(needs) => match needs.into_iter().next() {
            Some(Need::Prebuilt { key, lock, entries }) => Ok(Some((key, lock, entries))),
            // Solved on another day it would have another key than the page asks for.
            _ => bail!(
                "its packages have no lock: put one beside its package.json with `npm install --package-lock-only`"
            ),
        },
    }
}
