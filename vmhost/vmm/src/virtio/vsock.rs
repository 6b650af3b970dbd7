//! Sockets between guest and host (virtio 1.2, 5.10): streams only, host side in user space.
//!
//! In:  packets of the driver; host clients of one unix socket.
//! Out: a host client writes `CONNECT port\n`, reads `OK port\n` and is then the
//!      guest's peer; a guest that connects to host port N is joined to the
//!      unix socket `{prefix}_N`.
//!
//! No byte is lost and no buffer grows without bound: what the guest sends is
//! limited by the credit it was given, what the host sends stays in the host's
//! socket until the guest has both credit and buffers. Payload moves between
//! socket and guest memory without a copy of ours.
//!
//! Connections belong to one running machine. They survive pause and resume; a
//! snapshot doesn't carry them, and its guest is told by a transport reset.

mod client;
mod connection;
mod credit;
mod device;
pub mod fuzz;
mod host;
mod lifecycle;
mod metrics;
mod packet;
mod peer;
mod receive;
mod state;
mod table;
mod transfer;
mod transmit;

#[cfg(test)]
mod tests;

pub use device::VsockDevice;
pub use peer::PeerConnector;
pub use state::VsockState;
