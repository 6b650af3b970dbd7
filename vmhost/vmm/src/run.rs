//! One VM as a process: opens what it needs, shuts itself in, serves until the VM ends.
//!
//! In:  a configuration, or a frozen VM; a control socket's path.
//! Out: why the VM ended.
//!
//! The order is the point: every path is opened first, then the process is shut
//! in, then guest memory, threads and devices are made. Nothing that a guest
//! could have touched runs outside.

mod devices;
mod freeze;
mod open;
mod operator;
mod requests;
mod worker;

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use vmm_control::{Bucket, Code, ControlError, EventKind, ExitReason, Readiness, Ready, VmConfig};

use crate::control::{Listener, Server};
use crate::jail::seccomp::{self, Thread};
use crate::jail::{Jail, JailError};
use crate::log::Log;
use crate::machine::state::RestoreError;
use crate::machine::vcpu::ThreadStart;
use crate::machine::{BootError, Exit, Machine, MachineState, Setup};
use crate::memory::{GuestRam, MemoryImage};
use crate::metrics::memory::Mappings;
use crate::snapshot::SnapshotRecord;
use crate::state::{StateError, decode};
use crate::virtio::block::{Image, ImageError};

pub use open::OpenError;
use open::Opened;
use operator::{CONTROL, Operator, Supervisor};
use worker::Worker;

/// Console output that a guest may write: a chatty boot, but no flood.
const CONSOLE_LIMIT: Bucket = Bucket { per_second: 256 << 10, burst: 1 << 20 };

/// What to run, and how.
pub struct RunOptions {
    /// What the VM is made of. Of a frozen VM: what it goes on as.
    pub config: VmConfig,
    /// Goes on from here; boots if there is none.
    pub frozen: Option<Frozen>,
    /// Where the control socket is made.
    pub control: PathBuf,
    /// How the process shuts itself in; not at all if absent.
    pub jail: Option<Jail>,
    /// Takes the event log.
    pub log: Option<File>,
    /// Hears once the control socket answers, or why it never will.
    pub ready: Option<Ready>,
    /// Lets the guest run at once; else a client says `start`.
    pub start: bool,
}

/// A VM at the moment it was frozen, for another to go on from.
pub struct Frozen {
    /// The snapshot's or image's id.
    pub id: String,
    /// The machine, as it was encoded.
    pub machine: Vec<u8>,
    /// Its memory.
    pub memory: MemoryImage,
    /// Its disks, in the configuration's order.
    pub disks: Vec<DiskFiles>,
    /// The snapshot, if it was one: later snapshots can refer to its files.
    pub record: Option<SnapshotRecord>,
}

/// A disk's open files.
pub struct DiskFiles {
    /// The image, then frozen overlays, the oldest first, each with its path on the host.
    pub layers: Vec<(File, PathBuf)>,
    /// An empty overlay, or one that the VM goes on with; takes all writes.
    pub top: Option<(File, PathBuf)>,
}

