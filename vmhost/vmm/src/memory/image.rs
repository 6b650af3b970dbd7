//! Guest memory at one moment: files that never change again.
//!
//! In:  a base of RAM's whole size, and layers with the pages that were written
//!      between two moments, each a file of its own.
//! Out: something that any number of VMs map, in this process or another.
//!
//! Whoever sends an image is not believed: sizes, seals and runs are checked.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::dirty::Run;
use super::mapping::Aside;
use super::{PAGE_BYTES, memfd};
use crate::state::{self, StateError};

/// Most layers that an image has, base included; each is a descriptor.
pub const MAX_LAYERS: usize = 32;
/// More than any host has, in bytes: keeps arithmetic on untrusted sizes from overflowing.
const MAX_BYTES: u64 = 1 << 44;
const VERSION: u16 = 1;

/// What tells a layer from all others, on any host: random.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LayerId([u8; 16]);

impl LayerId {
    /// One that nothing has yet.
    ///
    /// # Errors
    /// When the host has no random numbers.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; 16];
        // At most 256 bytes come whole, or not at all.
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        Ok(Self(bytes))
    }
}

impl std::fmt::Display for LayerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for LayerId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// A file and the pages it holds.
#[derive(Debug)]
pub struct Layer {
    id: LayerId,
    runs: Vec<Run>,
    file: File,
    /// What's still to be done before the file is proved unchangeable; nothing once it is.
    unsealed: Mutex<Option<Vec<Aside>>>,
}

impl Layer {
    /// One that this process has just made and not sealed yet.
    pub(super) fn fresh(runs: Vec<Run>, file: File, aside: Vec<Aside>) -> io::Result<Self> {
        Ok(Self { id: LayerId::random()?, runs, file, unsealed: Mutex::new(Some(aside)) })
    }

    /// Its name.
    pub fn id(&self) -> LayerId {
        self.id
    }

    /// Its pages, in order; they lie one after another in the file.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// How many pages it holds.
    pub fn pages(&self) -> u64 {
        self.runs.iter().map(|run| run.count).sum()
    }

    fn seal(&self) -> io::Result<()> {
        let mut unsealed = self.unsealed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(aside) = unsealed.as_mut() {
            aside.clear();
            memfd::freeze(&self.file)?;
            *unsealed = None;
        }
        Ok(())
    }
}

/// Guest memory at one moment; clones are handles on the same files.
#[derive(Debug, Clone)]
pub struct MemoryImage {
    bytes: u64,
    huge_pages: bool,
    layers: Vec<Arc<Layer>>,
}

/// An image can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The index is no index.
    #[error(transparent)]
    Index(#[from] StateError),
    /// It's of a version that this program doesn't know.
    #[error("memory index of version {0}, known is {VERSION}")]
    Version(u16),
    /// A size, a run or a number of files is impossible.
    #[error("memory index is invalid: {0}")]
    Invalid(String),
    /// A file isn't what the index says, or could change.
    #[error("memory layer {layer} (file {number}): {source}")]
    File {
        /// Which.
        layer: LayerId,
        /// Its number in the index, the base being 0.
        number: usize,
        /// What's wrong.
        source: io::Error,
    },
}

/// What an image is without its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Index {
    pub version: u16,
    pub bytes: u64,
    huge_pages: bool,
    pub layers: Vec<LayerIndex>,
}

/// What a layer is without its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerIndex {
    pub id: LayerId,
    pub runs: Vec<Run>,
}

impl MemoryImage {
    pub(super) fn new(bytes: u64, huge_pages: bool, layers: Vec<Arc<Layer>>) -> Self {
        Self { bytes, huge_pages, layers }
    }

    /// RAM's size.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the base is made of 2 MiB pages.
    pub fn huge_pages(&self) -> bool {
        self.huge_pages
    }

