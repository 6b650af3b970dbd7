//! The command line: one subcommand a verb of the control protocol, and a few that need no VM.
//!
//! In:  arguments. Out: words for people, or JSON with `--json`; a remedy beside every error.

mod clone;
mod list;
pub mod run;
mod show;
mod start;
mod target;
mod verbs;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde::Serialize;
use vmm_control::ClientError;

use clone::CloneArgs;
pub use target::RunRoot;
use target::Target;
use verbs::{RateArgs, SnapshotArgs, VerifyArgs};

const EXAMPLES: &str = "\
Examples:
  vmm run --name web1 --config web1.json       boot web1 in the foreground
  vmm restore --name web1 snapshots/monday     go on from a snapshot
  vmm probe                                    can this host run VMs?
  vmm ls                                       which VMs are there?
  vmm stats --vm web1                          what is web1 doing?
  vmm snapshot --vm web1 snapshots/monday      keep it; web1 runs on
  vmm clone --vm web1 10                       ten more like it: web1-1 to web1-10
  vmm balloon --vm web1 256                    take 256 MiB back from it
  vmm stop --vm web1 && vmm wait --vm web1     switch it off, and wait for that

`vmm COMMAND --help` says more. A VM is named by --vm NAME (its directory under the
run root) or by --control SOCKET.";

/// Runs a microVM on KVM, and controls those that run.
#[derive(Debug, Parser)]
#[command(name = "vmm", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// Print JSON instead of words
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Boot a VM in this process
    Run(run::RunArgs),
    /// Go on from a snapshot in this process
    Restore(run::RestoreArgs),
    /// Read a whole snapshot and compare it with what was written
    Verify(VerifyArgs),
    /// List the VMs under the run root
    Ls(RunRoot),
    /// Tell whether this host's KVM can run a stock guest; exit code 1 if it can't
    ///
    /// Opening /dev/kvm proves little: some hosts emulate it too slowly or too incompletely for
    /// any Linux to boot. So this runs a small guest and measures it, in less than a second.
    Probe,
    /// Say what a VM is and does
    Info(Target),
    /// Let a VM run that was made with --paused
    Start(Target),
    /// Stop all vCPUs; nothing is lost
    Pause(Target),
    /// Let a paused VM go on
    Resume(Target),
    /// Show counters, latencies and where memory goes
    Stats(Target),
    /// Ask the guest to give up memory, or show what it has given up
    #[command(after_help = "Examples:\n  vmm balloon --vm web1 256    web1 shall give up 256 MiB\n  \
        vmm balloon --vm web1 0      and may have all of it again\n  vmm balloon --vm web1        what does it say?")]
    Balloon {
        /// The VM
        #[command(flatten)]
        target: Target,
        /// What it shall give up in all, in MiB; without it, the guest's own numbers are shown
        mib: Option<u32>,
    },
    /// Write a snapshot into a directory
    Snapshot(SnapshotArgs),
    /// Start copies of a running VM that share its memory until they write
    Clone(CloneArgs),
    /// Tell the guest that a disk's file has another size now
    Resize {
        /// The VM
        #[command(flatten)]
        target: Target,
        /// The disk's id
        disk: String,
    },
    /// Limit how fast a disk or a network may be used
    Rate(RateArgs),
    /// Give a paused guest a new identity (VM generation id)
    Generation(Target),
    /// Switch a VM off, as a power switch does; its disks keep what the guest has written
    ///
    /// The guest isn't asked: what its programs and its file systems have in memory only is lost, as
    /// with any computer. Have the guest power off by itself to lose nothing.
    Stop {
        /// The VM
        #[command(flatten)]
        target: Target,
        /// Don't wait until the disks have it: unflushed writes may be lost, too
        #[arg(long)]
        force: bool,
    },
    /// Wait for a VM to end; exit code 1 if it failed
    Wait(Target),
    /// Print what happens to a VM, a line each, until it ends
    Events {
        /// The VM
        #[command(flatten)]
        target: Target,
        /// What happened before, too, as far as the VM remembers
        #[arg(long)]
        replay: bool,
    },
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    match execute(cli) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error, json);
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked.
///
/// # Errors
/// What went wrong, in words for people.
pub fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    let out = Output { json: cli.json };
    match cli.command {
        Command::Run(arguments) => return start::start(arguments.options()?),
        Command::Restore(arguments) => return start::start(arguments.options()?),
        Command::Verify(arguments) => verbs::verify(&arguments, out)?,
        Command::Ls(root) => list::list(&root, out)?,
        Command::Probe => return verbs::probe(out),
        Command::Info(target) => out.print(&target.connect()?.info()?, show::info)?,
        Command::Start(target) => target.connect()?.start()?,
        Command::Pause(target) => target.connect()?.pause()?,
        Command::Resume(target) => target.connect()?.resume()?,
        Command::Stats(target) => out.print(&target.connect()?.stats()?, show::stats)?,
        Command::Balloon { target, mib: Some(mib) } => target.connect()?.balloon(mib)?,
        Command::Balloon { target, mib: None } => out.print(&target.connect()?.balloon_stats()?, show::balloon)?,
        Command::Snapshot(arguments) => verbs::snapshot(&arguments, out)?,
        Command::Clone(arguments) => clone::clone(&arguments, out)?,
        Command::Resize { target, disk } => target.connect()?.resize(&disk)?,
        Command::Rate(arguments) => verbs::rate(&arguments)?,
        Command::Generation(target) => out.print(&target.connect()?.new_generation()?, |id| format!("{}\n", id.0))?,
        Command::Stop { target, force } => target.connect()?.stop(force)?,
        Command::Wait(target) => return verbs::wait(&target, out),
        Command::Events { target, replay } => verbs::events(&target, replay, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// How answers are printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    fn print<T: Serialize>(self, value: &T, words: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let text = if self.json { format!("{}\n", serde_json::to_string(value)?) } else { words(value) };
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }
}

/// `vmm events | head` ends us, and that is fine.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[derive(Serialize)]
struct Report<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<vmm_control::Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
}

/// An error with its causes, but for those that it names itself.
fn words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

fn report(error: &anyhow::Error, json: bool) {
    let words = words(error);
    let control = match error.downcast_ref::<ClientError>() {
        Some(ClientError::Refused(error)) => Some(error),
        _ => None,
    };
    let (text, code, remedy) = match control {
        Some(error) => (error.message.as_str(), Some(error.code), error.remedy.as_deref()),
        None => (words.as_str(), None, None),
    };
    let lines = if json {
        serde_json::to_string(&Report { error: text, code, remedy }).unwrap_or(words)
    } else {
        let remedy = remedy.map(|remedy| format!("\nremedy: {remedy}")).unwrap_or_default();
        format!("error: {text}{remedy}")
    };
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "{lines}");
}

#[cfg(test)]
mod tests;
