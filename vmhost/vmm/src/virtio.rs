//! Virtio 1.2: queues, the transport, and what a device is.
//!
//! `queue` and `chain` are where guest memory is first believed; a device gets
//! descriptor chains that are checked, and buffers that lie in guest memory.

pub mod balloon;
pub mod block;
pub mod chain;
pub mod device;
pub mod entropy;
pub mod hostile;
pub mod interrupt;
pub mod mmio;
pub mod net;
pub mod queue;
pub mod testing;
pub mod vsock;
pub mod wake;

pub use chain::{Chain, Reader, Segment, Writer};
pub use device::{Device, Io, Kind};
pub use interrupt::Interrupt;
pub use mmio::{Mmio, MmioState};
pub use queue::{Queue, QueueState};

/// The guest broke the protocol; the device needs a reset before it does anything more.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A ring or a descriptor table isn't in memory, or is misaligned.
    #[error("queue at {0:#x} is not in guest memory, or misaligned")]
    Queue(u64),
    /// The driver offers more chains than a queue holds.
    #[error("{pending} chains are offered in a queue of {size}")]
    Available {
        /// What it offers.
        pending: u16,
        /// What there can be.
        size: u16,
    },
    /// A descriptor's number is beyond its table.
    #[error("descriptor {index} of a table of {size}")]
    Index {
        /// The number.
        index: u16,
        /// The table's length.
        size: u16,
    },
    /// More descriptors than the queue holds: a loop.
    #[error("a chain has more than {0} descriptors")]
    Loop(u16),
    /// A buffer isn't in memory.
    #[error("buffer at {address:#x} of {length} bytes is not in guest memory")]
    Buffer {
        /// Its guest address.
        address: u64,
        /// Its length.
        length: u32,
    },
    /// An indirect table of no whole number of descriptors, or within another, or with `NEXT`.
    #[error("indirect table of {0} bytes is invalid")]
    Indirect(u32),
    /// A buffer to read after one to write.
    #[error("a readable buffer follows a writable one")]
    Order,
    /// What the buffers hold is no request of this device.
    #[error("{0}")]
    Request(&'static str),
    /// The host can't go on serving this device.
    #[error("{context}: {source}")]
    Host {
        /// What it was about to do.
        context: &'static str,
        /// Why it couldn't.
        source: std::io::Error,
    },
}
