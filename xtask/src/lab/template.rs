//! A machine that has booted and waits for a job, kept in files: its memory, and the rest of its state.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::machine::{Ingredients, Machine, Memory};
use crate::process::work;

/// A boot takes a second or two; on a machine that is busy compiling, many.
pub const BOOT: Duration = Duration::from_secs(120);

/// Files of a saved machine.
pub struct Template {
    folder: PathBuf,
}

impl Template {
    /// The template in `folder`, made if it isn't there.
    ///
    /// # Errors
    /// When the machine doesn't boot, or QEMU doesn't save it.
    pub fn obtain(parts: &Ingredients, folder: &Path) -> anyhow::Result<Self> {
        let template = Self { folder: folder.to_owned() };
        if !folder.is_dir() {
            work("boot the lab machine and keep it as a template", || template.make(parts))?;
        }
        Ok(template)
    }

    /// A machine that goes on from here; this template stays as it is.
    ///
    /// # Errors
    /// When QEMU doesn't resume it.
    pub fn resume(&self, parts: &Ingredients, share: Option<&Path>) -> anyhow::Result<Machine> {
        let mut machine = Machine::start(parts, &Memory::From(&self.folder.join("ram")), share)?;
        let qmp = machine.qmp();
        qmp.ignore_shared_memory()?;
        qmp.call("migrate-incoming", &json!({ "uri": cat("", &self.folder.join("state"))? }))?;
        qmp.migrated()?;
        // It was stopped when it was saved.
        qmp.call("cont", &json!({}))?;
        Ok(machine)
    }

    fn make(&self, parts: &Ingredients) -> anyhow::Result<()> {
        let partial = self.folder.with_extension(format!("{}.partial", std::process::id()));
        fs::create_dir_all(&partial).with_context(|| format!("can't make {}", partial.display()))?;
        let made = save(parts, &partial).and_then(|()| {
            // It fails if another one was quicker, whose template is as good.
            fs::rename(&partial, &self.folder)
                .or_else(|error| if self.folder.is_dir() { Ok(()) } else { Err(error) })
                .with_context(|| format!("can't make {}", self.folder.display()))
        });
        let _ = fs::remove_dir_all(&partial);
        made
    }
}

fn save(parts: &Ingredients, folder: &Path) -> anyhow::Result<()> {
    let mut machine = Machine::start(parts, &Memory::Into(&folder.join("ram")), None)?;
    wait_ready(&mut machine)?;
    let qmp = machine.qmp();
    qmp.ignore_shared_memory()?;
    qmp.call("stop", &json!({}))?;
    qmp.call("migrate", &json!({ "uri": cat(">", &folder.join("state"))? }))?;
    qmp.migrated()?;
    machine.finish();
    Ok(())
}

/// Waits until PID 1 asks for a job.
///
/// # Errors
/// When it doesn't in time, with the end of the console.
pub fn wait_ready(machine: &mut Machine) -> anyhow::Result<()> {
    match machine.hear(BOOT)?.as_deref() {
        Some("ready") => Ok(()),
        Some(other) => bail!("the lab machine says `{other}` instead of `ready`"),
        None => bail!("the lab machine didn't boot within {} s\n{}", BOOT.as_secs(), machine.console()),
    }
}

/// QEMU passes the state through a shell.
fn cat(direction: &str, file: &Path) -> anyhow::Result<String> {
    let path = file.to_str().filter(|path| !path.contains('\''));
    Ok(format!("exec:cat {direction} '{}'", path.context("the cache's path is no plain text")?))
}
