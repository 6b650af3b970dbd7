//! `cargo xtask bench vmm`: our VMM beside others, in one run, in the lab.
//!
//! In:  a release build of `vmm`, the guest that `cargo xtask guest` makes, QEMU.
//! Out: a table of medians and ratios; what couldn't be compared, and why.
//!
//! All of it runs inside one lab machine, ours and theirs in turns, with the same
//! kernel, the same PID 1 and devices that equal each other, and all programs and
//! files in memory. So what disturbs one disturbs the other.

mod boot;
mod clones;
mod disk;
mod footprint;
mod krun;
mod ours;
mod place;
mod qemu;
mod restore;
mod samples;
mod stream;
mod watch;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, bail};

use crate::repo::Repo;
use crate::{guest, lab, process};
use place::Place;
use samples::Table;

/// Clones, snapshots and the files of both live in its memory.
const MEMORY_MIB: &str = "7168";
/// All parts with ten runs each.
const LIMIT_S: &str = "3000";
/// Where this program is built: static, so that the peer's loader isn't compared with ours.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A part of the benchmark: its name, and what it does.
type Part = (&'static str, fn(&Place, usize, &mut Table) -> anyhow::Result<()>);
const PARTS: [Part; 8] = [
    ("boot", boot::run),
    ("exits", boot::exits),
    ("memory", footprint::run),
    ("restore", restore::run),
    ("clone", clones::run),
    ("block", disk::run),
    ("vsock", stream::run),
    ("libkrun", krun::run),
];

/// What to measure.
pub struct Options {
    /// How often each.
    pub runs: usize,
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
    if let Some(unknown) = options.parts.iter().find(|part| PARTS.iter().all(|(name, _)| name != part)) {
        let names: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
        bail!("there is no part `{unknown}`; there are: {}", names.join(", "));
    }
    if env::var_os("SANDGLASS_LAB").is_some() {
        return inside(options);
    }
    let images = guest::obtain(repo)?;
    let vmm = build(repo)?;
    let share = repo.state("bench");
    fs::create_dir_all(&share).with_context(|| format!("can't make {}", share.display()))?;
    println!("load of this machine at the start: {}", load());
    let mut command = lab::command(repo)?;
    command.env("SANDGLASS_VMM", vmm).env("SANDGLASS_GUEST_KERNEL", &images.vmlinux);
    command.env("SANDGLASS_GUEST_BZIMAGE", &images.bzimage).env("SANDGLASS_GUEST_INITRAMFS", &images.initramfs);
    if options.parts.is_empty() || options.parts.iter().any(|part| part == "libkrun") {
        krun::offer(repo, &mut command);
    }
    command.args(["--memory", MEMORY_MIB, "--timeout", LIMIT_S, "--share"]).arg(&share).arg("--");
    command.arg(env::current_exe().context("where am I?")?).args(["bench", "vmm"]);
    command.args(["--runs", &options.runs.to_string()]);
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

/// In the lab machine.
fn inside(options: &Options) -> anyhow::Result<ExitCode> {
    let place = Place::prepare()?;
    let mut table = Table::default();
    let mut failed = false;
    for (name, part) in PARTS {
        if !options.parts.is_empty() && options.parts.iter().all(|wanted| wanted != name) {
            continue;
        }
        eprintln!("{name} …");
        if let Err(error) = part(&place, options.runs, &mut table) {
            table.remark(format!("{name} FAILED: {error:#}"));
            failed = true;
        }
    }
    println!("{table}");
    println!("{DISTORTION}");
    if let Some(json) = &options.json {
        fs::write(json, format!("{:#}\n", table.json())).with_context(|| format!("can't write {}", json.display()))?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

const DISTORTION: &str = "\
The machine is emulated instruction by instruction, and its guests run on its emulated SVM: times compare
with each other in this table, not with hardware. Both sides' user-mode code, the kernel's and the guest's
is 10 to 50 times slower than on hardware, so a program that executes less (relocations, start-up, device
models) gains more here than it would there, and copies of memory cost relatively less than code. A VM exit
is a jump inside the emulator: cheap beside hardware's, and page faults of the guest are walked in software,
expensive beside it. What the table can't tell: costs of caches, TLBs, memory bandwidth, huge pages, real
interrupts and real disks (all files are in memory), and anything with more than two processors.";

/// A static build, into the folder that release builds have anyway.
fn build(repo: &Repo) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "-p", "vmm", "--bin", "vmm", "--target", TARGET]).current_dir(repo.root());
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
    process::run("compile the VMM", &mut cargo)?;
    Ok(repo.target(&format!("{TARGET}/release/vmm")))
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);
