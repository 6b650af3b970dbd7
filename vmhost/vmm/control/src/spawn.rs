//! Starts VMs: one process each.
//!
//! In:  a configuration, or an image of descriptors.
//! Out: the process, and a client that is connected to it.
//!
//! All that the process needs it inherits: the configuration and the image come
//! as descriptors that `vmm` is told by number. Nothing is polled for.

mod clone;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::ready::wait;
use crate::{Client, ClientError, ConfigError, ControlError, Handle, Image, Inherited, Readiness, VmConfig};

pub use clone::{ChildNetwork, ChildOptions, clone_vm, configure, fresh_overlays, keep_or_discard};

/// A VM that was started.
pub struct Vm {
    /// Its process. Dropping it neither ends the VM nor waits for it.
    pub child: Child,
    /// Connected to it.
    pub client: Client,
}

/// A VM wasn't started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The configuration can't be one of a VM.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The host refuses what it takes to start a process.
    #[error("can't {step}: {source}")]
    Host {
        /// What was about to be done.
        step: String,
        /// Why it couldn't.
        source: io::Error,
    },
    /// The process says why it can't be a VM.
    #[error("the VM can't start: {0}")]
    Refused(ControlError),
    /// The process ended without a word.
    #[error("the VM's process ended before it was ready, with {0}")]
    Ended(ExitStatus),
    /// The process said nothing for too long, and was killed.
    #[error("the VM's process was not ready within {0:?}")]
    Timeout(Duration),
    /// A running VM doesn't answer as it should.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Options for a child leave something open.
    #[error("{0}")]
    Options(String),
}

fn host(step: impl Into<String>) -> impl FnOnce(io::Error) -> SpawnError {
    let step = step.into();
    |source| SpawnError::Host { step, source }
}

/// How a VM's process is started.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The `vmm` program.
    pub program: PathBuf,
    /// The control socket that it makes.
    pub control: PathBuf,
    /// More options for `vmm run` or `vmm restore`.
    pub arguments: Vec<OsString>,
    /// Where its standard error goes: a file that is appended to, or where ours goes.
    pub errors: Option<PathBuf>,
    /// How long it may take to be ready.
    pub timeout: Duration,
}

impl Launch {
    /// With the usual 30 seconds and nothing special.
    pub fn new(program: &Path, control: &Path) -> Self {
        Self {
            program: program.to_owned(),
            control: control.to_owned(),
            arguments: Vec::new(),
            errors: None,
            timeout: Duration::from_secs(30),
        }
    }

    /// Starts a VM that boots. Its state is `Created`: nothing runs until `Client::start`.
    ///
    /// # Errors
    /// When the configuration is wrong or the host refuses.
    pub fn boot(&self, config: &VmConfig) -> Result<Vm, SpawnError> {
        config.check()?;
        let document = json_file(config)?;
        self.process("run", &["--config-fd".into(), number(&document)], &[document.as_fd()])?.ready()
    }

    /// Starts a process that goes on from an image, whose handles are places in `descriptors`.
    /// The VM is `Paused`. `Starting::ready` waits for it, so several can start side by side.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn restore(&self, image: &Image, descriptors: &[BorrowedFd<'_>]) -> Result<Starting, SpawnError> {
        let mut image = image.clone();
        image.config.check()?;
        for handle in image.handles() {
            let fd = descriptors.get(handle.0 as usize);
            let fd = fd.ok_or_else(|| SpawnError::Options(format!("the image has no descriptor {}", handle.0)))?;
            handle.0 = fd.as_raw_fd().unsigned_abs();
        }
        let document = json_file(&image)?;
        let passed: Vec<BorrowedFd<'_>> =
            std::iter::once(document.as_fd()).chain(descriptors.iter().copied()).collect();
        self.process("restore", &["--image-fd".into(), number(&document)], &passed)
    }

    /// Starts a process that goes on from a snapshot: its directory first, then those that it was made on.
    /// A network needs `--network` among the arguments. The VM is `Paused`.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn wake(&self, directories: &[PathBuf]) -> Result<Starting, SpawnError> {
        let arguments: Vec<OsString> = directories.iter().map(|path| path.clone().into_os_string()).collect();
        self.process("restore", &arguments, &[])
    }

    fn process(&self, verb: &str, arguments: &[OsString], passed: &[BorrowedFd<'_>]) -> Result<Starting, SpawnError> {
        let (near, far) = UnixStream::pair().map_err(host("make a socket pair"))?;
        near.set_read_timeout(Some(self.timeout)).map_err(host("set a time limit"))?;
        let mut command = Command::new(&self.program);
        command.arg(verb).args(arguments).arg("--paused").arg("--ready-fd").arg(number(&far));
        command.arg("--control").arg(&self.control).args(&self.arguments);
        // It outlives us: no terminal's signals, no pipe of ours that never ends because it holds it open.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(errors) = &self.errors {
            let file = std::fs::File::options().create(true).append(true).open(errors);
            command.stderr(Stdio::from(file.map_err(host(format!("open {}", errors.display())))?));
        }
        let all: Vec<BorrowedFd<'_>> = std::iter::once(far.as_fd()).chain(passed.iter().copied()).collect();
        Inherited::pass(&mut command, &all);
        let child = command.spawn().map_err(host(format!("run {}", self.program.display())))?;
        // `far` goes out of scope with the child's copy as the only one left.
        Ok(Starting { child, ready: near, control: self.control.clone(), timeout: self.timeout })
    }
}