    /// The base and what lies upon it, lowest first.
    pub fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    /// Proves that no file of it can change: ends the mapping that the frozen VM
    /// had, and seals. Takes time for each page in memory, once, which is why
    /// `freeze` leaves it to the image's first user, on whatever thread that is.
    ///
    /// # Errors
    /// When something can still write, such as a device's I/O in flight.
    pub fn seal(&self) -> io::Result<()> {
        self.layers.iter().try_for_each(|layer| layer.seal())
    }

    /// Index and files, for another process; sealed.
    ///
    /// # Errors
    /// As of `seal`.
    pub fn parts(&self) -> io::Result<(Vec<u8>, Vec<BorrowedFd<'_>>)> {
        self.seal()?;
        Ok((state::encode(&self.index()), self.layers.iter().map(|layer| layer.file.as_fd()).collect()))
    }

    pub(crate) fn index(&self) -> Index {
        let layers = self.layers.iter().map(|layer| LayerIndex { id: layer.id, runs: layer.runs.clone() });
        Index { version: VERSION, bytes: self.bytes, huge_pages: self.huge_pages, layers: layers.collect() }
    }

    /// The image that another process' `parts` are.
    ///
    /// # Errors
    /// When anything about them is impossible, or a file could still change.
    pub fn from_parts(index: &[u8], files: Vec<OwnedFd>) -> Result<Self, ImageError> {
        let index = state::decode::<Index>("memory", index)?;
        index.check()?;
        Self::assemble(index, files.into_iter().map(File::from).collect())
    }

    /// The image of an index that has been checked.
    pub(crate) fn assemble(index: Index, files: Vec<File>) -> Result<Self, ImageError> {
        if index.layers.len() != files.len() {
            let (layers, files) = (index.layers.len(), files.len());
            return Err(ImageError::Invalid(format!("{files} files for {layers} layers")));
        }
        let mut layers = Vec::with_capacity(files.len());
        for (number, (LayerIndex { id, runs }, file)) in index.layers.into_iter().zip(files).enumerate() {
            let layer = Layer { id, runs, file, unsealed: Mutex::new(None) };
            let expected = layer.pages() * PAGE_BYTES;
            let source = match memfd::check_unchanging(&layer.file) {
                Ok(length) if length == expected => {
                    layers.push(Arc::new(layer));
                    continue;
                }
                Ok(length) => io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("it has {length} bytes instead of {expected}: cut short, or another file"),
                ),
                Err(error) => error,
            };
            return Err(ImageError::File { layer: id, number, source });
        }
        Ok(Self { bytes: index.bytes, huge_pages: index.huge_pages, layers })
    }
}

impl Index {
    /// Whether it describes an image that can be: everything that the files don't say.
    pub fn check(&self) -> Result<(), ImageError> {
        if self.version != VERSION {
            return Err(ImageError::Version(self.version));
        }
        let invalid = |reason: String| Err(ImageError::Invalid(reason));
        if self.bytes == 0 || !self.bytes.is_multiple_of(1 << 20) || self.bytes > MAX_BYTES {
            return invalid(format!("{} bytes of RAM", self.bytes));
        }
        let pages = self.bytes / PAGE_BYTES;
        if self.layers.len() > MAX_LAYERS {
            return invalid(format!("{} layers, more than {MAX_LAYERS}", self.layers.len()));
        }
        match self.layers.first() {
            Some(base) if base.runs == [Run { page: 0, count: pages }] => {}
            _ => return invalid("its first layer isn't the whole of RAM".into()),
        }
        for (number, layer) in self.layers.iter().enumerate() {
            if self.layers[..number].iter().any(|other| other.id == layer.id) {
                return invalid(format!("layer {} is there twice", layer.id));
            }
            let mut end = 0;
            for run in &layer.runs {
                let ordered = run.count > 0 && run.page >= end;
                let Some(next) = run.page.checked_add(run.count).filter(|&next| ordered && next <= pages) else {
                    return invalid(format!(
                        "layer {}: {} pages at page {} are out of order or of memory",
                        layer.id, run.count, run.page
                    ));
                };
                end = next;
            }
        }
        Ok(())
    }
}
