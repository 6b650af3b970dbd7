//! Writes a snapshot into a directory, so that at each moment it holds the old one or the new one.
//!
//! Memory files are written under another name, synced and renamed; they're called
//! by their layer's id, so none replaces another. Then the directory is synced,
//! and `state`, which names them, is replaced by one rename: that is the moment.
//! What the old state alone needed is removed last.

use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use vmm_control::VmConfig;

use super::directory::Directory;
use super::state_file::{FileRecord, MemorySection, StateFile};
use super::{DiskChain, Held, Meta, OpenError, STATE, SnapshotId, SnapshotRecord, digest, memory_file, read_state};
use crate::memory::{Layer, MemoryImage, PAGE_BYTES};

/// What a snapshot is made of. All of it was taken at one moment; by the time it's written the VM runs again.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// What the VM was configured as.
    pub config: &'a VmConfig,
    /// vCPUs, interrupts and devices, as the machine encodes them.
    pub machine: &'a [u8],
    /// Memory.
    pub image: &'a MemoryImage,
    /// Frozen layers of each disk.
    pub disks: &'a [DiskChain],
    /// The CPU model that the guest saw.
    pub cpu: &'a str,
    /// When it was taken.
    pub taken_at: SystemTime,
}

/// How far the work is; asked before each step that changes something, and for each MiB of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is about to be done.
    pub step: Step,
    /// Bytes of memory files done, holes included.
    pub done_bytes: u64,
    /// Bytes of memory files to be written, holes included.
    pub total_bytes: u64,
}

/// A step of the work, in order; those of memory are repeated for each layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Remove what an interrupted writer left.
    Clean,
    /// Prove that memory files can't change any more.
    Seal,
    /// Create a memory file.
    Create,
    /// Write the next MiB of it.
    Copy,
    /// Make it durable.
    Sync,
    /// Give it its name.
    Name,
    /// Make names durable.
    SyncNames,
    /// Write the new state beside the old one.
    WriteState,
    /// Make it durable.
    SyncState,
    /// Replace the old state.
    Commit,
    /// Make that durable.
    SyncCommit,
    /// Remove the memory files that only the old snapshot needed.
    RemoveOld,
}

/// A snapshot wasn't written; the directory has what it had before.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Another process is at it.
    #[error("another snapshot is being written into this directory: wait for it, or use another directory")]
    Busy,
    /// The caller said so.
    #[error("the snapshot was cancelled")]
    Cancelled,
    /// The image doesn't descend from the parent.
    #[error("memory doesn't descend from snapshot {parent}: take a full snapshot")]
    NotDescendant {
        /// The parent.
        parent: SnapshotId,
    },
    /// The configuration can't be recorded.
    #[error("the configuration has no JSON form: {0}")]
    Config(serde_json::Error),
    /// A file can't be written.
    #[error("{file}: cannot {doing}: {source}{}", remedy(.source))]
    File {
        /// Which, in the directory.
        file: String,
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ": make room there; the snapshot that was there is unharmed"
        }
        io::ErrorKind::PermissionDenied => ": the directory must be writable for the VM's user",
        _ => "",
    }
}

