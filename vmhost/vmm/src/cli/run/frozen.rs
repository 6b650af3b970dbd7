//! A frozen VM, from a snapshot's directory or from descriptors of a parent.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use vmm_control::spawn::configure;
use vmm_control::{Disk, DiskLayers, Handle, Image, VmConfig};

use super::FromSnapshot;
use crate::cli::verbs::open_snapshot;
use crate::memory::MemoryImage;
use crate::run::{DiskFiles, Frozen};
use crate::snapshot::DiskChain;
use crate::virtio::block::Image as DiskImage;

/// Most bytes of a document that a parent passes: machine state is some 100 KiB, an index 16 bytes a run.
const MAX_DOCUMENT: u64 = 256 << 20;

/// A VM that goes on from a snapshot, in a directory of its own.
pub fn of_snapshot(from: &FromSnapshot, directory: &Path) -> anyhow::Result<(VmConfig, Option<Frozen>)> {
    let snapshot = open_snapshot(&from.directories)?;
    let config = configure(&snapshot.config, directory, None, &from.networks, &from.console)?;
    config.check()?;
    let record = Some(snapshot.record());
    let disks =
        config.disks.iter().map(|disk| disk_of_snapshot(disk, &snapshot.disks)).collect::<anyhow::Result<_>>()?;
    let frozen =
        Frozen { id: snapshot.meta.id.to_string(), machine: snapshot.machine, memory: snapshot.image, disks, record };
    Ok((config, Some(frozen)))
}

fn disk_of_snapshot(disk: &Disk, chains: &[DiskChain]) -> anyhow::Result<DiskFiles> {
    let chain = chains.iter().find(|chain| chain.id == disk.id);
    let chain = chain.with_context(|| format!("the snapshot has no disk `{}`", disk.id))?;
    let mut layers = Vec::new();
    for layer in &chain.layers {
        let file = File::open(&layer.path).with_context(|| format!("disk `{}`: can't open {}", disk.id, layer.path))?;
        let bytes = file.metadata()?.len();
        if bytes != layer.bytes {
            bail!("disk `{}`: {} has {bytes} bytes, not {}: it was changed since", disk.id, layer.path, layer.bytes);
        }
        layers.push((file, PathBuf::from(&layer.path)));
    }
    let top = match &disk.overlay {
        Some(path) if !disk.read_only => {
            let file = File::options().read(true).write(true).create_new(true).open(path);
            Some((file.with_context(|| format!("can't make {}", path.display()))?, path.clone()))
        }
        _ => None,
    };
    finish(disk, layers, top)
}

/// A VM that goes on from descriptors.
pub fn of_image(image: Image, descriptors: Vec<OwnedFd>) -> anyhow::Result<(VmConfig, Option<Frozen>)> {
    let files: Vec<File> = descriptors.into_iter().map(File::from).collect();
    let file = |handle: Handle| files.get(handle.0 as usize).context("the image has fewer descriptors than it names");
    let own = |handle: Handle| Ok(file(handle)?.try_clone()?);
    let layers = image.memory_layers.iter().map(|layer| Ok(own(*layer)?.into())).collect::<anyhow::Result<_>>()?;
    let memory = MemoryImage::from_parts(&document(file(image.memory_index)?)?, layers)?;
    let machine = document(file(image.state)?)?;
    let disk_files = |disk: &Disk| {
        let frozen = image.disks.iter().find(|frozen| frozen.disk == disk.id);
        let frozen = frozen.with_context(|| format!("the image has no disk `{}`", disk.id))?;
        disk_of_image(disk, frozen, &own)
    };
    let disks = image.config.disks.iter().map(disk_files).collect::<anyhow::Result<_>>()?;
    Ok((image.config, Some(Frozen { id: image.id, machine, memory, disks, record: None })))
}

fn disk_of_image(
    disk: &Disk,
    frozen: &DiskLayers,
    own: &dyn Fn(Handle) -> anyhow::Result<File>,
) -> anyhow::Result<DiskFiles> {
    if frozen.layers.len() != frozen.paths.len() {
        bail!("the image names {} paths for {} layers of `{}`", frozen.paths.len(), frozen.layers.len(), disk.id);
    }
    let layers = frozen.layers.iter().zip(&frozen.paths).map(|(layer, path)| Ok((own(*layer)?, path.clone())));
    let layers = layers.collect::<anyhow::Result<_>>()?;
    let path = disk.overlay.clone().unwrap_or_default();
    let top = frozen.top.map(|top| anyhow::Ok((own(top)?, path))).transpose()?;
    finish(disk, layers, top)
}

/// Makes the fresh file an overlay of the disk's size.
fn finish(disk: &Disk, layers: Vec<(File, PathBuf)>, top: Option<(File, PathBuf)>) -> anyhow::Result<DiskFiles> {
    if let Some((top, path)) = &top {
        let mut copies = layers.iter().map(|(file, _)| file.try_clone()).collect::<Result<Vec<_>, _>>()?.into_iter();
        let base = copies.next().with_context(|| format!("disk `{}` has no image", disk.id))?;
        let size = DiskImage::open(base, copies.collect(), None).with_context(|| format!("disk `{}`", disk.id))?.size();
        DiskImage::create_overlay(top, size).with_context(|| format!("can't make {}", path.display()))?;
    }
    Ok(DiskFiles { layers, top })
}

fn document(file: &File) -> anyhow::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    if length > MAX_DOCUMENT {
        bail!("a part of the image has {length} bytes, more than any has");
    }
    let mut bytes = vec![0; usize::try_from(length)?];
    // The offset is shared with the parent and all siblings.
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
