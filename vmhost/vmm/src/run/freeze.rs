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
    SnapshotKind, State, VmConfig,
};

use super::devices::DiskRecord;
use super::operator::micros;
use super::requests::Desk;
use crate::control::Answer;
use crate::memory::{DirtyPages, MemoryImage, memfd};
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
        // In this order: what fails must leave behind no page that was taken note of and forgotten.
        let mut dirty = DirtyPages::none(self.machine.ram().bytes());
        if self.operator.logging {
            let log = self.machine.take_dirty_log().map_err(|error| failed(&error))?;
            log.iter().for_each(|(region, pages)| dirty.merge(*region, pages));
        } else {
            // Before memory is frozen, so that no page can be written unseen afterwards.
            self.machine.start_dirty_log().map_err(|error| failed(&error))?;
            self.operator.logging = true;
        }
        dirty.union(&self.machine.ram().take_device_dirty());
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
        let chain = |disk: &DiskRecord| {
            let layers = disk.frozen.iter().map(layer).collect::<Result<_, ControlError>>()?;
            Ok(DiskChain { id: disk.id.clone(), layers })
        };
        self.operator.disks.iter().map(chain).collect()
    }

    /// Gives out everything that children go on from, as descriptors; the guest runs on.
    pub(super) fn clone_vm(&mut self, overlays: &[NewOverlay], tops: Vec<OwnedFd>, answer: Answer) {
        let prepared = self.freeze(overlays, tops, true).and_then(|moment| {
            let id = super::random().map_err(|error| ControlError::host("an id", &error))?;
            let disks = self.disk_files().map_err(|error| ControlError::host("a disk's layer", &error))?;
            Ok((moment, id.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), disks))
        });
        let (moment, id, disks) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return answer.send(Err(error)),
        };
        let (config, log) = (self.operator.config.clone(), self.operator.log.clone());
        // To seal memory takes time for each page that is mapped; devices needn't wait for it.
        self.operator.worker.take(move || {
            let mut files = Vec::new();
            let paused_us = moment.paused_us;
            match hand_out(id, config, &moment, disks, &mut files) {
                Ok(image) => {
                    log.record(EventKind::Cloned { id: image.id.clone() });
                    answer.send_with(Ok(Response::Cloned(Box::new(Cloned { image, paused_us }))), files);
                }
                Err(error) => answer.send(Err(ControlError::host("the frozen VM can't be handed out", &error))),
            }
        });
    }

    /// Handles on each disk's frozen files, with their paths.
    fn disk_files(&self) -> io::Result<Vec<FrozenDisk>> {
        let own = |(file, path): &(File, PathBuf)| Ok((file.try_clone()?, path.clone()));
        let disk =
            |disk: &DiskRecord| Ok((disk.id.clone(), disk.frozen.iter().map(own).collect::<io::Result<Vec<_>>>()?));
        self.operator.disks.iter().map(disk).collect()
    }
}

/// A disk's id, and its frozen files with their paths.
type FrozenDisk = (String, Vec<(File, PathBuf)>);

fn hand_out(
    id: String,
    config: VmConfig,
    moment: &Moment,
    disks: Vec<FrozenDisk>,
    files: &mut Vec<OwnedFd>,
) -> io::Result<FrozenVm> {
    let mut add = |file: OwnedFd| {
        files.push(file);
        Handle(u32::try_from(files.len() - 1).unwrap_or(u32::MAX))
    };
    moment.memory.seal()?;
    let (index, layers) = moment.memory.parts()?;
    let state = add(sealed("machine-state", &moment.machine)?);
    let memory_index = add(sealed("memory-index", &index)?);
    let layers = layers.iter().map(std::os::fd::BorrowedFd::try_clone_to_owned).collect::<io::Result<Vec<_>>>()?;
    let memory_layers = layers.into_iter().map(&mut add).collect();
    let mut frozen = Vec::new();
    for (disk, own) in disks {
        let (own, paths): (Vec<_>, Vec<_>) = own.into_iter().unzip();
        let layers = own.into_iter().map(|file| add(file.into())).collect();
        frozen.push(DiskLayers { disk, layers, paths, top: None });
    }
    Ok(FrozenVm { id, config, state, memory_index, memory_layers, disks: frozen })
}

/// Bytes that nobody can change any more, as a file.
fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = memfd::create(name, bytes.len() as u64, false)?;
    file.write_all(bytes)?;
    memfd::freeze(&file)?;
    Ok(file.into())
}