/// Writes a snapshot into `directory`, in place of one that may be there.
///
/// With a `parent`, memory files that it or its ancestors hold are referred to
/// and not written: only pages since then are. Those that the snapshot in
/// `directory` holds are kept, too, so a second snapshot of a VM into the same
/// directory writes little, and needs no parent.
///
/// Blocks for as long as the disk takes; meant for a thread of its own. `progress`
/// is told of each step first and may end the work until `Step::Commit`.
///
/// # Errors
/// When the disk is full, or otherwise fails; what had been written is removed.
pub fn write(
    directory: BorrowedFd<'_>,
    content: &Content<'_>,
    parent: Option<&SnapshotRecord>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SnapshotRecord, WriteError> {
    let directory = Directory::open(directory).map_err(failed(".", "open the directory"))?;
    match directory.lock() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(WriteError::Busy),
        result => result.map_err(failed(".", "lock the directory"))?,
    }
    let old = match read_state(&directory) {
        Ok(state) => Old::Known(Box::new(state)),
        Err(OpenError::Missing) => Old::None,
        Err(_) => Old::Unreadable,
    };
    let (named, committed) = (Vec::new(), false);
    let mut writer = Writer { directory, old, named, progress, done_bytes: 0, total_bytes: 0, committed };
    let result = writer.write(content, parent);
    if result.is_err() && !writer.committed {
        // The error that led here matters more than one of cleaning up; the next writer tries again.
        for name in &writer.named {
            let _ = writer.directory.remove(name);
        }
        let _ = writer.clean_leftovers();
    }
    result
}

/// The snapshot that is about to be replaced.
enum Old {
    None,
    Known(Box<StateFile>),
    /// Damaged, of a newer version, or another user's: nothing of it is touched before there's a new one.
    Unreadable,
}

struct Writer<'a> {
    directory: Directory,
    old: Old,
    /// Memory files that have got their names.
    named: Vec<String>,
    progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    done_bytes: u64,
    total_bytes: u64,
    committed: bool,
}

