//! Verbs that take more than one call.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{ArgGroup, Args};
use serde::Serialize;
use vmm_control::spawn::{fresh_overlays, keep_or_discard};
use vmm_control::{Bucket, ClientError, ExitReason, RateLimit, RateTarget, SnapshotKind};

use super::{Output, Target, show};
use crate::probe;
use crate::snapshot::Snapshot;

/// What `vmm snapshot` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vmm snapshot --vm web1 snapshots/monday
  vmm snapshot --vm web1 --dirty 8c1f… snapshots/tuesday    only what changed since that one

The guest stands still while device state is taken, then runs on as memory is written. The
snapshot is there as a whole or not at all, whatever happens in between. Writable disks go on
with new overlays; the files they had are part of the snapshot and must stay.")]
pub struct SnapshotArgs {
    #[command(flatten)]
    target: Target,
    /// The snapshot's directory, made if missing
    directory: PathBuf,
    /// Only pages written since the snapshot with this id, which stays necessary
    #[arg(long, value_name = "ID")]
    dirty: Option<String>,
    /// Leave the VM paused
    #[arg(long)]
    stay_paused: bool,
    /// Where the disks' new overlays are made [default: beside the control socket]
    #[arg(long, value_name = "DIR")]
    overlays: Option<PathBuf>,
}

pub fn snapshot(arguments: &SnapshotArgs, out: Output) -> anyhow::Result<()> {
    // Writing memory takes as long as the disk needs.
    let mut client = arguments.target.connect_patiently()?;
    let config = client.info()?.config;
    let directory = &arguments.directory;
    std::fs::create_dir_all(directory).with_context(|| format!("can't make {}", directory.display()))?;
    let opened = File::open(directory).with_context(|| format!("can't open {}", directory.display()))?;
    let place = arguments.overlays.clone().map_or_else(|| arguments.target.directory(), Ok)?;
    let kind = match &arguments.dirty {
        Some(parent) => SnapshotKind::Dirty { parent: parent.clone() },
        None => SnapshotKind::Full,
    };
    let overlays = fresh_overlays(&config, &place)?;
    let names: Vec<_> = overlays.iter().map(|(overlay, _)| overlay.clone()).collect();
    let result = client.snapshot(opened.into(), kind, !arguments.stay_paused, overlays);
    out.print(&keep_or_discard(&names, result)?, show::snapshot)
}

/// What `vmm verify` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
To restore checks lengths and ids only, as reading would take time for each byte of memory. This
reads all of it: after a copy to another place, or when a disk is in doubt.

Examples:
  vmm verify snapshots/monday
  vmm verify snapshots/tuesday snapshots/monday    tuesday holds only what changed")]
pub struct VerifyArgs {
    /// The snapshot's directory, then those of the snapshots it was made on
    #[arg(required = true, value_name = "DIR")]
    directories: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Verified {
    id: String,
    taken_at_s: u64,
    program: String,
    memory_bytes: u64,
    read_bytes: u64,
}

pub fn verify(arguments: &VerifyArgs, out: Output) -> anyhow::Result<()> {
    let snapshot = open_snapshot(&arguments.directories)?;
    let mut read_bytes = 0;
    snapshot.verify(|bytes| {
        read_bytes = bytes;
        ControlFlow::Continue(())
    })?;
    let meta = snapshot.meta;
    let verified = Verified {
        id: meta.id.to_string(),
        taken_at_s: meta.taken_at_s,
        program: meta.program,
        memory_bytes: meta.memory_bytes,
        read_bytes,
    };
    out.print(&verified, |verified| {
        format!("snapshot {} by {} is whole: {} KiB read\n", verified.id, verified.program, verified.read_bytes >> 10)
    })
}

/// A snapshot by its directory and those of its ancestors.
pub fn open_snapshot(directories: &[PathBuf]) -> anyhow::Result<Snapshot> {
    let open = |path: &PathBuf| File::open(path).with_context(|| format!("can't open {}", path.display()));
    let opened = directories.iter().map(open).collect::<anyhow::Result<Vec<_>>>()?;
    let borrowed: Vec<_> = opened.iter().map(AsFd::as_fd).collect();
    let Some((first, others)) = borrowed.split_first() else { bail!("no snapshot is named") };
    let place = directories.first().map(|path| path.display().to_string()).unwrap_or_default();
    Snapshot::open(*first, others).context(place)
}

/// What `vmm rate` takes.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("what").required(true)),
    after_help = "\
Examples:
  vmm rate --vm web1 --disk root --bytes 50000000          50 MB/s, bursts of as much
  vmm rate --vm web1 --send eth0 --bytes 1000000:8000000   1 MB/s, bursts of 8 MB
  vmm rate --vm web1 --disk root                           no limit any more"
)]
pub struct RateArgs {
    #[command(flatten)]
    target: Target,
    /// Reads and writes of this disk
    #[arg(long, value_name = "ID", group = "what")]
    disk: Option<String>,
    /// What the guest sends on this network
    #[arg(long, value_name = "ID", group = "what")]
    send: Option<String>,
    /// What the guest receives on this network
    #[arg(long, value_name = "ID", group = "what")]
    receive: Option<String>,
    /// Bytes a second, and how many at once
    #[arg(long, value_name = "PER_SECOND[:BURST]", value_parser = bucket)]
    bytes: Option<Bucket>,
    /// Requests or frames a second, and how many at once
    #[arg(long, value_name = "PER_SECOND[:BURST]", value_parser = bucket)]
    operations: Option<Bucket>,
}

fn bucket(text: &str) -> Result<Bucket, String> {
    let (per_second, burst) = text.split_once(':').unwrap_or((text, text));
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0);
    match (number(per_second), number(burst)) {
        (Some(per_second), Some(burst)) => Ok(Bucket { per_second, burst }),
        _ => Err("expected one or two numbers from 1, like 1000000 or 1000000:8000000".into()),
    }
}

pub fn rate(arguments: &RateArgs) -> anyhow::Result<()> {
    let target = match (&arguments.disk, &arguments.send, &arguments.receive) {
        (Some(disk), _, _) => RateTarget::Disk(disk.clone()),
        (_, Some(network), _) => RateTarget::Send(network.clone()),
        (_, _, Some(network)) => RateTarget::Receive(network.clone()),
        _ => bail!("nothing to limit is named: use --disk, --send or --receive"),
    };
    let rate = RateLimit { bytes: arguments.bytes, operations: arguments.operations };
    Ok(arguments.target.connect()?.set_rate(target, rate)?)
}

pub fn wait(target: &Target, out: Output) -> anyhow::Result<ExitCode> {
    let reason = target.connect_patiently()?.wait()?;
    out.print(&reason, |reason| format!("{}\n", show::reason(reason)))?;
    let failed = matches!(reason, ExitReason::TripleFault | ExitReason::Failed(_));
    Ok(ExitCode::from(u8::from(failed)))
}

pub fn events(target: &Target, replay: bool, out: Output) -> anyhow::Result<()> {
    let mut client = target.connect_patiently()?;
    client.subscribe(replay)?;
    loop {
        match client.next_event() {
            Ok(event) => out.print(&event, show::event)?,
            Err(ClientError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

pub fn probe(out: Output) -> anyhow::Result<ExitCode> {
    let report = probe::probe();
    out.print(&report, show::probe)?;
    Ok(ExitCode::from(u8::from(!report.usable)))
}
