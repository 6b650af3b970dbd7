//! Snapshots: a VM at one moment, as files in a directory.
//!
//! In:  what a paused machine gave out (frozen memory, encoded state, disk layers).
//! Out: a directory from which the VM can be restored, on this host or another.
//!
//! | file | what |
//! | --- | --- |
//! | `state` | everything but memory; its frame is described in `container`, its sections below |
//! | `memory-{id}` | a layer of memory: its pages one after another, with holes for zeros |
//!
//! | section | what (postcard unless said otherwise) |
//! | --- | --- |
//! | `META` | id, parent's id, time, CPU model, memory size, program |
//! | `CONF` | the `VmConfig`, as JSON |
//! | `MACH` | vCPUs, interrupts and devices: opaque here |
//! | `MEMO` | layers with their pages, and each one's file: in which snapshot's directory, length, digest |
//! | `DISK` | for each disk its layers, lowest first: path and length |
//!
//! A layer never changes and its id is random, so a file of the right name and
//! length is the right one; `verify` reads all and compares digests, which to
//! restore would take time for each byte of RAM.
//!
//! Versions: the frame's major version and each section's are exact. What can be
//! added without one: sections that aren't required. `docs/snapshot-format.md` has
//! the policy, and the format in more detail.
//!
//! This module opens nothing by path and trusts no byte of what it reads.

mod container;
mod digest;
mod directory;
mod state_file;
mod write;

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;

use serde::{Deserialize, Serialize};
use vmm_control::VmConfig;

pub use container::{ContainerError, Tag};
use directory::Directory;
pub use state_file::FormatError;
use state_file::{FileRecord, MemorySection, StateFile};
pub use write::{Content, Progress, Step, WriteError, write};

use crate::memory::{ImageError, LayerId, MemoryImage};

const STATE: &str = "state";
const MEMORY_PREFIX: &str = "memory-";
/// Most bytes that a state file has: machine state is some 100 KiB, and an index 16 bytes a run.
const MAX_STATE: u64 = 256 << 20;

/// What tells a snapshot from all others: random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SnapshotId(LayerId);

impl SnapshotId {
    fn random() -> io::Result<Self> {
        LayerId::random().map(Self)
    }
}

impl std::fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a snapshot is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Its name.
    pub id: SnapshotId,
    /// The one whose memory files it may refer to.
    pub parent: Option<SnapshotId>,
    /// When it was taken, in seconds since 1970.
    pub taken_at_s: u64,
    /// The CPU model that the guest saw.
    pub cpu: String,
    /// RAM's size.
    pub memory_bytes: u64,
    /// What wrote it.
    pub program: String,
}

/// A disk's frozen files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskChain {
    /// The disk's id in the configuration.
    pub id: String,
    /// Lowest first.
    pub layers: Vec<DiskLayer>,
}

/// One of a disk's frozen files. Its bytes are the caller's affair, as is its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskLayer {
    /// Where it was, for whoever opens it.
    pub path: String,
    /// Its length; one that differs is another file.
    pub bytes: u64,
}

/// What a later snapshot of the same VM needs to know of an earlier one, to refer to its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRecord {
    id: SnapshotId,
    layers: Vec<Held>,
}

