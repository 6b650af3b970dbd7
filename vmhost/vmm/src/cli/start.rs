//! `vmm run` and `vmm restore`: this process becomes a VM.
//!
//! In:  options, with nothing opened yet but what was inherited.
//! Out: the exit code, once the VM has ended; words on standard error if it never began.

use std::fs::{self, File};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use vmm_control::{Code, ControlError, ExitReason, Handle, Image as FrozenVm, Readiness, VmConfig};

use super::run::{RunOptions, Source};
use crate::jail::{Identity, Jail};
use crate::memory::MemoryImage;
use crate::run::{self, DiskFiles, Frozen};
use crate::snapshot::{DiskLayer, Snapshot};
use crate::virtio::block::Image;

/// Becomes the VM.
pub fn start(options: RunOptions) -> anyhow::Result<ExitCode> {
    let RunOptions { source, run_directory, control, mut ready, paused, jail, limits, log } = options;
    let prepared = prepare(source, &run_directory).and_then(|(config, frozen)| {
        let log = log.map(|path| open_log(&path)).transpose()?;
        let jail = jail.then(|| Jail { run_directory, identity: Identity::Unique, limits });
        Ok(run::RunOptions { config, frozen, control, jail, log, ready: ready.take(), start: !paused })
    });
    match prepared.map(run::run) {
        Ok(Ok(ExitReason::Failed(reason))) => bail!("the VM has failed: {reason}"),
        Ok(Ok(_)) => Ok(ExitCode::SUCCESS),
        Ok(Err(error)) => Err(error.into()),
        Err(error) => {
            if let Some(ready) = ready {
                ready.tell(&Readiness::Failed(ControlError::new(Code::Host, format!("{error:#}"))));
            }
            Err(error)
        }
    }
}

fn prepare(source: Source, run_directory: &Path) -> anyhow::Result<(VmConfig, Option<Frozen>)> {
    fs::create_dir_all(run_directory).with_context(|| format!("can't make {}", run_directory.display()))?;
    match source {
        Source::Boot(config) => Ok((config, None)),
        Source::Image(image, descriptors) => of_image(*image, descriptors),
        Source::Snapshot(directories) => of_snapshot(&directories, run_directory),
    }
}

fn open_log(path: &Path) -> anyhow::Result<File> {
    let open = File::options().append(true).create(true).open(path);
    open.with_context(|| format!("can't open the log {}", path.display()))
}

/// A VM that goes on from a parent's descriptors.
fn of_image(image: FrozenVm, descriptors: Vec<OwnedFd>) -> anyhow::Result<(VmConfig, Option<Frozen>)> {
    let descriptor = |handle: Handle| {
        let found = descriptors.get(handle.0 as usize).context("the image names a descriptor that it doesn't have")?;
        anyhow::Ok(found.try_clone()?)
    };
    let machine = read_whole(descriptor(image.state)?).context("the machine's state")?;
    let index = read_whole(descriptor(image.memory_index)?).context("the index of memory")?;
    let layers = image.memory_layers.iter().map(|layer| descriptor(*layer)).collect::<anyhow::Result<_>>()?;
    let memory = MemoryImage::from_parts(&index, layers).context("memory")?;
    let mut disks = Vec::new();
    for (disk, configured) in image.disks.iter().zip(&image.config.disks) {
        let path = |index: usize| if index == 0 { configured.path.clone() } else { PathBuf::new() };
        let layers = disk.layers.iter().enumerate();
        let layers = layers.map(|(index, layer)| Ok((File::from(descriptor(*layer)?), path(index))));
        let layers: Vec<_> = layers.collect::<anyhow::Result<_>>()?;
        let top = match disk.top {
            Some(top) => {
                let file = File::from(descriptor(top)?);
                prepare_overlay(&file, layers.iter().map(|(file, _)| file))?;
                Some((file, configured.overlay.clone().unwrap_or_default()))
            }
            None => None,
        };
        disks.push(DiskFiles { layers, top });
    }
    Ok((image.config, Some(Frozen { id: image.id, machine, memory, disks, record: None })))
}

/// A VM that goes on from files.
fn of_snapshot(directories: &[PathBuf], run_directory: &Path) -> anyhow::Result<(VmConfig, Option<Frozen>)> {
    let open = |path: &PathBuf| File::open(path).with_context(|| format!("can't open {}", path.display()));
    let opened = directories.iter().map(open).collect::<anyhow::Result<Vec<_>>>()?;
    let (first, others) = opened.split_first().context("no snapshot is named")?;
    let others: Vec<BorrowedFd<'_>> = others.iter().map(|file| file.as_fd()).collect();
    let name = directories.first().map(|path| path.display().to_string()).unwrap_or_default();
    let snapshot = Snapshot::open(first.as_fd(), &others).with_context(|| format!("snapshot {name}"))?;
    let (record, id) = (snapshot.record(), snapshot.meta.id.to_string());
    let Snapshot { mut config, machine, image, disks: chains, .. } = snapshot;
    let mut disks = Vec::new();
    for disk in &mut config.disks {
        let chain = chains.iter().find(|chain| chain.id == disk.id);
        let chain = chain.with_context(|| format!("the snapshot has no files of disk `{}`", disk.id))?;
        let layers = chain.layers.iter().map(open_layer).collect::<anyhow::Result<Vec<_>>>()?;
        let top = if disk.read_only {
            None
        } else {
            let path = run_directory.join(format!("{}.overlay", disk.id));
            let made = File::options().read(true).write(true).create_new(true).open(&path);
            let file = made.with_context(|| {
                format!("can't make {}: if a VM ran here before and its disk isn't needed, remove it", path.display())
            })?;
            prepare_overlay(&file, layers.iter().map(|(file, _)| file))?;
            disk.overlay = Some(path.clone());
            Some((file, path))
        };
        disks.push(DiskFiles { layers, top });
    }
    if let Some(vsock) = &mut config.vsock {
        vsock.socket = run_directory.join("vsock.sock");
    }
    Ok((config, Some(Frozen { id, machine, memory: image, disks, record: Some(record) })))
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

/// Makes an empty file an overlay as large as the disk below it.
fn prepare_overlay<'a>(top: &File, layers: impl Iterator<Item = &'a File>) -> anyhow::Result<()> {
    let own = layers.map(File::try_clone).collect::<std::io::Result<Vec<_>>>()?;
    let mut own = own.into_iter();
    let base = own.next().context("a disk has no image")?;
    let size = Image::open(base, own.collect(), None)?.size();
    Ok(Image::create_overlay(top, size)?)
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
