//! `cargo xtask bench NAME`: a benchmark in a real browser, of the release build.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::process::spawn;
use crate::repo::{Profile, Repo};
use crate::steps::files;
use crate::test::under_test;
use crate::{build, setup};

/// Run a benchmark of playwright/bench/ against the release build
#[derive(Args)]
pub struct Bench {
    /// Which: the name of a file in playwright/bench/, e.g. `playground`
    name: String,
    /// Write the numbers to a file as well
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
}

impl Bench {
    pub fn run(&self, repo: &Repo) -> anyhow::Result<ExitCode> {
        let script = repo.at("playwright/bench").join(format!("{}.ts", self.name));
        if !script.is_file() {
            bail!("there is no benchmark `{}`; there are: {}", self.name, names(repo)?.join(", "));
        }
        build::all(repo, Profile::Release)?;
        setup::to_test(repo)?;
        let mut node = Command::new("node");
        node.args(["--import", "tsx"]).arg(&script).current_dir(repo.at("playwright"));
        if let Some(json) = &self.json {
            node.arg("--json").arg(env::current_dir().context("there is no working folder")?.join(json));
        }
        under_test(repo, &mut node);
        let status = spawn(&mut node)?.wait().context("waiting for the benchmark")?;
        Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn names(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let folder = repo.at("playwright/bench");
    let scripts = files(&folder)?.into_iter().filter(|path| path.parent() == Some(&folder));
    let scripts = scripts.filter(|path| path.extension().is_some_and(|extension| extension == "ts"));
    Ok(scripts.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect())
}
