//! `cargo xtask lab -- CMD`: runs a program of this machine where `/dev/kvm` is real.
//!
//! In:  a command, the host's files.
//! Out: its output as it comes, and its exit code.
//!
//! QEMU emulates a whole machine that has AMD's virtualisation, so no rights and no
//! hardware are needed. It boots once; a copy of the booted machine is kept and
//! resumed for each job. The host's `/` is its root, below a file system in memory
//! that takes all writes and forgets them.

mod clock;
mod ingredients;
mod job;
mod machine;
mod qmp;
mod template;
mod temporary;

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::repo::Repo;
use crate::steps::write;
use job::Job;
use machine::{Ingredients, Machine, Memory};
use template::{Template, wait_ready};

/// From the resumed machine to the job's first instruction: mounts, no more.
const START: Duration = Duration::from_secs(60);

/// Enough for a guest of 1 GiB and its host.
const MEMORY_MIB: u32 = 2048;
const CPUS: u32 = 2;

/// As `timeout` of coreutils has it.
const TIMED_OUT: u8 = 124;

/// Run a program of this machine inside an emulated machine with a real /dev/kvm
///
/// It sees this machine's files under their paths and may write anywhere, but
/// nothing that it writes stays, except below --share. It is root there. Of the
/// environment it gets PATH, RUST_*, SANDGLASS_*, CARGO_BIN_EXE_* and a few more;
/// HOME and TMPDIR are on ext4, /tmp and the rest are in memory. Ends with the
/// program's exit code, 124 when its time is up.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask lab -- ls -l /dev/kvm
  cargo xtask lab --share out -- target/debug/vmm --help")]
pub struct Lab {
    /// Ends the program after this many seconds
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    timeout: u64,
    /// The machine's memory in MiB
    #[arg(long, default_value_t = MEMORY_MIB, value_name = "MIB", value_parser = clap::value_parser!(u32).range(256..))]
    memory: u32,
    /// The machine's processors
    #[arg(long, default_value_t = CPUS, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8))]
    cpus: u32,
    /// Boot the machine instead of resuming the one that is kept
    #[arg(long)]
    cold: bool,
    /// A folder that the program may write to for good
    #[arg(long, value_name = "DIR")]
    share: Option<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, last = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Lab {
    pub fn run(&self, repo: &Repo) -> anyhow::Result<ExitCode> {
        let job = Job::here(self.command.clone(), self.share.as_deref())?;
        let limit = Duration::from_secs(self.timeout);
        let (parts, folder) = ingredients::obtain(repo, self.memory, self.cpus)?;
        let first = if self.cold { cold(&parts, &job) } else { warm(&parts, &folder, &job) };
        let code = match first.and_then(|machine| attend(machine, &job, limit)) {
            Ok(code) => code,
            Err(error) => {
                eprintln!("the lab failed, not the program: {error:#}\nonce more, by a cold boot");
                attend(cold(&parts, &job)?, &job, limit)?
            }
        };
        Ok(ExitCode::from(code))
    }
}

/// This program as a way into the lab: append options, `--` and a command.
///
/// # Errors
/// When this program doesn't know its own path.
pub fn command(repo: &Repo) -> anyhow::Result<Command> {
    let mut lab = Command::new(env::current_exe().context("where am I?")?);
    lab.arg("lab").current_dir(repo.root());
    Ok(lab)
}

/// Makes all that a job needs, so that the first one doesn't pay for it.
///
/// # Errors
/// Names what can't be made, and the remedy.
pub fn prepare(repo: &Repo) -> anyhow::Result<()> {
    let (parts, folder) = ingredients::obtain(repo, MEMORY_MIB, CPUS)?;
    Template::obtain(&parts, &folder).map(|_| ())
}

fn warm(parts: &Ingredients, folder: &Path, job: &Job) -> anyhow::Result<Machine> {
    Template::obtain(parts, folder)?.resume(parts, job.share.as_deref())
}

fn cold(parts: &Ingredients, job: &Job) -> anyhow::Result<Machine> {
    let mut machine = Machine::start(parts, &Memory::Fresh, job.share.as_deref())?;
    wait_ready(&mut machine)?;
    Ok(machine)
}

/// Gives a waiting machine its job; the job's exit code.
///
/// # Errors
/// When the machine, not the job, fails.
fn attend(mut machine: Machine, job: &Job, limit: Duration) -> anyhow::Result<u8> {
    let script = machine.folder().join("job.sh");
    write(&script, job.script().as_bytes())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs();
    let share = job.share.as_deref().map_or("-".into(), |path| path.to_string_lossy());
    if share.contains(char::is_whitespace) {
        bail!("can't share a folder with a space in its path: {share}");
    }
    machine.tell(&format!("{now} {share} {}\n", script.display()))?;
    match machine.hear(START)?.as_deref() {
        Some("started") => {}
        Some(other) => bail!("the lab machine says `{other}` instead of `started`"),
        None => bail!("the job didn't start within {} s\n{}", START.as_secs(), machine.console()),
    }
    let start = Instant::now();
    let Some(end) = machine.hear(limit)? else {
        machine.finish();
        eprintln!("the program was ended after {} s", start.elapsed().as_secs());
        return Ok(TIMED_OUT);
    };
    let code = end.strip_prefix("exit ").and_then(|code| code.parse().ok());
    let code = code.with_context(|| format!("the lab machine says `{end}` instead of an exit code"))?;
    machine.finish();
    Ok(code)
}
