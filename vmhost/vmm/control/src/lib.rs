//! How a VM's process is configured and told what to do.
//!
//! In:  a configuration in JSON; verbs on a unix socket, descriptors beside them.
//! Out: typed answers, typed errors, events.
//!
//! It knows nothing of KVM: a supervisor and the command line use it without the VMM.

mod client;
mod config;
mod frame;
mod inherited;
mod loan;
mod protocol;
mod ready;
pub mod spawn;
mod stats;

pub use client::{Client, ClientError};
pub use config::*;
pub use frame::{FrameError, FrameReader, MAX_DESCRIPTORS, MAX_FRAME, Outgoing, Sent};
pub use inherited::Inherited;
pub use protocol::*;
pub use ready::{Readiness, Ready};
pub use stats::*;
