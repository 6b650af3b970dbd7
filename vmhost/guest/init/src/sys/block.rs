//! Requests to block devices beside reads and writes.

#![allow(unsafe_code, reason = "ioctl")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

use super::check;

/// `_IO(0x12, 119)` and `_IO(0x12, 127)` of linux/fs.h.
const BLKDISCARD: libc::Ioctl = 0x1277;
const BLKZEROOUT: libc::Ioctl = 0x127f;

/// Tells the device that a range of bytes isn't needed any more.
pub(crate) fn discard(device: &File, offset: u64, length: u64) -> io::Result<()> {
    over_range(device, BLKDISCARD, offset, length)
}

/// Zeroes a range of bytes, by the device itself if it can.
pub(crate) fn zero(device: &File, offset: u64, length: u64) -> io::Result<()> {
    over_range(device, BLKZEROOUT, offset, length)
}

fn over_range(device: &File, request: libc::Ioctl, offset: u64, length: u64) -> io::Result<()> {
    let range = [offset, length];
    // SAFETY: both requests read two 64-bit numbers, which is what they get.
    check(unsafe { libc::ioctl(device.as_raw_fd(), request, range.as_ptr()) }).map(drop)
}