/// A process that isn't ready yet.
#[must_use]
pub struct Starting {
    child: Child,
    ready: UnixStream,
    control: PathBuf,
    timeout: Duration,
}

impl Starting {
    /// Waits until the VM answers.
    ///
    /// # Errors
    /// When it says that it can't, or ends, or takes too long: then it is killed.
    pub fn ready(mut self) -> Result<Vm, SpawnError> {
        match wait(&self.ready) {
            Ok(Some(Readiness::Ready)) => match Client::connect(&self.control) {
                Ok(client) => Ok(Vm { child: self.child, client }),
                Err(error) => {
                    self.end();
                    Err(error.into())
                }
            },
            Ok(Some(Readiness::Failed(error))) => {
                self.end();
                Err(SpawnError::Refused(error))
            }
            Ok(None) => Err(SpawnError::Ended(self.child.wait().map_err(host("wait for the process"))?)),
            Err(error) => {
                self.end();
                let timed_out = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
                Err(if timed_out { SpawnError::Timeout(self.timeout) } else { host("hear from the VM")(error) })
            }
        }
    }

    /// Leaves no process and no zombie.
    pub(crate) fn end(&mut self) {
        // Both fail only for a process that is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As a child is told it.
fn number(fd: &impl AsRawFd) -> OsString {
    fd.as_raw_fd().to_string().into()
}

/// A document in memory that a child can read from its start.
fn json_file<T: Serialize>(value: &T) -> Result<OwnedFd, SpawnError> {
    let fd = memfd_create("vmm-document", MemfdFlags::CLOEXEC)
        .map_err(|error| host("make a file in memory")(error.into()))?;
    let bytes = serde_json::to_vec(value).map_err(|error| host("write JSON")(error.into()))?;
    let mut file = std::fs::File::from(fd);
    file.write_all(&bytes).map_err(host("write JSON"))?;
    Ok(file.into())
}

/// In the child: the document that was inherited under that number (`--config-fd`, `--image-fd`), as text.
///
/// # Errors
/// When there is none, or it is longer than a frame may be.
pub fn inherited_document(number: u32) -> io::Result<String> {
    let file = std::fs::File::from(Inherited::take(number)?);
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if length > crate::MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the document is too long"));
    }
    let mut bytes = vec![0; length];
    // The offset is shared with whoever else inherited it.
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// In the child: the image that was inherited under that number, and its descriptors; its handles are
/// places among them.
///
/// # Errors
/// When something in it wasn't inherited.
pub fn inherited_image(number: u32) -> io::Result<(Image, Vec<OwnedFd>)> {
    let text = inherited_document(number)?;
    let mut image = Image::deserialize(&mut serde_json::Deserializer::from_str(&text))?;
    let (mut descriptors, mut places) = (Vec::new(), BTreeMap::new());
    for handle in image.handles() {
        // Two disks may share a layer.
        if !places.contains_key(handle) {
            places.insert(*handle, Handle(u32::try_from(descriptors.len()).map_err(io::Error::other)?));
            descriptors.push(Inherited::take(handle.0)?);
        }
        *handle = places.get(handle).copied().unwrap_or(*handle);
    }
    Ok((image, descriptors))
}
