//! What `vmm run` and `vmm restore` take, as options for whoever makes the machine.
//!
//! In:  flags, a configuration file, or documents and descriptors that a parent process passes.
//! Out: `RunOptions`, checked, with nothing opened yet but what was inherited.

mod parts;

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{ArgGroup, Args};
use vmm_control::spawn::{ChildNetwork, inherited_document, inherited_image};
use vmm_control::{Balloon, Boot, Console, Disk, Image, Network, Ready, VmConfig, Vsock};

use super::RunRoot;
use super::clone::network;
use super::target::SOCKET;
use crate::jail::Limits;

/// Threads of the largest VM: 32 vCPUs, devices, the worker, and those that the kernel starts for I/O.
const MAX_THREADS: u32 = 128;

/// What a process becomes.
pub enum Source {
    /// A VM that boots.
    Boot(VmConfig),
    /// A VM that goes on from descriptors; the image's handles are places among them.
    Image(Box<Image>, Vec<OwnedFd>),
    /// A VM that goes on from a snapshot.
    Snapshot(FromSnapshot),
}

/// A snapshot, and what is to be other than in it.
pub struct FromSnapshot {
    /// Its directory first, then those of the snapshots it needs.
    pub directories: Vec<PathBuf>,
    /// A backend for each network.
    pub networks: Vec<ChildNetwork>,
    /// Where the console goes.
    pub console: Console,
}

/// Everything that `vmm run` and `vmm restore` are told.
pub struct RunOptions {
    /// What to become.
    pub source: Source,
    /// The VM's own directory: all that it can reach once it is shut in. Made if missing.
    pub run_directory: PathBuf,
    /// The control socket, in `run_directory` unless named.
    pub control: PathBuf,
    /// Who wants to hear when the control socket listens, or why it never will.
    pub ready: Option<Ready>,
    /// Wait for `start` (`resume` after a restore) before the first instruction.
    pub paused: bool,
    /// Shut the process in.
    pub jail: bool,
    /// The control group that it joins.
    pub limits: Option<Limits>,
    /// Where the event log goes; nowhere by default.
    pub log: Option<PathBuf>,
}

/// What both take.
#[derive(Debug, Args)]
pub struct Common {
    /// The VM's name: its directory under the run root, with its sockets
    #[arg(long, value_name = "NAME", required_unless_present = "control")]
    name: Option<String>,
    /// The control socket [default: control.sock in the VM's directory]
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
    /// The VM's own directory [default: by its name, or where its control socket is]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    #[command(flatten)]
    root: RunRoot,
    /// Don't run before somebody says so over the control socket
    #[arg(long)]
    paused: bool,
    /// Append what happens to this file, a JSON object a line
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Don't shut the process in: only for guests that you trust
    #[arg(long)]
    no_jail: bool,
    /// Join this control group (version 2), made if missing; its limits follow
    #[arg(long, value_name = "DIR", conflicts_with = "no_jail")]
    cgroup: Option<PathBuf>,
    /// Most memory of the whole process, the guest's included
    #[arg(long, value_name = "MIB", requires = "cgroup")]
    cgroup_memory: Option<u64>,
    /// Most CPU time, in thousandths of one CPU
    #[arg(long, value_name = "PERMILLE", requires = "cgroup")]
    cgroup_cpu: Option<u32>,
    /// Tell this inherited socket when the control socket listens
    #[arg(long, value_name = "NUMBER", hide = true)]
    ready_fd: Option<u32>,
}

impl Common {
    fn options(self, source: impl FnOnce() -> anyhow::Result<Source>) -> anyhow::Result<RunOptions> {
        // Before anything else is opened: see `Inherited`.
        let ready = self.ready_fd.map(Ready::inherited).transpose()?;
        let source = source()?;
        let named = self.name.as_ref().map(|name| self.root.of(name)).transpose()?;
        let control = self.control.map(std::path::absolute).transpose()?;
        let directory = self.directory.map(std::path::absolute).transpose()?;
        let beside = || control.as_ref().and_then(|control| control.parent()).map(Path::to_owned);
        let Some(run_directory) = directory.or(named).or_else(beside) else {
            bail!("the VM needs --name or --control");
        };
        let control = control.unwrap_or_else(|| run_directory.join(SOCKET));
        let limits = self.cgroup.map(|group| Limits {
            group,
            memory_max: self.cgroup_memory.map(|mib| mib << 20),
            cpu_max_permille: self.cgroup_cpu,
            threads_max: Some(MAX_THREADS),
        });
        Ok(RunOptions {
            source,
            run_directory,
            control,
            ready,
            paused: self.paused,
            jail: !self.no_jail,
            limits,
            log: self.log,
        })
    }
}

const RUN_EXAMPLES: &str = "\
Examples:
  vmm run --name web1 --config web1.json
  vmm run --name try --kernel vmlinux --initramfs init.cpio --memory 256 --console stdio
  vmm run --name web2 --kernel vmlinux --memory 512 --vcpus 2 --cmdline 'root=/dev/vda ro' \\
      --disk root=base.img,overlay=web2.overlay --disk data=data.img \\
      --network eth0=passt:passt.sock,mac=02:00:00:00:00:01 --vsock 3

The VM runs in the foreground; exit code 0 after power-off, stop or restart, 1 if it failed.";

/// What `vmm run` takes.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["config", "config_fd", "kernel"])), after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    #[command(flatten)]
    common: Common,
    /// A configuration in JSON; - for standard input
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The same from an inherited descriptor
    #[arg(long, value_name = "NUMBER", hide = true)]
    config_fd: Option<u32>,
    /// An ELF kernel with a PVH note, or a bzImage
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

