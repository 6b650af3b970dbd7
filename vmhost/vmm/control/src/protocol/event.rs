//! What happens to a VM, for its log and for clients that subscribe.

use serde::{Deserialize, Serialize};

/// Something that happened. One line of the event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in microseconds since the VM's process started.
    pub at_us: u64,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// vCPUs run for the first time.
    Started,
    /// The guest has written to the boot marker's port.
    BootMarker {
        /// What it wrote.
        value: u8,
    },
    /// No vCPU runs any more.
    Paused,
    /// vCPUs run again.
    Resumed,
    /// A snapshot is complete on disk.
    SnapshotDone {
        /// Its id.
        id: String,
        /// How many bytes of memory it holds.
        memory_bytes: u64,
    },
    /// Children may be started.
    Cloned {
        /// The image's id.
        id: String,
    },
    /// A driver broke the protocol: the device serves nothing until it is reset.
    DeviceFault {
        /// Which device, like `block:root`.
        device: String,
        /// What was wrong.
        reason: String,
    },
    /// A socket or file on the host's side of a device failed.
    HostFault {
        /// Which device, like `net:eth0`.
        device: String,
        /// What was wrong.
        reason: String,
    },
    /// Events of one kind came too fast and were left out.
    Suppressed {
        /// Which kind, by its name here.
        of: String,
        /// How many.
        count: u64,
    },
    /// The VM has ended; the last event.
    Exit {
        /// Why.
        reason: ExitReason,
    },
}

impl EventKind {
    /// The kind's name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::BootMarker { .. } => "boot-marker",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::SnapshotDone { .. } => "snapshot-done",
            Self::Cloned { .. } => "cloned",
            Self::DeviceFault { .. } => "device-fault",
            Self::HostFault { .. } => "host-fault",
            Self::Suppressed { .. } => "suppressed",
            Self::Exit { .. } => "exit",
        }
    }

    /// Whether a guest can cause it as often as it likes, so that it must be limited.
    pub fn caused_by_guest(&self) -> bool {
        matches!(self, Self::BootMarker { .. } | Self::DeviceFault { .. } | Self::HostFault { .. })
    }
}

/// Why a VM ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitReason {
    /// The guest switched itself off.
    PoweredOff,
    /// The guest asked for a restart; one process is one boot, so starting anew is the supervisor's work.
    Reset,
    /// The guest's CPU gave up: a fault while handling a fault while handling a fault.
    TripleFault,
    /// A client asked for it.
    Stopped,
    /// KVM or the VMM could not go on.
    Failed(String),
}
