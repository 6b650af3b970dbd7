//! Live clones: the parent freezes, runs on, and children start from what it gave out.

use std::fs::{self, File};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Launch, SpawnError, Starting, Vm, host};
use crate::{Client, ClientError, Console, Handle, Image, Mac, NetworkBackend, NewOverlay, VmConfig};

/// What makes a child another VM than its parent.
#[derive(Debug, Clone)]
pub struct ChildOptions {
    /// Made if missing; its overlays lie here, and sockets without a path of their own.
    pub run_directory: PathBuf,
    /// How its process is started. Its control socket may lie anywhere.
    pub launch: Launch,
    /// The host's side of its vsock; `vsock.sock` in the run directory by default.
    pub vsock: Option<PathBuf>,
    /// One for each network: no two VMs share a backend.
    pub networks: Vec<ChildNetwork>,
    /// Where its console goes.
    pub console: Console,
}

/// A child's network.
#[derive(Debug, Clone)]
pub struct ChildNetwork {
    /// Which of the parent's it stands for.
    pub id: String,
    /// Who carries its frames.
    pub backend: NetworkBackend,
    /// Another address; the guest goes on with the parent's until it asks again.
    pub mac: Option<Mac>,
}

/// Clones a running VM once for each of `children`, all from the same moment; they come paused.
/// The parent runs on, on fresh overlays in `overlays`.
///
/// # Errors
/// When options are incomplete, the parent refuses, or a child can't start: then no child is left.
pub fn clone_vm(parent: &mut Client, overlays: &Path, children: &[ChildOptions]) -> Result<Vec<Vm>, SpawnError> {
    let config = parent.info()?.config;
    // What can be wrong is found before the parent stands still.
    let configs: Vec<VmConfig> = children
        .iter()
        .map(|child| configure(&config, &child.run_directory, child.vsock.as_deref(), &child.networks, &child.console))
        .collect::<Result<_, _>>()?;
    for config in &configs {
        config.check()?;
    }
    let overlays = fresh_overlays(&config, overlays)?;
    let names: Vec<NewOverlay> = overlays.iter().map(|(overlay, _)| overlay.clone()).collect();
    let (cloned, descriptors) = keep_or_discard(&names, parent.freeze(overlays))?;
    let mut starting = Vec::new();
    for (child, config) in children.iter().zip(configs) {
        match start(child, config, cloned.image.clone(), &descriptors) {
            Ok(process) => starting.push(process),
            Err(error) => {
                starting.iter_mut().for_each(Starting::end);
                return Err(error);
            }
        }
    }
    let mut vms: Vec<Vm> = Vec::new();
    let mut failed = None;
    for mut process in starting {
        if failed.is_some() {
            process.end();
            continue;
        }
        match process.ready() {
            Ok(vm) => vms.push(vm),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        None => Ok(vms),
        Some(error) => {
            for mut vm in vms {
                // Both fail only for a process that is gone.
                let _ = vm.child.kill();
                let _ = vm.child.wait();
            }
            Err(error)
        }
    }
}

/// A new overlay file in `directory` for each writable disk, for `Client::snapshot` and `Client::freeze`.
///
/// # Errors
/// When the host refuses.
pub fn fresh_overlays(config: &VmConfig, directory: &Path) -> Result<Vec<(NewOverlay, OwnedFd)>, SpawnError> {
    let moment = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let writable = config.disks.iter().filter(|disk| !disk.read_only);
    let fresh = |disk: &crate::Disk| {
        let path = directory.join(format!("{}-{moment}.overlay", disk.id));
        let file = create_new(&path)?;
        Ok((NewOverlay { disk: disk.id.clone(), path }, file))
    };
    writable.map(fresh).collect()
}

/// Removes fresh overlays if the VM refused the request that they were for. After any other failure
/// it may be writing to them.
///
/// # Errors
/// That of the request.
pub fn keep_or_discard<T>(fresh: &[NewOverlay], result: Result<T, ClientError>) -> Result<T, ClientError> {
    if let Err(ClientError::Refused(_)) = &result {
        for overlay in fresh {
            // An empty file too many does no harm.
            let _ = fs::remove_file(&overlay.path);
        }
    }
    result
}

/// Never a file that exists: it might be another VM's.
fn create_new(path: &Path) -> Result<OwnedFd, SpawnError> {
    let file = File::options().read(true).write(true).create_new(true).open(path);
    Ok(file.map_err(host(format!("make {}", path.display())))?.into())
}

/// What a VM that goes on elsewhere is made of: with overlays and sockets of its own, in its own directory.
///
/// # Errors
/// When a network has no backend of its own, or one that is named isn't there.
pub fn configure(
    frozen: &VmConfig,
    run_directory: &Path,
    vsock_path: Option<&Path>,
    networks: &[ChildNetwork],
    console: &Console,
) -> Result<VmConfig, SpawnError> {
    let mut config = frozen.clone();
    config.console = console.clone();
    for disk in config.disks.iter_mut().filter(|disk| !disk.read_only) {
        disk.overlay = Some(run_directory.join(format!("{}.overlay", disk.id)));
    }
    if let Some(vsock) = &mut config.vsock {
        vsock.socket = vsock_path.map_or_else(|| run_directory.join("vsock.sock"), Path::to_owned);
    }
    for network in &mut config.networks {
        let Some(own) = networks.iter().find(|own| own.id == network.id) else {
            let message = format!("network `{}` needs a backend of its own", network.id);
            return Err(SpawnError::Options(message));
        };
        network.backend = own.backend.clone();
        network.mac = own.mac.unwrap_or(network.mac);
    }
    if let Some(unknown) = networks.iter().find(|own| config.networks.iter().all(|one| one.id != own.id)) {
        return Err(SpawnError::Options(format!("the VM has no network `{}`", unknown.id)));
    }
    Ok(config)
}

fn start(
    child: &ChildOptions,
    config: VmConfig,
    mut image: Image,
    descriptors: &[OwnedFd],
) -> Result<Starting, SpawnError> {
    let directory = &child.run_directory;
    fs::create_dir_all(directory).map_err(host(format!("make {}", directory.display())))?;
    let mut tops = Vec::new();
    for disk in &mut image.disks {
        let own = config.disks.iter().find(|own| own.id == disk.disk && !own.read_only);
        if let Some(overlay) = own.and_then(|own| own.overlay.as_ref()) {
            let place = u32::try_from(descriptors.len() + tops.len()).unwrap_or(u32::MAX);
            disk.top = Some(Handle(place));
            tops.push(create_new(overlay)?);
        }
    }
    image.config = config;
    let all: Vec<BorrowedFd<'_>> = descriptors.iter().chain(&tops).map(|fd| fd.as_fd()).collect();
    let mut launch = child.launch.clone();
    launch.arguments.extend(["--directory".into(), directory.clone().into_os_string()]);
    launch.restore(&image, &all)
}
