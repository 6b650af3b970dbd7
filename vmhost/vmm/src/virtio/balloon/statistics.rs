//! What the guest tells of its memory (virtio 1.2, 5.5.6.3).
//!
//! All of it is the guest's word, for people and for policies that can bear a lie.

use serde::{Deserialize, Serialize};

use super::super::{Fault, Reader};

/// By tag; memory sizes are in bytes.
const NAMES: [&str; 16] = [
    "swap_in_bytes",
    "swap_out_bytes",
    "major_faults",
    "minor_faults",
    "free_bytes",
    "total_bytes",
    "available_bytes",
    "disk_caches_bytes",
    "hugetlb_allocations",
    "hugetlb_failures",
    "oom_kills",
    "allocation_stalls",
    "async_scans",
    "direct_scans",
    "async_reclaims",
    "direct_reclaims",
];

/// A tag and a value.
const ENTRY: u64 = 10;
/// More than there are tags; the limit bounds the work, and later drivers may know more.
const MAX_ENTRIES: u64 = 64;

/// The last value of each tag.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics([Option<u64>; NAMES.len()]);

impl Statistics {
    /// The tags and values of one buffer; what a partial entry holds is ignored.
    ///
    /// # Errors
    /// Never: the length was looked at.
    pub fn read(reader: &mut Reader<'_>) -> Result<Vec<(u16, u64)>, Fault> {
        let count = (reader.left() / ENTRY).min(MAX_ENTRIES);
        let entry = |_| Ok((u16::from_le_bytes(reader.array()?), u64::from_le_bytes(reader.array()?)));
        (0..count).map(entry).collect()
    }

    /// Takes over values; tags that nobody knows are ignored, as the specification asks.
    pub fn update(&mut self, values: &[(u16, u64)]) {
        for &(tag, value) in values {
            if let Some(slot) = self.0.get_mut(usize::from(tag)) {
                *slot = Some(value);
            }
        }
    }

    /// What is known, by name.
    pub fn values(&self) -> Vec<(&'static str, u64)> {
        NAMES.into_iter().zip(self.0).filter_map(|(name, value)| Some((name, value?))).collect()
    }
}
