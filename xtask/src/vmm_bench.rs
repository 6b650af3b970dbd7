//! `cargo xtask bench vmm`: our VMM beside others, in one run, in the lab.
//!
//! In:  release builds of `vmm` and of its benchmark, `vmhost/vmm/benches/peers/`; the guest; a peer from PyPI.
//! Out: the benchmark's table.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use serde_json::Value;

use crate::process::{self, ask};
use crate::repo::Repo;
use crate::{guest, lab};

/// Clones, snapshots and the files of both live in its memory.
const MEMORY_MIB: &str = "7168";
/// All parts with ten runs each.
const LIMIT_S: &str = "3600";
/// `vmm` is static, so that no loader is part of its start.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The only binary of libkrun in a package registry.
const PEER: &str = "microsandbox==0.7.11";

/// What to measure.
pub struct Options {
    /// How often each.
    pub runs: u16,
    /// Names of parts; all if empty.
    pub parts: Vec<String>,
    /// Takes the numbers as well.
    pub json: Option<PathBuf>,
}

/// Builds what is measured, and measures it in the lab.
///
/// # Errors
/// Names what couldn't be made or run.
pub fn run(repo: &Repo, options: &Options) -> anyhow::Result<ExitCode> {
    let images = guest::obtain(repo)?;
    let programs = build(repo)?;
    let share = repo.state("bench");
    fs::create_dir_all(&share).with_context(|| format!("can't make {}", share.display()))?;
    println!("load of this machine at the start: {}", load());
    let mut command = lab::command(repo)?;
    command.env("SANDGLASS_VMM", programs.vmm).env("SANDGLASS_GUEST_KERNEL", &images.vmlinux);
    command.env("SANDGLASS_GUEST_INITRAMFS", &images.initramfs);
    if options.parts.is_empty() || options.parts.iter().any(|part| part == "libkrun") {
        let peer = peer(repo).map_or_else(|error| format!("!{error:#}").into(), PathBuf::into_os_string);
        command.env("SANDGLASS_MICROSANDBOX", peer);
    }
    command.args(["--memory", MEMORY_MIB, "--timeout", LIMIT_S, "--share"]).arg(&share).arg("--");
    command.arg(programs.bench).args(["--runs", &options.runs.to_string()]);
    options.parts.iter().for_each(|part| {
        command.args(["--part", part]);
    });
    let numbers = share.join("vmm.json");
    command.arg("--json").arg(&numbers);
    let status = process::spawn(&mut command)?.wait().context("waiting for the lab")?;
    println!("load of this machine at the end: {}", load());
    if let (true, Some(json)) = (status.success(), &options.json) {
        fs::copy(&numbers, json).with_context(|| format!("can't write {}", json.display()))?;
    }
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Programs {
    vmm: PathBuf,
    bench: PathBuf,
}

fn build(repo: &Repo) -> anyhow::Result<Programs> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "-p", "vmm", "--bin", "vmm", "--bench", "peers", "--target", TARGET]);
    cargo.current_dir(repo.root()).env("RUSTFLAGS", "-C target-feature=+crt-static");
    process::run("compile the VMM and its benchmark", &mut cargo)?;
    // Once more, for nothing but the paths.
    let messages = ask(cargo.arg("--message-format=json")).context("cargo doesn't say what it built")?;
    let messages: Vec<Value> = messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let executable = |name: &str| {
        let wanted = |message: &&Value| message["executable"].is_string() && message["target"]["name"] == name;
        let path = messages.iter().find(wanted).and_then(|message| message["executable"].as_str());
        path.map(PathBuf::from).with_context(|| format!("cargo built no `{name}`"))
    };
    Ok(Programs { vmm: executable("vmm")?, bench: executable("peers")? })
}

/// Where the peer's program and libraries are.
fn peer(repo: &Repo) -> anyhow::Result<PathBuf> {
    let folder = repo.state("microsandbox");
    let bundled = folder.join("microsandbox/_bundled");
    if !bundled.is_dir() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"]).arg(&folder).arg(PEER);
        process::run("fetch libkrun", &mut pip)?;
    }
    Ok(bundled)
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
