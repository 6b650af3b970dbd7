//! A tap device: the kernel's side is an interface, ours is a descriptor.
//!
//! Each read or write is one frame with a virtio header of 12 bytes before it,
//! by which guest and host leave checksums and segmentation to each other, or
//! to the network card that a frame leaves by.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;

use virtio_bindings::virtio_net::{
    VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6,
    VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_HOST_UFO,
};

use super::super::chain::Slice;
use super::link::{Incoming, Sent, is_later};
use super::{HEADER, MAX_FRAME, system};

/// Opens the tap device of that name, without waiting reads.
///
/// If there is none and the process may, the kernel makes one that lives as long as the descriptor.
///
/// # Errors
/// When there is no `/dev/net/tun`, or the device is in use or not ours to use.
pub fn open_tap(name: &str) -> io::Result<File> {
    let file = File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    system::bind_tap(&file, name)?;
    Ok(file)
}

/// A tap device.
pub struct Tap {
    file: File,
    /// The kernel knows UFO; it has given up and taken back support of it over the years.
    ufo: bool,
    /// A frame with its header that no buffer of the guest could take at once; empty if there is none.
    held: Vec<u8>,
}

/// What became of reading into guest memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// So many bytes, header included; one more than there is room if the frame was cut off.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// The device is gone.
    Ended,
}

impl Tap {
    /// Prepares what `open_tap` gave.
    ///
    /// # Errors
    /// When it is no tap device.
    pub fn new(file: File) -> io::Result<Self> {
        system::set_nonblocking(file.as_raw_fd())?;
        system::set_header_size(&file, HEADER)?;
        let ufo = system::set_offload(&file, libc::TUN_F_CSUM | libc::TUN_F_UFO).is_ok();
        system::set_offload(&file, 0)?;
        Ok(Self { file, ufo, held: Vec::new() })
    }

    /// Feature bits for what the kernel does for guests, or lets them do.
    pub fn features(&self) -> u64 {
        let bits = [
            VIRTIO_NET_F_CSUM,
            VIRTIO_NET_F_GUEST_CSUM,
            VIRTIO_NET_F_GUEST_TSO4,
            VIRTIO_NET_F_GUEST_TSO6,
            VIRTIO_NET_F_HOST_TSO4,
            VIRTIO_NET_F_HOST_TSO6,
        ];
        let ufo = if self.ufo { 1 << VIRTIO_NET_F_GUEST_UFO | 1 << VIRTIO_NET_F_HOST_UFO } else { 0 };
        bits.iter().fold(ufo, |all, bit| all | 1 << bit)
    }

    /// Tells the kernel what the driver has agreed to take.
    ///
    /// # Errors
    /// When the device is gone.
    pub fn negotiated(&self, features: u64) -> io::Result<()> {
        let has = |bit: u32| features >> bit & 1 == 1;
        let mut bits = 0;
        // A segment to come has no checksum yet: without that feature the others mean nothing (5.1.3.1).
        if has(VIRTIO_NET_F_GUEST_CSUM) {
            bits |= libc::TUN_F_CSUM;
            for (bit, offload) in [
                (VIRTIO_NET_F_GUEST_TSO4, libc::TUN_F_TSO4),
                (VIRTIO_NET_F_GUEST_TSO6, libc::TUN_F_TSO6),
                (VIRTIO_NET_F_GUEST_UFO, libc::TUN_F_UFO),
            ] {
                bits |= if has(bit) { offload } else { 0 };
            }
        }
        system::set_offload(&self.file, bits)
    }

    /// The descriptor.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Sends header, start and rest of a frame.
    pub fn send(&self, head: &[u8], rest: &[Slice<'_>]) -> Sent {
        match system::write(&self.file, head, rest) {
            Ok(_) => Sent::Done,
            Err(error) if is_later(&error) => Sent::Full,
            Err(error) if error.raw_os_error() == Some(libc::EBADFD) => Sent::Ended,
            // A header that lies about the frame, or an interface that is down.
            Err(_) => Sent::Refused,
        }
    }

    /// Whether a frame waits in the host's memory.
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Reads a frame with its header straight into guest memory.
    pub fn read_into(&self, slices: &[Slice<'_>]) -> Filled {
        match system::read(&self.file, slices, &mut [0]) {
            Ok(count) => Filled::Bytes(count),
            Err(error) if is_later(&error) => Filled::Nothing,
            Err(_) => Filled::Ended,
        }
    }

    /// The frame that is held, or else the next one, to be held.
    pub fn incoming(&mut self) -> Incoming<'_> {
        if self.held.is_empty() {
            self.held.resize(HEADER + MAX_FRAME + 1, 0);
            let result = system::read(&self.file, &[], &mut self.held);
            self.held.truncate(*result.as_ref().unwrap_or(&0));
            match result {
                Err(error) if is_later(&error) => return Incoming::Nothing,
                Err(_) => return Incoming::Ended,
                Ok(_) => {}
            }
        }
        match self.held.split_first_chunk() {
            Some((header, frame)) => Incoming::Frame { header: *header, frame },
            // The kernel gives no less than the header.
            None => Incoming::Ended,
        }
    }

    /// Forgets the frame that is held.
    pub fn consume(&mut self) {
        self.held.clear();
    }
}
