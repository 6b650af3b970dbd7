//! `vmm run` and `vmm restore`: this process becomes a VM.
//!
//! In:  options, with nothing opened yet but what was inherited.
//! Out: the exit code, once the VM has ended; words on standard error if it never began.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use vmm_control::spawn::configure;
use vmm_control::{Code, ControlError, Disk, ExitReason, Handle, Image as FrozenVm, Readiness, VmConfig};

use super::run::{FromSnapshot, RunOptions, Source};
use super::verbs::open_snapshot;
use crate::jail::{Identity, Jail};
use crate::memory::MemoryImage;
use crate::run::{self, DiskFiles, Frozen};
use crate::snapshot::{DiskChain, DiskLayer, Snapshot};

/// Becomes the VM.
pub fn start(options: RunOptions) -> anyhow::Result<ExitCode> {
    let RunOptions { source, run_directory, control, mut ready, paused, jail, limits, log } = options;
    let prepared = prepare(source, &run_directory).and_then(|(config, frozen)| {
        let log = log.map(|path| open_log(&path)).transpose()?;
        let jail = jail.then_some(Jail { run_directory, identity: Identity::Unique, limits });
        Ok(run::RunOptions { config, frozen, control, jail, log, ready: ready.take(), start: !paused })
    });
    match prepared.map(run::run) {
        Ok(Ok(ExitReason::Failed(reason))) => bail!("the VM has failed: {reason}"),
        Ok(Ok(_)) => Ok(ExitCode::SUCCESS),
        Ok(Err(error)) => Err(error.into()),
        Err(error) => {
            if let Some(ready) = ready {
                ready.tell(&Readiness::Failed(ControlError::new(Code::Host, super::words(&error))));
            }
            Err(error)
        }
    }
}

fn prepare(source: Source, run_directory: &Path) -> anyhow::Result<(VmConfig, Option<Frozen>)> {
    // Its sockets are the owner's alone.
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(run_directory);
    made.with_context(|| format!("can't make {}", run_directory.display()))?;
    match source {
        Source::Boot(config) => Ok((config, None)),
        Source::Image(image, descriptors) => of_image(*image, &descriptors),
        Source::Snapshot(from) => of_snapshot(&from, run_directory),
    }
}

fn open_log(path: &Path) -> anyhow::Result<File> {
    let open = File::options().append(true).create(true).open(path);
    open.with_context(|| format!("can't open the log {}", path.display()))
}

/// A VM that goes on from a parent's descriptors.
fn of_image(image: FrozenVm, descriptors: &[OwnedFd]) -> anyhow::Result<(VmConfig, Option<Frozen>)> {
    let descriptor = |handle: Handle| {
        let found = descriptors.get(handle.0 as usize).context("the image names a descriptor that it doesn't have")?;
        anyhow::Ok(found.try_clone()?)
    };
    let machine = read_whole(descriptor(image.state)?).context("the machine's state")?;
    let index = read_whole(descriptor(image.memory_index)?).context("the index of memory")?;
    let layers = image.memory_layers.iter().map(|layer| descriptor(*layer)).collect::<anyhow::Result<_>>()?;
    let memory = MemoryImage::from_parts(&index, layers).context("memory")?;
    let mut disks = Vec::new();
    for configured in &image.config.disks {
        let disk = image.disks.iter().find(|disk| disk.disk == configured.id);
        let disk = disk.with_context(|| format!("the image has no files of disk `{}`", configured.id))?;
        if disk.layers.len() != disk.paths.len() {
            bail!("the image has {} files and {} paths of disk `{}`", disk.layers.len(), disk.paths.len(), disk.disk);
        }
        let layers = disk.layers.iter().zip(&disk.paths);
        let layers = layers.map(|(layer, path)| Ok((File::from(descriptor(*layer)?), path.clone())));
        let layers: Vec<_> = layers.collect::<anyhow::Result<_>>()?;
        let top = match disk.top {
            Some(top) => {
                let file = File::from(descriptor(top)?);
                run::make_overlay(&file, layers.iter().map(|(file, _)| file))?;
                Some((file, configured.overlay.clone().unwrap_or_default()))
            }
            None => None,
        };
        disks.push(DiskFiles { layers, top });
    }
    Ok((image.config, Some(Frozen { id: image.id, machine, memory, disks, record: None })))
}

/// A VM that goes on from files, in a directory of its own.
fn of_snapshot(from: &FromSnapshot, run_directory: &Path) -> anyhow::Result<(VmConfig, Option<Frozen>)> {
    let snapshot = open_snapshot(&from.directories)?;
    let (record, id) = (snapshot.record(), snapshot.meta.id.to_string());
    let Snapshot { config, machine, image, disks: chains, .. } = snapshot;
    let config = configure(&config, run_directory, None, &from.networks, &from.console)?;
    config.check()?;
    let disks = config.disks.iter().map(|disk| disk_of_snapshot(disk, &chains)).collect::<anyhow::Result<_>>()?;
    Ok((config, Some(Frozen { id, machine, memory: image, disks, record: Some(record) })))
}

fn disk_of_snapshot(disk: &Disk, chains: &[DiskChain]) -> anyhow::Result<DiskFiles> {
    let chain = chains.iter().find(|chain| chain.id == disk.id);
    let chain = chain.with_context(|| format!("the snapshot has no files of disk `{}`", disk.id))?;
    let layers = chain.layers.iter().map(open_layer).collect::<anyhow::Result<Vec<_>>>()?;
    let own = disk.overlay.as_ref().filter(|_| !disk.read_only);
    let top = own.map(|path| {
        let made = File::options().read(true).write(true).create_new(true).open(path);
        let file = made.with_context(|| {
            format!("can't make {}: if a VM ran here before and its disk isn't needed, remove it", path.display())
        })?;
        run::make_overlay(&file, layers.iter().map(|(file, _)| file))?;
        anyhow::Ok((file, path.clone()))
    });
    Ok(DiskFiles { top: top.transpose()?, layers })
}

fn open_layer(layer: &DiskLayer) -> anyhow::Result<(File, PathBuf)> {
    let path = PathBuf::from(&layer.path);
    let file = File::open(&path).with_context(|| format!("the snapshot's disk {}", path.display()))?;
    let length = file.metadata()?.len();
    if length != layer.bytes {
        bail!("{}: has {length} bytes, not {}: it isn't the file that the snapshot needs", path.display(), layer.bytes);
    }
    Ok((file, path))
}

/// All of a file from its start, whatever the position that others share.
fn read_whole(fd: OwnedFd) -> anyhow::Result<Vec<u8>> {
    /// No machine's state comes near; a parent that is taken over could claim any length.
    const MOST: u64 = 64 << 20;
    let file = File::from(fd);
    let length = file.metadata()?.len();
    if length > MOST {
        bail!("{length} bytes are more than any VM has");
    }
    let mut bytes = vec![0; usize::try_from(length)?];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0)?;
    Ok(bytes)
}
