//! What a driver can read of a disk: features and configuration space (virtio 1.2, 5.2.3 and 5.2.4).

use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_F_BLK_SIZE, VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_RO, VIRTIO_BLK_F_SEG_MAX,
    VIRTIO_BLK_F_SIZE_MAX, VIRTIO_BLK_F_TOPOLOGY, VIRTIO_BLK_F_WRITE_ZEROES,
};

use super::image::SECTOR;
use super::request::{Limits, MAX_CLEAR, SEG_MAX, SIZE_MAX};

/// Bytes of the configuration space up to the fields of secure erase, which isn't offered.
const SIZE: usize = 60;
/// A physical block is 8 sectors: a page of the host, a cluster of an overlay.
const PHYSICAL_BLOCK_EXPONENT: u8 = 3;

/// The feature bits of such a disk.
pub(super) fn features(limits: Limits) -> u64 {
    let common = 1 << VIRTIO_BLK_F_SIZE_MAX
        | 1 << VIRTIO_BLK_F_SEG_MAX
        | 1 << VIRTIO_BLK_F_BLK_SIZE
        | 1 << VIRTIO_BLK_F_TOPOLOGY;
    common
        | if limits.writable {
            1 << VIRTIO_BLK_F_FLUSH | 1 << VIRTIO_BLK_F_DISCARD | 1 << VIRTIO_BLK_F_WRITE_ZEROES
        } else {
            1 << VIRTIO_BLK_F_RO
        }
}

/// Its configuration space.
pub(super) fn space(limits: Limits) -> [u8; SIZE] {
    let mut space = [0; SIZE];
    let mut put = |offset: usize, bytes: &[u8]| space[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0, &(limits.size / SECTOR).to_le_bytes());
    put(8, &SIZE_MAX.to_le_bytes());
    put(12, &SEG_MAX.to_le_bytes());
    put(20, &(SECTOR as u32).to_le_bytes());
    put(24, &[PHYSICAL_BLOCK_EXPONENT]);
    put(26, &(1u16 << PHYSICAL_BLOCK_EXPONENT).to_le_bytes());
    if limits.writable {
        put(36, &MAX_CLEAR.to_le_bytes());
        put(40, &1u32.to_le_bytes());
        put(44, &(1u32 << PHYSICAL_BLOCK_EXPONENT).to_le_bytes());
        put(48, &MAX_CLEAR.to_le_bytes());
        put(52, &1u32.to_le_bytes());
        put(56, &[1]);
    }
    space
}
