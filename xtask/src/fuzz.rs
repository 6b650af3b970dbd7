//! `cargo xtask fuzz`: guests, snapshots and clients that libFuzzer makes up, against the VMM.
//!
//! In:  the targets of `vmhost/vmm/fuzz/`, seeds of their corpus.
//! Out: whether any of them broke a promise; if so, the input that did, and how to see it again.
//!
//! What cargo-fuzz does, in the few lines that we need of it: coverage and the
//! address sanitizer are flags of the compiler, which the everyday toolchain takes
//! when it is told that it may.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::process::{ask, capture, run, spawn, tail};
use crate::repo::Repo;
use crate::steps::files;

const FOLDER: &str = "vmhost/vmm/fuzz";
/// Named, so that build scripts and macros are compiled without the flags.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const COVERAGE: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];
/// No input may take longer, nor more memory: both would be a guest's hold on the host. Leaks are
/// left to the memory limit, as looking for them needs rights that containers don't give.
const LIMITS: [&str; 5] =
    ["-timeout=10", "-rss_limit_mb=1024", "-malloc_limit_mb=256", "-detect_leaks=0", "-max_len=512"];

/// Feed the VMM guests, snapshots and clients that do their worst
///
/// What is found grows a corpus under target/. The first broken promise ends the
/// run of its target; its input is kept, and the way to see it again is printed.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask fuzz                            all targets, a few seconds each
  cargo xtask fuzz balloon --seconds 600      one, for longer
  cargo xtask fuzz balloon --input PATH       what a kept input does")]
pub struct Fuzz {
    /// Files of vmhost/vmm/fuzz/fuzz_targets/; all if none is named
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// How long each runs
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u32,
    /// Run this input and nothing else
    #[arg(long, value_name = "PATH")]
    input: Option<PathBuf>,
}

impl Fuzz {
    pub fn run(&self, repo: &Repo) -> anyhow::Result<ExitCode> {
        let targets = targets(repo)?;
        let unknown = self.targets.iter().find(|name| !targets.contains(name));
        if let Some(unknown) = unknown {
            bail!("there is no target `{unknown}`; there are: {}", targets.join(", "));
        }
        let chosen = if self.targets.is_empty() { &targets } else { &self.targets };
        if let Some(input) = &self.input {
            let [target] = chosen.as_slice() else { bail!("name the one target that the input is for") };
            build(repo)?;
            let status = spawn(program(repo, target).arg(input).env("RUST_BACKTRACE", "1"))?.wait()?;
            return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        let options = [format!("-max_total_time={}", self.seconds)];
        let failed = fuzz(repo, chosen, &repo.target("fuzz/corpus"), &options)?;
        Ok(if failed.is_empty() { ExitCode::SUCCESS } else { bail!("{}", failed.join("\n")) })
    }
}

/// A short run of every target from the same seeds, for `cargo xtask test`.
///
/// # Errors
/// Says which promises were broken, and how to see it again.
pub fn briefly(repo: &Repo) -> anyhow::Result<()> {
    let corpus = repo.target("fuzz/brief");
    if corpus.exists() {
        fs::remove_dir_all(&corpus).with_context(|| format!("can't empty {}", corpus.display()))?;
    }
    let options = ["-seed=1".to_owned(), "-max_total_time=5".to_owned()];
    let failed = fuzz(repo, &targets(repo)?, &corpus, &options)?;
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("\n")) }
}

/// Runs targets one after another; gives what went wrong.
fn fuzz(repo: &Repo, targets: &[String], corpus: &Path, options: &[String]) -> anyhow::Result<Vec<String>> {
    build(repo)?;
    let mut failed = Vec::new();
    for target in targets {
        let (grown, crashes) = (corpus.join(target), repo.target("fuzz/crashes").join(target));
        let seeds = repo.at(FOLDER).join("corpus").join(target);
        for folder in [&grown, &crashes] {
            fs::create_dir_all(folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
        }
        let mut program = program(repo, target);
        program.args(options).arg(format!("-artifact_prefix={}/", crashes.display()));
        // New inputs go to the first.
        program.arg(&grown).args(seeds.is_dir().then_some(&seeds));
        let finished = capture(&format!("fuzz {target}"), &mut program)?;
        if finished.success {
            println!("{target}: {}", numbers(&finished.text));
        } else {
            failed.push(format!("fuzz {target}: {}", reason(target, &finished.text)));
        }
    }
    Ok(failed)
}

fn targets(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let sources = files(&repo.at(FOLDER).join("fuzz_targets"))?;
    Ok(sources.iter().filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect())
}

fn build(repo: &Repo) -> anyhow::Result<()> {
    if ask(Command::new("c++").arg("--version")).is_none() {
        bail!("there is no C++ compiler for libFuzzer: on Debian run `apt-get install g++`");
    }
    let mut flags = COVERAGE.to_vec();
    if has_address_sanitizer() {
        flags.push("-Zsanitizer=address");
    }
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--target", TARGET]).current_dir(repo.at(FOLDER));
    cargo.env("CARGO_TARGET_DIR", repo.target("fuzz")).env("RUSTFLAGS", flags.join(" "));
    cargo.env("RUSTC_BOOTSTRAP", "1");
    run("build fuzz targets", &mut cargo).map(|_| ())
}

/// Its runtime comes with some distributions of Rust, and not with others.
fn has_address_sanitizer() -> bool {
    let folder = ask(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]));
    let names = folder.and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    names.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with("_rt.asan.a"))
}

fn program(repo: &Repo, target: &str) -> Command {
    let mut program = Command::new(repo.target("fuzz").join(TARGET).join("release").join(target));
    program.args(LIMITS).env("ASAN_OPTIONS", "detect_leaks=0");
    program
}

/// The last line of libFuzzer's that counts.
fn numbers(text: &str) -> &str {
    text.lines().rev().find(|line| line.contains("cov: ")).unwrap_or("no input was run").trim()
}

/// What went wrong, where the input is, how to see it again.
fn reason(target: &str, text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let panic = lines.iter().position(|line| line.contains("panicked at"));
    let what = match panic {
        Some(at) => lines[at..].iter().take(2).map(|line| line.trim()).collect::<Vec<_>>().join(" "),
        None => {
            lines.iter().find(|line| line.contains("ERROR: ")).map_or_else(|| tail(text), |line| line.trim().into())
        }
    };
    let kept = lines.iter().find_map(|line| line.split_once("Test unit written to ").map(|(_, path)| path.trim()));
    match kept {
        Some(path) => format!("{what}\n  see it again: cargo xtask fuzz {target} --input {path}"),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(reason("balloon", text), expected);
    }

    #[test]
    fn a_reason_is_the_panic_or_the_sanitizers_report() {
        check(
            "INFO: Seed: 1\nthread '<unnamed>' (1) panicked at src/a.rs:1:2:\n2 of 1 chains\nstack backtrace:\n\
             ==1== ERROR: libFuzzer: deadly signal\nartifact_prefix='x/'; Test unit written to x/crash-1\n",
            "thread '<unnamed>' (1) panicked at src/a.rs:1:2: 2 of 1 chains\n  \
             see it again: cargo xtask fuzz balloon --input x/crash-1",
        );
        check(
            "==1==ERROR: AddressSanitizer: heap-use-after-free\n",
            "==1==ERROR: AddressSanitizer: heap-use-after-free",
        );
        check("can't start\n", "can't start");
    }
}
