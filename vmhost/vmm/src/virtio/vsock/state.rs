//! What a snapshot keeps of the device.

use serde::{Deserialize, Serialize};

/// The device's state.
///
/// Connections aren't part of it, nor host clients: their sockets belong to the
/// machine that was saved, which goes on with them. The restored one starts
/// with none, and its driver is told so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VsockState {
    /// The guest's context id.
    pub cid: u32,
    /// How many connections the saved machine had, for people.
    pub lost_connections: u32,
}
