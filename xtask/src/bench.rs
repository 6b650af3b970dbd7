//! `cargo xtask bench NAME`: a benchmark of the release build, in a real browser or, of the VMM, in the lab.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::process::spawn;
use crate::repo::{Profile, Repo};
use crate::steps::files;
use crate::test::under_test;
use crate::{build, setup, vmm_bench};

/// Run a benchmark of playwright/bench/, or of the VMM (`vmm`), against the release build
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench playground
  cargo xtask bench vmm                           all of it, some twenty minutes
  cargo xtask bench vmm --runs 5 --part boot      boots only, five of each")]
pub struct Bench {
    /// Which: the name of a file in playwright/bench/, e.g. `playground`, or `vmm`
    name: String,
    /// Write the numbers to a file as well
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// How often each thing of `vmm` is measured
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Only this part of `vmm`; may be repeated
    #[arg(long, value_name = "PART")]
    part: Vec<String>,
}

impl Bench {
    pub fn run(&self, repo: &Repo) -> anyhow::Result<ExitCode> {
        if self.name == "vmm" {
            let (parts, json) = (self.part.clone(), self.json.clone());
            return vmm_bench::run(repo, &vmm_bench::Options { runs: usize::from(self.runs), parts, json });
        }
        let script = repo.at("playwright/bench").join(format!("{}.ts", self.name));
        if !script.is_file() {
            bail!("there is no benchmark `{}`; there are: vmm, {}", self.name, names(repo)?.join(", "));
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