impl SnapshotRecord {
    /// Which snapshot.
    pub fn id(&self) -> SnapshotId {
        self.id
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    id: LayerId,
    file: FileRecord,
}

/// A snapshot that can be restored.
#[derive(Debug)]
pub struct Snapshot {
    /// What it is.
    pub meta: Meta,
    /// What the VM was configured as.
    pub config: VmConfig,
    /// For the machine to decode.
    pub machine: Vec<u8>,
    /// Memory.
    pub image: MemoryImage,
    /// Frozen layers of each disk.
    pub disks: Vec<DiskChain>,
    memory: MemorySection,
}

/// A snapshot can't be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There's none in the directory.
    #[error("the directory has no snapshot: its file `state` is missing")]
    Missing,
    /// Its state can't be read.
    #[error("state: {0}")]
    Format(#[from] FormatError),
    /// A file can't be opened or read.
    #[error("{file}: {source}{}", hint(.source))]
    File {
        /// Which, in the snapshot's directory or its parent's.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A memory file is in another snapshot's directory, and none that was given has it.
    #[error("{file} belongs to snapshot {holder}: give that snapshot's directory as well")]
    Holder {
        /// Which.
        file: String,
        /// Whose.
        holder: SnapshotId,
    },
    /// Memory files don't fit.
    #[error("memory: {0}; restore the file from a backup, or use another snapshot")]
    Image(#[from] ImageError),
    /// A memory file has other content than was written.
    #[error("{file}: its content is not what was written: restore the file from a backup, or use another snapshot")]
    Digest {
        /// Which.
        file: String,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => {
            ": the snapshot is incomplete, restore the file from a backup or use another snapshot"
        }
        io::ErrorKind::PermissionDenied => ": it must be readable for the VM's user",
        _ => "",
    }
}

impl Snapshot {
    /// Reads the snapshot in `directory`. `others` are the directories of its
    /// ancestors, in any order, as far as it refers to their files.
    ///
    /// Checks lengths and ids of memory files, not their content: see `verify`.
    ///
    /// # Errors
    /// When it's incomplete, damaged, or of a version that this program can't read.
    pub fn open(directory: BorrowedFd<'_>, others: &[BorrowedFd<'_>]) -> Result<Self, OpenError> {
        let open = |directory| Directory::open(directory).map_err(at("."));
        let directory = open(directory)?;
        let others = others.iter().map(|directory| open(*directory)).collect::<Result<Vec<_>, _>>()?;
        let state = read_state(&directory)?;
        let mut files = Vec::new();
        for (layer, record) in state.memory.index.layers.iter().zip(&state.memory.files) {
            let name = memory_file(layer.id);
            files.push(match record.holder {
                None => directory.read(&name).map_err(at(&name))?,
                Some(holder) => find(&name, holder, &others)?,
            });
        }
        let image = MemoryImage::assemble(state.memory.index.clone(), files)?;
        let StateFile { meta, config, machine, memory, disks } = state;
        Ok(Self { meta, config, machine, image, disks, memory })
    }

    /// Reads every memory file and compares it with what was written.
    /// `progress` is told how many bytes are done, and may end the work.
    ///
    /// # Errors
    /// When one differs, or can't be read.
    pub fn verify(&self, mut progress: impl FnMut(u64) -> ControlFlow<()>) -> Result<(), OpenError> {
        let mut before = 0;
        for (layer, record) in self.image.layers().iter().zip(&self.memory.files) {
            let file = memory_file(layer.id());
            let digest =
                digest::copy(layer.file(), record.bytes, None, |done| progress(before + done)).map_err(at(&file))?;
            if digest != record.digest {
                return Err(OpenError::Digest { file });
            }
            before += record.bytes;
        }
        Ok(())
    }

    /// For `write`: a later snapshot of the VM that is restored from this one can refer to its files.
    pub fn record(&self) -> SnapshotRecord {
        let held = self.image.layers().iter().zip(&self.memory.files);
        SnapshotRecord { id: self.meta.id, layers: held.map(|(l, file)| Held { id: l.id(), file: *file }).collect() }
    }
}

/// Reads arbitrary bytes as a state file, and as each of its sections: for a fuzzer.
pub fn fuzz_snapshot(data: &[u8]) {
    state_file::fuzz(data);
}

fn read_state(directory: &Directory) -> Result<StateFile, OpenError> {
    let file = match directory.read(STATE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(OpenError::Missing),
        file => file.map_err(at(STATE))?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_STATE + 1).read_to_end(&mut bytes).map_err(at(STATE))?;
    if bytes.len() as u64 > MAX_STATE {
        let source = io::Error::new(io::ErrorKind::InvalidData, "larger than any state: not a snapshot's");
        return Err(OpenError::File { file: STATE.to_owned(), source });
    }
    Ok(StateFile::decode(&bytes)?)
}

fn find(name: &str, holder: SnapshotId, directories: &[Directory]) -> Result<File, OpenError> {
    for directory in directories {
        match directory.read(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => return result.map_err(at(name)),
        }
    }
    Err(OpenError::Holder { file: name.to_owned(), holder })
}

fn memory_file(layer: LayerId) -> String {
    format!("{MEMORY_PREFIX}{layer}")
}

fn at(file: &str) -> impl FnOnce(io::Error) -> OpenError {
    move |source| OpenError::File { file: file.to_owned(), source }
}

#[cfg(test)]
mod tests;
