//! Our VMM beside others, in one run, inside the lab: `cargo xtask bench vmm`.
//!
//! In:  by `SANDGLASS_VMM`, `SANDGLASS_GUEST_KERNEL` and `SANDGLASS_GUEST_INITRAMFS`, what is measured; QEMU.
//! Out: a table of medians and ratios; what couldn't be compared, and why.
//!
//! Ours and theirs take turns, with the same kernel, the same PID 1 and devices that
//! equal each other, and all programs and files in memory. So what disturbs one
//! disturbs the other.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "talking to the person at the terminal is what it is for"
)]

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

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;

use place::Place;
use samples::Table;

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

/// Compares the VMM with its peers, inside the lab.
#[derive(Parser)]
struct Options {
    /// How often each thing is measured
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Only this part; may be repeated
    #[arg(long, value_name = "PART")]
    part: Vec<String>,
    /// Write the numbers to a file as well
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<ExitCode> {
    if let Some(unknown) = options.part.iter().find(|part| PARTS.iter().all(|(name, _)| name != part)) {
        let names: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
        bail!("there is no part `{unknown}`; there are: {}", names.join(", "));
    }
    if std::env::var_os("SANDGLASS_LAB").is_none() {
        bail!("it changes its machine's settings and needs a KVM that runs Linux: use `cargo xtask bench vmm`");
    }
    let place = Place::prepare()?;
    let mut table = Table::default();
    let mut failed = false;
    for (name, part) in PARTS {
        if !options.part.is_empty() && options.part.iter().all(|wanted| wanted != name) {
            continue;
        }
        eprintln!("{name} …");
        if let Err(error) = part(&place, usize::from(options.runs), &mut table) {
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
The machine is emulated instruction by instruction, and its guests run on its emulated SVM: times compare with
each other in this table, not with hardware. What it costs to run code, copy memory, leave a guest or walk its
page tables stands in other proportions to each other here, so ratios of times may differ on hardware, either
way; counts of exits and of memory don't depend on speed. Addresses of programs aren't randomised, as the
emulator would translate each start anew. What the table can't tell: costs of caches, TLBs, memory bandwidth,
real interrupts and real disks (all files are in memory), and anything with more than two processors. Other
work on the machine disturbs both sides in turns, but not equally: see the spread and the load.";

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a program prints, if it is there and ends well.
fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
