//! The frame of a `state` file: magic, version, a table of sections, digests.
//!
//! In:  bytes that anybody may have written.
//! Out: sections whose digests are right, or an error that names the offset.
//!
//! Knows nothing of what sections hold. Integers are little-endian:
//!
//! | offset | size | what |
//! | --- | --- | --- |
//! | 0 | 8 | `VMMSTATE` |
//! | 8 | 2 | major version: another one can't be read |
//! | 10 | 2 | minor version: a newer one adds sections or flags only |
//! | 12 | 4 | number of sections |
//! | 16 | 56 each | table: tag (4), section version (2), flags (2), offset (8), length (8), SHA-256 of the section (32) |
//! | … | … | sections in the table's order, without gaps |
//! | end − 32 | 32 | SHA-256 of all bytes before |
//!
//! Flag 1 means that a reader who doesn't know the section must refuse the file;
//! without it, an unknown section is skipped.

use sha2::{Digest as _, Sha256};

const MAGIC: &[u8; 8] = b"VMMSTATE";
/// The version that is written.
pub(super) const MAJOR: u16 = 1;
const MINOR: u16 = 0;
const HEADER: usize = 16;
const ENTRY: usize = 56;
const DIGEST: usize = 32;
/// No version of ours comes near; keeps a table from being read for minutes.
const MAX_SECTIONS: u32 = 256;
const REQUIRED: u16 = 1;

/// What a section is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tag(pub [u8; 4]);

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl std::fmt::Debug for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// A part of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section<'a> {
    pub tag: Tag,
    pub version: u16,
    pub required: bool,
    /// Where it starts, for messages.
    pub offset: usize,
    pub bytes: &'a [u8],
}

/// Bytes aren't a file of this format, or one that this program can't read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainerError {
    /// Something else altogether.
    #[error("it doesn't start with {:?}: not a snapshot's state", std::str::from_utf8(MAGIC).unwrap_or_default())]
    Magic,
    /// Made by a program that is too new, or too old.
    #[error("format {major}.{minor} at offset 8, this program reads {MAJOR}.*: use the version of vmm that made it")]
    Version {
        /// Its major version.
        major: u16,
        /// Its minor version.
        minor: u16,
    },
    /// It ends too early.
    #[error("it ends at byte {length}, within {what} at offset {offset}: cut short")]
    Truncated {
        /// What is missing.
        what: &'static str,
        /// Where that starts.
        offset: usize,
        /// How long the file is.
        length: usize,
    },
    /// The table can't be right.
    #[error("the section table at offset {offset} is invalid: {reason}")]
    Table {
        /// Where.
        offset: usize,
        /// Why.
        reason: &'static str,
    },
    /// A digest differs.
    #[error("the digest of {what} at offset {offset} is wrong: the file is damaged")]
    Digest {
        /// Of what.
        what: String,
        /// Where it starts.
        offset: usize,
    },
}

/// The file made of sections.
pub(super) fn encode(sections: &[(Tag, u16, bool, &[u8])]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(MAGIC);
    file.extend(MAJOR.to_le_bytes());
    file.extend(MINOR.to_le_bytes());
    file.extend(u32::try_from(sections.len()).unwrap_or(u32::MAX).to_le_bytes());
    let mut offset = HEADER + sections.len() * ENTRY;
    for (tag, version, required, bytes) in sections {
        file.extend(tag.0);
        file.extend(version.to_le_bytes());
        file.extend(if *required { REQUIRED } else { 0 }.to_le_bytes());
        file.extend((offset as u64).to_le_bytes());
        file.extend((bytes.len() as u64).to_le_bytes());
        file.extend(Sha256::digest(bytes));
        offset += bytes.len();
    }
    sections.iter().for_each(|section| file.extend(section.3));
    let digest = Sha256::digest(&file);
    file.extend(digest);
    file
}

/// The sections of `file`, all of whose digests are right.
pub(super) fn decode(file: &[u8]) -> Result<Vec<Section<'_>>, ContainerError> {
    let truncated = |what, offset| ContainerError::Truncated { what, offset, length: file.len() };
    if !file.starts_with(MAGIC) {
        // A beginning of it is a file that was cut short.
        return Err(if MAGIC.starts_with(file) { truncated("the header", 0) } else { ContainerError::Magic });
    }
    let header = file.get(..HEADER).ok_or(truncated("the header", 0))?;
    let (major, minor) = (u16_at(header, 8), u16_at(header, 10));
    if major != MAJOR {
        return Err(ContainerError::Version { major, minor });
    }
    let count = u32_at(header, 12);
    if count > MAX_SECTIONS {
        return Err(ContainerError::Table { offset: 12, reason: "too many sections" });
    }
    let table_end = HEADER + count as usize * ENTRY;
    let table = file.get(HEADER..table_end).ok_or(truncated("the section table", HEADER))?;
    let mut sections = Vec::new();
    let mut position = table_end;
    for (number, entry) in table.chunks_exact(ENTRY).enumerate() {
        let at = HEADER + number * ENTRY;
        if u64_at(entry, 8) != position as u64 {
            return Err(ContainerError::Table { offset: at + 8, reason: "a section doesn't follow the one before" });
        }
        let end = usize::try_from(u64_at(entry, 16)).ok().and_then(|length| position.checked_add(length));
        let bytes = end.and_then(|end| file.get(position..end)).ok_or(truncated("a section", position))?;
        let mut tag = Tag([0; 4]);
        tag.0.copy_from_slice(&entry[..4]);
        let flags = u16_at(entry, 6);
        if flags & !REQUIRED != 0 {
            return Err(ContainerError::Table { offset: at + 6, reason: "a flag of a newer version" });
        }
        if sections.iter().any(|section: &Section<'_>| section.tag == tag) {
            return Err(ContainerError::Table { offset: at, reason: "a section is there twice" });
        }
        if Sha256::digest(bytes)[..] != entry[24..] {
            return Err(ContainerError::Digest { what: format!("section {tag}"), offset: position });
        }
        sections.push(Section {
            tag,
            version: u16_at(entry, 4),
            required: flags & REQUIRED != 0,
            offset: position,
            bytes,
        });
        position += bytes.len();
    }
    match file.get(position..).map(<[u8]>::len) {
        Some(DIGEST) => {}
        Some(DIGEST..) => {
            return Err(ContainerError::Table { offset: position, reason: "there are bytes past the end" });
        }
        _ => return Err(truncated("the digest of the file", position)),
    }
    if Sha256::digest(&file[..position])[..] != file[position..] {
        return Err(ContainerError::Digest { what: "the file".into(), offset: 0 });
    }
    Ok(sections)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    // Callers pass offsets within a header or an entry, both of fixed size.
    bytes.get(at..).and_then(|rest| rest.first_chunk().copied()).expect("within a fixed-size part")
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}
