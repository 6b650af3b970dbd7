//! What the sections of a `state` file hold, and which versions of them are known.

use serde::{Deserialize, Serialize};
use vmm_control::VmConfig;

use super::container::{self, ContainerError, Section, Tag};
use super::{DiskChain, Meta, SnapshotId};
use crate::memory::image::{ImageError, Index};
use crate::state::{self, StateError};

const META: Tag = Tag(*b"META");
const CONFIG: Tag = Tag(*b"CONF");
const MACHINE: Tag = Tag(*b"MACH");
const MEMORY: Tag = Tag(*b"MEMO");
const DISKS: Tag = Tag(*b"DISK");
/// Each section's version counts by itself; so far there is one of each.
const VERSION: u16 = 1;

/// A whole `state` file.
#[derive(Debug, Clone)]
pub(super) struct StateFile {
    pub meta: Meta,
    pub config: VmConfig,
    pub machine: Vec<u8>,
    pub memory: MemorySection,
    pub disks: Vec<DiskChain>,
}

/// The memory image, and where its files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MemorySection {
    pub index: Index,
    /// One a layer.
    pub files: Vec<FileRecord>,
}

/// A memory file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileRecord {
    /// In whose directory it is; in this snapshot's own when absent.
    pub holder: Option<SnapshotId>,
    pub bytes: u64,
    /// As `digest::Digester` makes it.
    pub digest: [u8; 32],
}

/// A `state` file can't be read.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// It isn't of this format.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// It lacks something.
    #[error("it has no section {0}: made by another program, or an unfinished version")]
    Missing(Tag),
    /// It has something that must be understood and isn't.
    #[error("section {tag} at offset {offset} is unknown and required: use the version of vmm that made it")]
    Unknown {
        /// What.
        tag: Tag,
        /// Where.
        offset: usize,
    },
    /// It has something in a form that isn't known.
    #[error(
        "section {tag} at offset {offset} has version {version}, known is {VERSION}: use the version of vmm that made it"
    )]
    Version {
        /// What.
        tag: Tag,
        /// Where.
        offset: usize,
        /// Its version.
        version: u16,
    },
    /// A section's bytes are no such thing, though their digest is right.
    #[error("section {tag} at offset {offset}: {reason}")]
    Section {
        /// What.
        tag: Tag,
        /// Where.
        offset: usize,
        /// Why.
        reason: String,
    },
}

impl StateFile {
    /// The bytes of the file; an error when the configuration has no JSON (a path that isn't UTF-8).
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let config = serde_json::to_vec(&self.config)?;
        let (meta, memory, disks) =
            (state::encode(&self.meta), state::encode(&self.memory), state::encode(&self.disks));
        Ok(container::encode(&[
            (META, VERSION, true, &meta),
            (CONFIG, VERSION, true, &config),
            (MACHINE, VERSION, true, &self.machine),
            (MEMORY, VERSION, true, &memory),
            (DISKS, VERSION, true, &disks),
        ]))
    }

    /// The file that `bytes` are.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let sections = container::decode(bytes)?;
        for Section { tag, version, required, offset, .. } in &sections {
            let (tag, version, offset) = (*tag, *version, *offset);
            let known = [META, CONFIG, MACHINE, MEMORY, DISKS].contains(&tag);
            if *required && !known {
                return Err(FormatError::Unknown { tag, offset });
            }
            if known && version != VERSION {
                return Err(FormatError::Version { tag, offset, version });
            }
        }
        let file = Self {
            meta: read(&sections, META, |bytes| state::decode("meta", bytes).map_err(reason))?,
            config: read(&sections, CONFIG, |bytes| serde_json::from_slice(bytes).map_err(|error| error.to_string()))?,
            machine: read(&sections, MACHINE, |bytes| Ok(bytes.to_vec()))?,
            memory: read(&sections, MEMORY, |bytes| {
                let memory: MemorySection = state::decode("memory", bytes).map_err(reason)?;
                memory.check().map(|()| memory)
            })?,
            disks: read(&sections, DISKS, |bytes| state::decode("disks", bytes).map_err(reason))?,
        };
        let offset = sections.iter().find(|section| section.tag == META).map_or(0, |section| section.offset);
        if file.meta.memory_bytes != file.memory.index.bytes {
            let reason = format!("{} bytes of memory, {} in {MEMORY}", file.meta.memory_bytes, file.memory.index.bytes);
            return Err(FormatError::Section { tag: META, offset, reason });
        }
        Ok(file)
    }
}

impl MemorySection {
    fn check(&self) -> Result<(), String> {
        self.index.check().map_err(|error: ImageError| error.to_string())?;
        if self.files.len() != self.index.layers.len() {
            return Err(format!("{} files for {} layers", self.files.len(), self.index.layers.len()));
        }
        for (layer, file) in self.index.layers.iter().zip(&self.files) {
            // The index is checked, so the sum is at most RAM's size.
            let bytes = layer.runs.iter().map(|run| run.count).sum::<u64>() * crate::memory::PAGE_BYTES;
            if file.bytes != bytes {
                return Err(format!("layer {} has {bytes} bytes by its runs, {} by its file", layer.id, file.bytes));
            }
        }
        Ok(())
    }
}

fn read<T>(
    sections: &[Section<'_>],
    tag: Tag,
    decode: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<T, FormatError> {
    let section = sections.iter().find(|section| section.tag == tag).ok_or(FormatError::Missing(tag))?;
    decode(section.bytes).map_err(|reason| FormatError::Section { tag, offset: section.offset, reason })
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn reason(error: StateError) -> String {
    error.to_string()
}

/// For a fuzzer: reads `data` as a state file, and as the content of each section with all digests right.
pub(super) fn fuzz(data: &[u8]) {
    let _ = StateFile::decode(data);
    for target in [META, CONFIG, MACHINE, MEMORY, DISKS] {
        let sections: Vec<(Tag, u16, bool, &[u8])> = [META, CONFIG, MACHINE, MEMORY, DISKS]
            .into_iter()
            .map(|tag| (tag, VERSION, true, if tag == target { data } else { &[] }))
            .collect();
        let file = container::encode(&sections);
        let sections = container::decode(&file).expect("made just now");
        let _ = read(&sections, target, |bytes| match target {
            META => state::decode::<Meta>("meta", bytes).map(drop).map_err(reason),
            CONFIG => serde_json::from_slice::<VmConfig>(bytes).map(drop).map_err(|error| error.to_string()),
            MEMORY => state::decode::<MemorySection>("memory", bytes).map_err(reason)?.check(),
            _ => state::decode::<Vec<DiskChain>>("disks", bytes).map(drop).map_err(reason),
        });
    }
}
