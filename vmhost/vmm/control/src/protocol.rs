//! The whole control surface: what may be asked of a VM, and what it answers.
//!
//! A connection opens with `Hello` from the client and `Welcome` or a refusal
//! from the VM; then every frame of the client is a request with a number of
//! its choice, and every frame of the VM is a reply with that number, or an
//! event. Replies may come in another order than requests.
//!
//! Descriptors travel beside a frame, in order. Where a message speaks of one,
//! it does so by a `Handle`: its place among the descriptors of that frame.

mod error;
mod event;
mod request;
mod response;

use serde::{Deserialize, Serialize};

pub use error::{Code, ControlError};
pub use event::{Event, EventKind, ExitReason};
pub use request::{NewOverlay, RateTarget, Request, SnapshotKind};
pub use response::{
    BalloonStats, Cloned, DeviceInfo, DiskLayers, GenerationId, Image, Info, Response, SnapshotDone, State,
};

/// What both sides must agree on. It grows when an older side would misread a newer one.
pub const VERSION: u32 = 1;

/// First frame of a client. Its shape never changes, so that any two versions can refuse each other in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The client's `VERSION`.
    pub version: u32,
    /// Who the client is, for the log.
    pub program: String,
}

impl Hello {
    /// That of this build.
    pub fn of_this_build(program: &str) -> Self {
        Self { version: VERSION, program: program.to_owned() }
    }

    /// Whether the two sides understand each other.
    ///
    /// # Errors
    /// Which side is older, and what to do.
    pub fn check(&self) -> Result<(), ControlError> {
        if self.version == VERSION {
            return Ok(());
        }
        let remedy = if self.version < VERSION {
            "update the client, or start the VM with the client's version of vmm"
        } else {
            "use the version of vmm that started this VM"
        };
        Err(ControlError::new(
            Code::Version,
            format!("the client speaks version {} of the control protocol, this VM speaks {VERSION}", self.version),
        )
        .remedy(remedy))
    }
}

/// First frame of a VM to a client that it understands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The VM's `VERSION`.
    pub version: u32,
    /// The VMM's program and version.
    pub program: String,
}

/// Any later frame of a client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestFrame<R = Request> {
    /// Comes back in the reply.
    pub id: u64,
    /// How many descriptors came with it.
    #[serde(default)]
    pub descriptors: u32,
    /// What is asked.
    pub request: R,
}

/// Any frame of a VM.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromVm {
    /// The handshake is done.
    Welcome(Welcome),
    /// The connection ends here, because of the client.
    Refused(ControlError),
    /// What came of a request.
    Reply {
        /// The request's number.
        id: u64,
        /// How many descriptors came with it.
        #[serde(default)]
        descriptors: u32,
        /// The answer, or why there is none.
        outcome: Outcome,
    },
    /// Something happened; only to clients that asked for events.
    Event(Event),
}

/// What came of a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is done.
    Done(Response),
    /// It isn't, and nothing has changed unless the message says so.
    Failed(ControlError),
}

impl From<Result<Response, ControlError>> for Outcome {
    fn from(result: Result<Response, ControlError>) -> Self {
        match result {
            Ok(response) => Self::Done(response),
            Err(error) => Self::Failed(error),
        }
    }
}

/// A descriptor's place among those of its frame; in a manifest for a child, its number in the child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle(pub u32);