impl Writer<'_> {
    fn write(&mut self, content: &Content<'_>, parent: Option<&SnapshotRecord>) -> Result<SnapshotRecord, WriteError> {
        let id = SnapshotId::random().map_err(failed(STATE, "get a random id for"))?;
        self.step(Step::Clean)?;
        self.clean_leftovers().map_err(failed(".", "remove leftovers from the directory"))?;
        self.step(Step::Seal)?;
        content.image.seal().map_err(failed("memory", "seal"))?;

        let layers = content.image.layers();
        let places: Vec<_> = layers.iter().map(|layer| self.place(layer, parent)).collect();
        if let Some((parent, Place::New)) = parent.zip(places.first()) {
            return Err(WriteError::NotDescendant { parent: parent.id });
        }
        let new = layers.iter().zip(&places).filter(|(_, place)| matches!(place, Place::New));
        self.total_bytes = new.map(|(layer, _)| layer.pages() * PAGE_BYTES).sum();
        let mut files = Vec::with_capacity(layers.len());
        for (layer, place) in layers.iter().zip(places) {
            files.push(match place {
                Place::Known(record) => record,
                Place::New => self.write_layer(layer)?,
            });
        }
        self.step(Step::SyncNames)?;
        self.directory.sync().map_err(failed(".", "sync the directory"))?;

        let since_epoch = content.taken_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let state = StateFile {
            meta: Meta {
                id,
                parent: parent.map(|parent| parent.id),
                taken_at_s: since_epoch.as_secs(),
                cpu: content.cpu.to_owned(),
                memory_bytes: content.image.bytes(),
                program: concat!("vmm ", env!("CARGO_PKG_VERSION")).to_owned(),
            },
            config: content.config.clone(),
            machine: content.machine.to_vec(),
            memory: MemorySection { index: content.image.index(), files },
            disks: content.disks.to_vec(),
        };
        self.commit(&state)?;
        Ok(state.record())
    }

    fn write_layer(&mut self, layer: &Layer) -> Result<FileRecord, WriteError> {
        let name = memory_file(layer.id());
        let bytes = layer.pages() * PAGE_BYTES;
        self.step(Step::Create)?;
        let file = self.directory.create(&name).map_err(failed(&name, "create"))?;
        let (before, mut cancelled) = (self.done_bytes, false);
        let result = digest::copy(layer.file(), bytes, Some(&file), |done| {
            self.done_bytes = before + done;
            let answer = self.tell(Step::Copy);
            cancelled = answer.is_break();
            answer
        });
        if cancelled {
            return Err(WriteError::Cancelled);
        }
        let digest = result.map_err(failed(&name, "write"))?;
        self.done_bytes = before + bytes;
        self.step(Step::Sync)?;
        file.sync_all().map_err(failed(&name, "sync"))?;
        self.step(Step::Name)?;
        // One that the old snapshot has as well isn't ours to remove.
        let is_new = self.directory.read(&name).is_err();
        self.directory.finish(&name).map_err(failed(&name, "rename"))?;
        if is_new {
            self.named.push(name);
        }
        Ok(FileRecord { holder: None, bytes, digest })
    }

    fn commit(&mut self, state: &StateFile) -> Result<(), WriteError> {
        let bytes = state.encode().map_err(WriteError::Config)?;
        self.step(Step::WriteState)?;
        let mut file = self.directory.create(STATE).map_err(failed(STATE, "create"))?;
        file.write_all(&bytes).map_err(failed(STATE, "write"))?;
        self.step(Step::SyncState)?;
        file.sync_all().map_err(failed(STATE, "sync"))?;
        self.step(Step::Commit)?;
        self.directory.finish(STATE).map_err(failed(STATE, "rename"))?;
        // From here on the new snapshot is there: only complete errors, no way back.
        self.committed = true;
        let _ = self.tell(Step::SyncCommit);
        self.directory.sync().map_err(failed(".", "sync the directory"))?;
        let _ = self.tell(Step::RemoveOld);
        // What stays takes room, and the next writer removes it.
        let _ = self.directory.clean(Some(&names(state)));
        Ok(())
    }

    /// Where a layer's file is already, if it's anywhere.
    fn place(&self, layer: &Layer, parent: Option<&SnapshotRecord>) -> Place {
        let old = if let Old::Known(state) = &self.old { Some(state) } else { None };
        let here = old.and_then(|state| {
            let record = state.record().layers.into_iter().find(|held| held.id == layer.id())?.file;
            let length = self.directory.read(&memory_file(layer.id())).ok()?.metadata().ok()?.len();
            (record.holder.is_none() && record.bytes == length).then_some(record)
        });
        let parents = parent.and_then(|parent| {
            let record = parent.layers.iter().find(|held| held.id == layer.id())?.file;
            Some(FileRecord { holder: Some(record.holder.unwrap_or(parent.id)), ..record })
        });
        here.or(parents).map_or(Place::New, Place::Known)
    }

    /// Removes what no snapshot needs.
    fn clean_leftovers(&self) -> io::Result<()> {
        match &self.old {
            Old::None => self.directory.clean(Some(&[])),
            Old::Known(state) => self.directory.clean(Some(&names(state))),
            Old::Unreadable => self.directory.clean(None),
        }
    }

    fn step(&mut self, step: Step) -> Result<(), WriteError> {
        if self.tell(step).is_break() { Err(WriteError::Cancelled) } else { Ok(()) }
    }

    fn tell(&mut self, step: Step) -> ControlFlow<()> {
        (self.progress)(Progress { step, done_bytes: self.done_bytes, total_bytes: self.total_bytes })
    }
}

enum Place {
    Known(FileRecord),
    New,
}

impl StateFile {
    /// What a child of this snapshot can refer to.
    pub(super) fn record(&self) -> SnapshotRecord {
        let held = self.memory.index.layers.iter().zip(&self.memory.files);
        SnapshotRecord {
            id: self.meta.id,
            layers: held.map(|(layer, file)| Held { id: layer.id, file: *file }).collect(),
        }
    }
}

/// The memory files that a state has in its own directory.
fn names(state: &StateFile) -> Vec<String> {
    let here = state.memory.index.layers.iter().zip(&state.memory.files).filter(|(_, file)| file.holder.is_none());
    here.map(|(layer, _)| memory_file(layer.id)).collect()
}

fn failed(file: &str, doing: &'static str) -> impl FnOnce(io::Error) -> WriteError {
    move |source| WriteError::File { file: file.to_owned(), doing, source }
}