/// A configuration by flags; they make no sense beside a file.
#[derive(Debug, Args)]
struct Flags {
    /// Unpacked by the kernel as its first root
    #[arg(long, value_name = "FILE", requires = "kernel")]
    initramfs: Option<PathBuf>,
    /// Words for the kernel and for PID 1
    #[arg(long, value_name = "WORDS", requires = "kernel", default_value = "")]
    cmdline: String,
    /// Memory
    #[arg(long, value_name = "MIB", requires = "kernel", default_value_t = 256)]
    memory: u32,
    /// Virtual CPUs
    #[arg(long, value_name = "COUNT", requires = "kernel", default_value_t = 1)]
    vcpus: u8,
    /// A disk; may be repeated
    #[arg(long, value_name = "ID=IMAGE[,ro][,overlay=FILE]", requires = "kernel", value_parser = parts::disk)]
    disk: Vec<Disk>,
    /// A network interface; may be repeated
    #[arg(long, value_name = "ID=tap:NAME|ID=passt:SOCKET[,mac=MAC]", requires = "kernel", value_parser = parts::network)]
    network: Vec<Network>,
    /// Sockets between guest and host, with the guest's context id; the socket is vsock.sock in the VM's directory
    #[arg(long, value_name = "CID", requires = "kernel")]
    vsock: Option<u32>,
    /// Memory that can be taken back, with free page reporting
    #[arg(long, requires = "kernel")]
    balloon: bool,
    /// Where the serial console goes
    #[arg(long, value_name = "off|stdio|file:PATH", requires = "kernel", default_value = "off", value_parser = parts::console)]
    console: Console,
}

impl RunArgs {
    /// Reads what must be read.
    ///
    /// # Errors
    /// What is wrong with the configuration, and where.
    pub fn options(self) -> anyhow::Result<RunOptions> {
        let (config, config_fd, kernel, flags) = (self.config, self.config_fd, self.kernel, self.flags);
        let boot = || {
            if let Some(number) = config_fd {
                let text = inherited_document(number).context("the configuration that a parent passes")?;
                return Ok(VmConfig::parse(&text, "configuration of the parent process")?);
            }
            match (config, kernel) {
                (Some(file), _) if file.as_os_str() == "-" => {
                    let mut text = String::new();
                    std::io::stdin().read_to_string(&mut text).context("standard input")?;
                    Ok(VmConfig::parse(&text, "standard input")?)
                }
                (Some(file), _) => Ok(VmConfig::load(&file)?),
                (None, Some(kernel)) => Ok(flags.config(kernel)),
                (None, None) => bail!("nothing to boot: use --config or --kernel"),
            }
        };
        let mut options = self.common.options(|| boot().map(Source::Boot))?;
        if let Source::Boot(config) = &mut options.source {
            if let Some(vsock) = &mut config.vsock {
                // Of a flag it has no directory yet; a relative path means the VM's own.
                vsock.socket = options.run_directory.join(&vsock.socket);
            }
            config.check()?;
        }
        Ok(options)
    }
}

impl Flags {
    fn config(self, kernel: PathBuf) -> VmConfig {
        VmConfig {
            boot: Boot { kernel, initramfs: self.initramfs, command_line: self.cmdline },
            vcpus: self.vcpus,
            memory_mib: self.memory,
            huge_pages: false,
            cpu: Default::default(),
            console: self.console,
            disks: self.disk,
            networks: self.network,
            vsock: self.vsock.map(|cid| Vsock { cid, socket: "vsock.sock".into() }),
            balloon: self.balloon.then(|| Balloon { free_page_reporting: true, ..Balloon::default() }),
            entropy: true,
        }
    }
}

const RESTORE_EXAMPLES: &str = "\
Examples:
  vmm restore --name web1 snapshots/monday
  vmm restore --name web1 snapshots/tuesday snapshots/monday    tuesday holds only what changed
  vmm restore --name web1 snapshots/monday --network eth0=passt:passt.sock

The VM gets overlays and sockets of its own in its directory; the snapshot is only read, and any
number of VMs can be restored from it. Each gets a new generation id before it runs.";

/// What `vmm restore` takes.
#[derive(Debug, Args)]
#[command(after_help = RESTORE_EXAMPLES)]
pub struct RestoreArgs {
    #[command(flatten)]
    common: Common,
    /// The snapshot's directory, then those of the snapshots it was made on
    #[arg(value_name = "DIR", required_unless_present = "image_fd")]
    directories: Vec<PathBuf>,
    /// A network's backend, as others carry its frames now; may be repeated
    #[arg(long, value_name = "ID=tap:NAME|ID=passt:SOCKET", conflicts_with = "image_fd")]
    network: Vec<String>,
    /// Where the serial console goes
    #[arg(long, value_name = "off|stdio|file:PATH", default_value = "off", value_parser = parts::console)]
    console: Console,
    /// An image whose descriptors are inherited, too
    #[arg(long, value_name = "NUMBER", hide = true, conflicts_with = "directories")]
    image_fd: Option<u32>,
}

impl RestoreArgs {
    /// Takes what is inherited.
    ///
    /// # Errors
    /// When something that a parent names was not passed.
    pub fn options(self) -> anyhow::Result<RunOptions> {
        let networks = self.network.iter().map(|text| network(text, 1)).collect::<anyhow::Result<_>>()?;
        let from = FromSnapshot { directories: self.directories, networks, console: self.console };
        let image = self.image_fd;
        self.common.options(|| match image {
            Some(number) => {
                let (image, descriptors) = inherited_image(number).context("the image that a parent passes")?;
                image.config.check()?;
                Ok(Source::Image(Box::new(image), descriptors))
            }
            None => Ok(Source::Snapshot(from)),
        })
    }
}

#[cfg(test)]
mod tests;