/// A VM can't be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something isn't there, or isn't ours to use.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The process can't be shut in.
    #[error(transparent)]
    Jail(#[from] JailError),
    /// There is no room for guest memory.
    #[error("guest memory of {mib} MiB: {source}")]
    Memory {
        /// How much was asked for.
        mib: u32,
        /// Why it isn't there.
        source: io::Error,
    },
    /// A device can't be made.
    #[error("{device}: {reason}")]
    Device {
        /// Which, like `block:root`.
        device: String,
        /// Why not.
        reason: String,
    },
    /// The machine can't be booted.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The frozen machine isn't one.
    #[error(transparent)]
    State(#[from] StateError),
    /// The frozen machine can't go on here.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The host has run out of something.
    #[error("{0}: {1}")]
    Host(&'static str, io::Error),
}

/// Makes an empty file an overlay as large as the disk below it, whose files are `layers`, the lowest first.
///
/// # Errors
/// When they are no disk, or the file can't be written.
pub fn make_overlay<'a>(top: &File, layers: impl IntoIterator<Item = &'a File>) -> Result<(), ImageError> {
    let own = layers.into_iter().map(File::try_clone).collect::<io::Result<Vec<_>>>();
    let mut own = own.map_err(|source| ImageError::Io { context: "share a disk's files", source })?.into_iter();
    let missing = || ImageError::Io { context: "find a disk's image", source: io::ErrorKind::NotFound.into() };
    let base = own.next().ok_or_else(missing)?;
    let size = Image::open(base, own.collect(), None)?.size();
    Image::create_overlay(top, size)
}

/// Runs a VM until it ends. The calling process must have one thread and do nothing else.
///
/// # Errors
/// When the VM can't be brought up. Once it runs, its end is no error.
pub fn run(mut options: RunOptions) -> Result<ExitReason, RunError> {
    let mut ready = options.ready.take();
    let result = run_told(options, &mut ready);
    if let (Err(error), Some(ready)) = (&result, ready) {
        ready.tell(&Readiness::Failed(ControlError::new(Code::Host, error.to_string())));
    }
    result
}

fn run_told(options: RunOptions, ready: &mut Option<Ready>) -> Result<ExitReason, RunError> {
    let RunOptions { config, frozen, control, jail, log, ready: _, start } = options;
    let log = Log::new(log);
    let mappings = Mappings::open().map_err(|error| RunError::Host("/proc/self/smaps", error))?;
    let listener = Listener::bind(&control).map_err(|source| OpenError::File {
        what: "control socket",
        path: control.clone(),
        source,
    })?;
    let Opened { kvm, kernel, initramfs, disks, links, vsock, console, console_input } =
        open::all(&config, frozen.as_ref().map(|_| ()), jail.as_ref())?;
    let (frozen, disks) = match frozen {
        Some(mut frozen) => {
            let disks = std::mem::take(&mut frozen.disks);
            (Some(frozen), disks)
        }
        None => (None, disks),
    };

    let confined = jail.is_some();
    if let Some(jail) = &jail {
        jail.enter()?;
        seccomp::report_refusals().map_err(|error| RunError::Host("a signal handler", error))?;
    }
    let worker = Worker::start(confined).map_err(|error| RunError::Host("a thread for snapshots", error))?;

    let memory_error = |source| RunError::Memory { mib: config.memory_mib, source };
    let ram = match &frozen {
        Some(frozen) => GuestRam::restore(&frozen.memory),
        None if config.huge_pages => GuestRam::create_huge(config.memory_mib),
        None => GuestRam::create(config.memory_mib),
    }
    .map_err(memory_error)?;
    let (made, disks) = devices::make(&config, disks, links, vsock, &ram)?;
    let names = made.iter().map(|(name, _)| name.clone()).collect();
    let thread_start: Option<ThreadStart> =
        confined.then(|| Arc::new(|| seccomp::confine(Thread::Vcpu)) as ThreadStart);
    let setup = Setup {
        kvm,
        vcpus: config.vcpus,
        cpu: config.cpu,
        ram,
        devices: made.into_iter().map(|(_, device)| device).collect(),
        console,
        console_input,
        console_limit: CONSOLE_LIMIT,
        thread_start,
    };
    let machine = match &frozen {
        Some(frozen) => go_on(setup, frozen)?,
        None => boot(setup, &config, kernel.as_ref(), initramfs.as_ref())?,
    };
    drop((kernel, initramfs));

    let server = Server::new(listener, machine.poll(CONTROL), &log)
        .map_err(|error| RunError::Host("the control socket", error))?;
    let operator = Operator::new(config, names, disks, frozen, log.clone(), worker, mappings);
    if confined {
        seccomp::confine(Thread::Device).map_err(|error| RunError::Host("seccomp", error))?;
    }
    serve(machine, Supervisor::new(server, operator), &log, ready.take(), start)
}

fn boot(setup: Setup, config: &VmConfig, kernel: Option<&File>, initramfs: Option<&File>) -> Result<Machine, RunError> {
    let missing = || RunError::Host("the kernel", io::ErrorKind::NotFound.into());
    let kernel = kernel.ok_or_else(missing)?;
    Ok(Machine::boot(setup, kernel, initramfs, &config.boot.command_line, random()?)?)
}

/// A machine that goes on from a frozen one, and tells its guest so.
fn go_on(setup: Setup, frozen: &Frozen) -> Result<Machine, RunError> {
    let state: MachineState = decode("the machine", &frozen.machine)?;
    let mut machine = Machine::restore(setup, &state)?;
    let failed = |error: &dyn std::error::Error| io::Error::other(error.to_string());
    // Every page that is written from here on differs from the image.
    machine.start_dirty_log().map_err(|error| RunError::Host("the dirty log", failed(&error)))?;
    machine.new_generation(random()?).map_err(|error| RunError::Host("the generation id", failed(&error)))?;
    Ok(machine)
}

fn serve(
    mut machine: Machine,
    mut supervisor: Supervisor,
    log: &Log,
    ready: Option<Ready>,
    start: bool,
) -> Result<ExitReason, RunError> {
    if start {
        supervisor.start(&mut machine);
    }
    if let Some(ready) = ready {
        ready.tell(&Readiness::Ready);
    }
    let reason = match machine.run(&mut supervisor) {
        Exit::PoweredOff => ExitReason::PoweredOff,
        Exit::Reset => ExitReason::Reset,
        Exit::TripleFault => ExitReason::TripleFault,
        Exit::Stopped => ExitReason::Stopped,
        Exit::VcpuFailed(text) => ExitReason::Failed(text),
    };
    if !supervisor.is_hurried() {
        // What the guest has written and not flushed is in disks' files now; a new process finds it there.
        machine.drain();
    }
    log.record(EventKind::Exit { reason: reason.clone() });
    supervisor.finish();
    Ok(reason)
}

/// 16 bytes that no other VM has.
fn random() -> Result<[u8; 16], RunError> {
    let mut id = [0; 16];
    let mut filled = 0;
    while filled < id.len() {
        filled += rustix::rand::getrandom(&mut id[filled..], rustix::rand::GetRandomFlags::empty())
            .map_err(|error| RunError::Host("random numbers", error.into()))?;
    }
    Ok(id)
}
