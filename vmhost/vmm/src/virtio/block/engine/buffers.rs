//! Guest memory that the kernel reads or writes on our behalf.
//!
//! In:  buffers of a chain, whose place in guest memory was checked.
//! Out: vectors for system calls, valid as long as the `Buffers` they are of.

use std::io;

use crate::memory::GuestMemory;
use crate::virtio::Segment;
use crate::virtio::chain::mark_written;

/// Parts of guest memory, which stays mapped as long as this exists.
#[derive(Clone)]
pub(in crate::virtio::block) struct Buffers {
    /// A handle that keeps the mapping alive.
    memory: GuestMemory,
    segments: Vec<Segment>,
}

impl Buffers {
    /// `count` bytes of `segments`, after `skip` bytes.
    pub(in crate::virtio::block) fn part(memory: &GuestMemory, segments: &[Segment], skip: u64, count: u64) -> Self {
        let (mut skip, mut count) = (skip, count);
        let mut part = Vec::new();
        for segment in segments {
            let length = u64::from(segment.length);
            let before = skip.min(length);
            skip -= before;
            let taken = count.min(length - before);
            count -= taken;
            // Both are at most the segment's own length.
            if let (Some(address), Ok(length)) = (segment.address.0.checked_add(before), u32::try_from(taken))
                && length > 0
            {
                part.push(Segment { address: vm_memory::GuestAddress(address), length });
            }
            if count == 0 {
                break;
            }
        }
        Self { memory: memory.clone(), segments: part }
    }

    /// `count` of these bytes, after `skip`.
    pub(in crate::virtio::block) fn window(&self, skip: u64, count: u64) -> Self {
        Self::part(&self.memory, &self.segments, skip, count)
    }

    /// In bytes.
    pub(in crate::virtio::block) fn length(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.length)).sum()
    }

    /// Moves past the first `count` bytes.
    pub(super) fn skip(&mut self, count: u64) {
        *self = self.window(count, u64::MAX);
    }

    /// All bytes become zeros.
    pub(in crate::virtio::block) fn clear(&self) {
        const ZEROS: &[u8] = &[0; 4096];
        for slice in self.segments.iter().filter_map(|segment| segment.slice(&self.memory).ok()) {
            let mut at = 0;
            while let Ok(part) = slice.subslice(at, ZEROS.len().min(slice.len() - at))
                && !part.is_empty()
            {
                part.copy_from(&ZEROS[..part.len()]);
                at += part.len();
            }
        }
    }

    /// The first bytes become `bytes`, as far as there is room.
    pub(in crate::virtio::block) fn fill(&self, mut bytes: &[u8]) {
        for slice in self.segments.iter().filter_map(|segment| segment.slice(&self.memory).ok()) {
            let (part, rest) = bytes.split_at(bytes.len().min(slice.len()));
            slice.copy_from(part);
            bytes = rest;
        }
    }

    /// The kernel may have written any of it.
    pub(super) fn mark_written(&self) {
        for segment in &self.segments {
            if let Ok(slice) = segment.slice(&self.memory) {
                mark_written(&[slice], segment.length as usize);
            }
        }
    }

    /// What the kernel is given. The pointers are good until `self` is dropped.
    pub(super) fn vectors(&self) -> io::Result<Vec<libc::iovec>> {
        self.segments
            .iter()
            .map(|segment| {
                let slice = segment.slice(&self.memory).map_err(io::Error::other)?;
                // The guard is only of interest to memory that is mapped on demand, which ours is not.
                let base = slice.ptr_guard_mut().as_ptr().cast();
                Ok(libc::iovec { iov_base: base, iov_len: slice.len() })
            })
            .collect()
    }
}
