//! Opens everything that a VM is made of, before its process is shut in.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use kvm_ioctls::Kvm;
use vmm_control::{Console, Disk, NetworkBackend, VmConfig};

use super::DiskFiles;
use crate::jail::Jail;
use crate::virtio::net::open_tap;

/// What a configuration names isn't there, or isn't ours to use.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file or a socket.
    #[error("{what} {}: {source}", path.display())]
    File {
        /// What it is to the VM.
        what: &'static str,
        /// Where it is said to be.
        path: PathBuf,
        /// What the host says.
        source: io::Error,
    },
    /// There is no KVM.
    #[error("/dev/kvm: {0}; this host needs KVM, and this user access to it")]
    Kvm(io::Error),
    /// A tap device.
    #[error("tap device {name}: {source}; make it with `ip tuntap add {name} mode tap user $USER`")]
    Tap {
        /// Its name.
        name: String,
        /// What the host says.
        source: io::Error,
    },
    /// A path that the process can't reach once it is shut in.
    #[error("{what} {} must lie in the run directory {}", path.display(), run_directory.display())]
    Outside {
        /// What it is to the VM.
        what: &'static str,
        /// Where it is said to be.
        path: PathBuf,
        /// Where it must be.
        run_directory: PathBuf,
    },
    /// An overlay can't be made or isn't one.
    #[error("overlay {}: {reason}", path.display())]
    Overlay {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// All that was opened.
pub struct Opened {
    pub kvm: Kvm,
    pub kernel: Option<File>,
    pub initramfs: Option<File>,
    /// Of a VM that boots.
    pub disks: Vec<DiskFiles>,
    pub links: Vec<Link>,
    pub vsock: Option<VsockFiles>,
    pub console: Option<File>,
    pub console_input: Option<File>,
}

/// A network's other end.
pub enum Link {
    Tap(File),
    Passt(UnixStream),
}

/// The host's side of sockets.
pub struct VsockFiles {
    pub listener: UnixListener,
    /// What a port's number is appended to, as the process sees it.
    pub prefix: PathBuf,
}

/// Opens all of it; of a VM that goes on (`frozen`) its kernel and disks come from elsewhere.
pub fn all(config: &VmConfig, frozen: Option<()>, jail: Option<&Jail>) -> Result<Opened, OpenError> {
    let kvm = Kvm::new().map_err(|error| OpenError::Kvm(error.into()))?;
    let boots = frozen.is_none();
    let kernel = boots.then(|| read("kernel", &config.boot.kernel)).transpose()?;
    let initramfs = config.boot.initramfs.as_ref().filter(|_| boots);
    let initramfs = initramfs.map(|path| read("initramfs", path)).transpose()?;
    let disks = if boots { config.disks.iter().map(disk).collect::<Result<_, _>>()? } else { Vec::new() };
    let links = config.networks.iter().map(|network| link(&network.backend)).collect::<Result<_, _>>()?;
    let vsock = config.vsock.as_ref().map(|vsock| self::vsock(&vsock.socket, jail)).transpose()?;
    let (console, console_input) = console(&config.console)?;
    Ok(Opened { kvm, kernel, initramfs, disks, links, vsock, console, console_input })
}

fn read(what: &'static str, path: &Path) -> Result<File, OpenError> {
    File::open(path).map_err(file(what, path))
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    move |source| OpenError::File { what, path: path.to_owned(), source }
}

fn disk(disk: &Disk) -> Result<DiskFiles, OpenError> {
    let writable = !disk.read_only && disk.overlay.is_none();
    let base = OpenOptions::new().read(true).write(writable).open(&disk.path).map_err(file("disk", &disk.path))?;
    let top = match &disk.overlay {
        Some(path) if !disk.read_only => Some((overlay(path, &base)?, path.clone())),
        _ => None,
    };
    Ok(DiskFiles { layers: vec![(base, disk.path.clone())], top })
}

/// The overlay at `path`, made if it is missing or empty.
fn overlay(path: &Path, base: &File) -> Result<File, OpenError> {
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let top = open.map_err(file("overlay", path))?;
    let length = |file: &File| file.metadata().map(|metadata| metadata.len());
    if length(&top).map_err(file("overlay", path))? == 0 {
        super::make_overlay(&top, [base])
            .map_err(|error| OpenError::Overlay { path: path.to_owned(), reason: error.to_string() })?;
    }
    Ok(top)
}

fn link(backend: &NetworkBackend) -> Result<Link, OpenError> {
    match backend {
        NetworkBackend::Tap(name) => {
            open_tap(name).map(Link::Tap).map_err(|source| OpenError::Tap { name: name.clone(), source })
        }
        NetworkBackend::Passt(path) => UnixStream::connect(path).map(Link::Passt).map_err(file("passt's socket", path)),
    }
}

fn vsock(path: &Path, jail: Option<&Jail>) -> Result<VsockFiles, OpenError> {
    let prefix = match jail {
        None => path.to_owned(),
        Some(jail) => jail.inside(path).ok_or_else(|| OpenError::Outside {
            what: "vsock socket",
            path: path.to_owned(),
            run_directory: jail.run_directory.clone(),
        })?,
    };
    if UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
        // Nobody listens any more: left by a VM that was killed.
        std::fs::remove_file(path).map_err(file("vsock socket", path))?;
    }
    let listener = UnixListener::bind(path).map_err(file("vsock socket", path))?;
    listener.set_nonblocking(true).map_err(file("vsock socket", path))?;
    Ok(VsockFiles { listener, prefix })
}

fn console(console: &Console) -> Result<(Option<File>, Option<File>), OpenError> {
    use std::os::fd::AsFd as _;
    let path = Path::new("standard output");
    match console {
        Console::Off => Ok((None, None)),
        Console::File(path) => {
            let open = OpenOptions::new().append(true).create(true).open(path);
            Ok((Some(open.map_err(file("console", path))?), None))
        }
        Console::Stdio => {
            let own = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().map(File::from);
            let output = own(io::stdout().as_fd()).map_err(file("console", path))?;
            let input = own(io::stdin().as_fd()).map_err(file("console", path))?;
            Ok((Some(output), Some(input)))
        }
    }
}
