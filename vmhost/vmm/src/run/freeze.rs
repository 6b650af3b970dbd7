//! Freezes a VM: memory, machine and disks at one moment, for snapshots and clones.
//!
//! The guest stands still for as long as it takes to read registers, remap
//! memory and sync disks; copying memory to files comes later, by the worker.

use std::fs::File;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Instant, SystemTime};

use vmm_control::{
    Cloned, Code, ControlError, DiskLayers, EventKind, Handle, Image as FrozenVm, NewOverlay, Response, SnapshotDone,
    SnapshotKind, State,
};

use super::operator::micros;
use super::requests::Desk;
use crate::control::Answer;
use crate::memory::{MemoryImage, memfd};
use crate::snapshot::{self, Content, DiskChain, DiskLayer, SnapshotRecord};
use crate::state::encode;
use crate::virtio::Device as _;
use crate::virtio::block::Block;
use crate::virtio::block::Image;

/// A VM at one moment.
struct Moment {
    machine: Vec<u8>,
    memory: MemoryImage,
    paused_us: u64,
}

impl Desk<'_> {
    /// Takes the moment; the guest runs on if it ran and `resume` says so.
    fn freeze(&mut self, overlays: &[NewOverlay], tops: Vec<OwnedFd>, resume: bool) -> Result<Moment, ControlError> {
        let tops = self.match_overlays(overlays, tops)?;
        let ran = self.operator.state == State::Running;
        let start = Instant::now();
        self.operator.still(self.machine);
        let frozen = self.freeze_still(tops);
        let paused_us = micros(start.elapsed());
        self.operator.pauses.record_since(start);
        if ran && (resume || frozen.is_err()) {
            self.operator.go_on(self.machine);
        } else if ran {
            self.operator.state = State::Paused;
            self.tell(EventKind::Paused);
        }
        let (machine, memory) = frozen?;
        Ok(Moment { machine, memory, paused_us })
    }

    fn freeze_still(&mut self, tops: Vec<(usize, File, PathBuf)>) -> Result<(Vec<u8>, MemoryImage), ControlError> {
        let state = self.machine.save().map_err(|error| ControlError::host("the machine's state", &error))?;
        let memory = self.freeze_memory()?;
        for (disk, file, path) in tops {
            self.freeze_disk(disk, file, path)?;
        }
        Ok((encode(&state), memory))
    }

    fn freeze_memory(&mut self) -> Result<MemoryImage, ControlError> {
        let failed = |error: &dyn std::error::Error| ControlError::host("memory can't be frozen", error);
        let mut dirty = self.machine.ram().take_device_dirty();
        if self.operator.logging {
            let log = self.machine.take_dirty_log().map_err(|error| failed(&error))?;
            log.iter().for_each(|(region, pages)| dirty.merge(*region, pages));
        } else {
            // Before memory is frozen, so that no page can be written unseen afterwards.
            self.machine.start_dirty_log().map_err(|error| failed(&error))?;
            self.operator.logging = true;
        }
        if let Some(unsaved) = self.operator.unsaved.take() {
            dirty.union(&unsaved);
        }
        self.machine.ram_mut().freeze(&dirty).map_err(|error| {
            self.operator.unsaved = Some(dirty);
            failed(&error)
        })
    }

    fn freeze_disk(&mut self, disk: usize, file: File, path: PathBuf) -> Result<(), ControlError> {
        let Some(record) = self.operator.disks.get(disk) else { return Ok(()) };
        let id = record.id.clone();
        let failed = |error: &dyn std::error::Error| ControlError::host(&format!("disk `{id}` can't be frozen"), error);
        let handle = file.try_clone().map_err(|error| failed(&error))?;
        self.with(&format!("block:{id}"), |block: &mut Block, io| {
            let mut sectors = [0; 8];
            block.read_config(0, &mut sectors);
            Image::create_overlay(&file, u64::from_le_bytes(sectors) * 512)?;
            block.freeze(io, file)
        })?
        .map_err(|error| failed(&error))?;
        if let Some(record) = self.operator.disks.get_mut(disk) {
            record.frozen.extend(record.written.replace((handle, path)));
        }
        Ok(())
    }

    /// Each writable disk with the file that takes its writes from now on.
    fn match_overlays(
        &self,
        overlays: &[NewOverlay],
        tops: Vec<OwnedFd>,
    ) -> Result<Vec<(usize, File, PathBuf)>, ControlError> {
        let mut matched = Vec::new();
        for (overlay, top) in overlays.iter().zip(tops) {
            let known = self.operator.disks.iter().position(|disk| disk.id == overlay.disk && disk.written.is_some());
            let disk = known.ok_or_else(|| {
                let message = format!("this VM has no writable disk `{}`", overlay.disk);
                ControlError::new(Code::NotFound, message)
            })?;
            matched.push((disk, File::from(top), overlay.path.clone()));
        }
        for (index, disk) in self.operator.disks.iter().enumerate() {
            let count = matched.iter().filter(|(of, _, _)| *of == index).count();
            if disk.written.is_some() && count != 1 {
                let message = format!("disk `{}` needs one new overlay, {count} came", disk.id);
                return Err(
                    ControlError::new(Code::Descriptors, message).remedy("send an empty file for each writable disk")
                );
            }
        }
        Ok(matched)
    }

    /// Writes a snapshot into a directory.
    pub(super) fn snapshot(
        &mut self,
        kind: &SnapshotKind,
        resume: bool,
        overlays: &[NewOverlay],
        mut descriptors: Vec<OwnedFd>,
        answer: Answer,
    ) {
        let start = Instant::now();
        let directory = descriptors.remove(0);
        let prepared = self.parent_record(kind).and_then(|parent| {
            let moment = self.freeze(overlays, descriptors, resume)?;
            Ok((parent, moment, self.chains()?))
        });
        let (parent, moment, disks) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return answer.send(Err(error)),
        };
        let (config, cpu) = (self.operator.config.clone(), format!("{:?}", self.machine.cpu()));
        let (log, records) = (self.operator.log.clone(), Arc::clone(&self.operator.records));
        let job = move || {
            let content = Content {
                config: &config,
                machine: &moment.machine,
                image: &moment.memory,
                disks: &disks,
                cpu: &cpu,
                taken_at: SystemTime::now(),
            };
            let mut memory_bytes = 0;
            let mut progress = |progress: snapshot::Progress| {
                memory_bytes = progress.total_bytes;
                ControlFlow::Continue(())
            };
            let written = snapshot::write(directory.as_fd(), &content, parent.as_ref(), &mut progress);
            answer.send(match written {
                Ok(record) => {
                    let id = record.id().to_string();
                    records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
                    log.record(EventKind::SnapshotDone { id: id.clone(), memory_bytes });
                    let (paused_us, total_us) = (moment.paused_us, micros(start.elapsed()));
                    Ok(Response::Snapshot(SnapshotDone { id, memory_bytes, paused_us, total_us }))
                }
                Err(error) => Err(ControlError::host("the snapshot can't be written", &error)),
            });
        };
        // If the thread has gone, the answer goes with the job, and says so.
        self.operator.worker.take(job);
    }

    fn parent_record(&self, kind: &SnapshotKind) -> Result<Option<SnapshotRecord>, ControlError> {
        let SnapshotKind::Dirty { parent } = kind else { return Ok(None) };
        let known = self.operator.records().iter().rev().find(|record| record.id().to_string() == *parent).cloned();
        known.map(Some).ok_or_else(|| {
            let error = ControlError::new(Code::NotFound, format!("this VM has no snapshot `{parent}`"));
            error
                .remedy("name one that was taken of this very process or that it was restored from, or take a full one")
        })
    }

    /// What a snapshot records of disks: files that aren't written any more.
    fn chains(&self) -> Result<Vec<DiskChain>, ControlError> {
        let layer = |(file, path): &(File, PathBuf)| {
            let bytes = file.metadata().map_err(|error| ControlError::host("a disk's layer", &error))?.len();
            Ok(DiskLayer { path: path.to_string_lossy().into_owned(), bytes })
        };
        let chain = |disk: &super::devices::DiskRecord| {
            let layers = disk.frozen.iter().map(layer).collect::<Result<_, ControlError>>()?;
            Ok(DiskChain { id: disk.id.clone(), layers })
        };
        self.operator.disks.iter().map(chain).collect()
    }

    /// Everything that children go on from, as descriptors; the guest runs on.
    pub(super) fn clone_vm(
        &mut self,
        overlays: &[NewOverlay],
        tops: Vec<OwnedFd>,
    ) -> Result<(Cloned, Vec<OwnedFd>), ControlError> {
        let Moment { machine, memory, paused_us } = self.freeze(overlays, tops, true)?;
        let mut files = Vec::new();
        let image = self.frozen_vm(&machine, &memory, &mut files);
        let image = image.map_err(|error| ControlError::host("the frozen VM can't be handed out", &error))?;
        self.tell(EventKind::Cloned { id: image.id.clone() });
        Ok((Cloned { image, paused_us }, files))
    }

    fn frozen_vm(&self, machine: &[u8], memory: &MemoryImage, files: &mut Vec<OwnedFd>) -> io::Result<FrozenVm> {
        let mut hand_out = |file: OwnedFd| {
            files.push(file);
            Handle(u32::try_from(files.len() - 1).unwrap_or(u32::MAX))
        };
        memory.seal()?;
        let (index, layers) = memory.parts()?;
        let state = hand_out(sealed("machine-state", machine)?);
        let memory_index = hand_out(sealed("memory-index", &index)?);
        let layers = layers.iter().map(|layer| layer.try_clone_to_owned()).collect::<io::Result<Vec<_>>>()?;
        let memory_layers = layers.into_iter().map(&mut hand_out).collect();
        let mut disks = Vec::new();
        for disk in &self.operator.disks {
            let own = disk.frozen.iter().map(|(file, _)| file.try_clone()).collect::<io::Result<Vec<_>>>()?;
            let layers = own.into_iter().map(|file| hand_out(file.into())).collect();
            disks.push(DiskLayers { disk: disk.id.clone(), layers, top: None });
        }
        let id = super::random().map_err(|error| io::Error::other(error.to_string()))?;
        Ok(FrozenVm {
            id: id.iter().map(|byte| format!("{byte:02x}")).collect(),
            config: self.operator.config.clone(),
            state,
            memory_index,
            memory_layers,
            disks,
        })
    }
}

/// Bytes that nobody can change any more, as a file.
fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = memfd::create(name, bytes.len() as u64, false)?;
    file.write_all(bytes)?;
    memfd::freeze(&file)?;
    Ok(file.into())
}
