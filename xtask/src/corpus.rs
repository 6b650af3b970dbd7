//! `cargo xtask corpus FILE`: package cases through the real product, in a real browser.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use crate::process::spawn;
use crate::repo::{Profile, Repo};
use crate::test::under_test;
use crate::{build, setup};

/// Run a file of package cases through the release build
///
/// Prints a line a case, then `N passed, N failed`. A case is
/// {"name", "deps", "files", "entry", "expect"}: `globalThis.__result` must equal
/// `expect` once the entry has run.
#[derive(Args)]
pub struct Corpus {
    /// The cases, as JSON
    file: PathBuf,
    /// Which way previews run
    #[arg(long, value_enum, default_value_t = Mode::Worker)]
    mode: Mode,
    /// Names of cases; all of them unless given
    names: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// A service worker answers
    Worker,
    /// A dedicated worker builds one document
    Fallback,
}

impl Corpus {
    pub fn run(&self, repo: &Repo) -> anyhow::Result<ExitCode> {
        let file = env::current_dir().context("there is no working folder")?.join(&self.file);
        if !file.is_file() {
            bail!("there is no file {}", file.display());
        }
        build::all(repo, Profile::Release)?;
        setup::to_test(repo)?;
        let mode = match self.mode {
            Mode::Worker => "worker",
            Mode::Fallback => "fallback",
        };
        let mut node = Command::new("node");
        node.args(["--import", "tsx", "corpus.ts"]).arg(file).args(["--mode", mode, "--"]).args(&self.names);
        under_test(repo, node.current_dir(repo.at("playwright")));
        let status = spawn(&mut node)?.wait().context("waiting for the corpus")?;
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
