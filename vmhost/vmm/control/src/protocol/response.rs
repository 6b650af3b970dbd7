//! What a VM answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ExitReason, Handle};
use crate::{Stats, VmConfig};

/// Every kind of answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// Nothing to tell but that it is done.
    Unit,
    /// To `Info`.
    Info(Box<Info>),
    /// To `Snapshot`.
    Snapshot(SnapshotDone),
    /// To `Clone`.
    Cloned(Box<Cloned>),
    /// To `BalloonStats`.
    Balloon(BalloonStats),
    /// To `Stats`.
    Stats(Box<Stats>),
    /// To `Generation`.
    Generation(GenerationId),
    /// To `Wait`.
    Ended(ExitReason),
}

/// What a VM is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It has never run.
    Created,
    /// vCPUs run.
    Running,
    /// None runs, all could go on.
    Paused,
    /// It is ending.
    Stopping,
}

impl State {
    /// The state's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
        }
    }
}

/// What a VM is and does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Its process, as the process itself sees it.
    pub pid: u32,
    /// Whom its process has become: what it shall write must be writable for this user.
    pub user: u32,
    /// What it does.
    pub state: State,
    /// What it is made of.
    pub config: VmConfig,
    /// How long its process has been alive.
    pub uptime_us: u64,
    /// How long its guest has run, pauses left out.
    pub running_us: u64,
    /// The snapshot or image that it came from.
    #[serde(default)]
    pub parent: Option<String>,
    /// What the guest believes its identity to be.
    pub generation: GenerationId,
    /// Its devices, in the order of their addresses.
    #[serde(default)]
    pub devices: Vec<DeviceInfo>,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// Like `block:root`.
    pub name: String,
    /// Whether a driver serves it.
    pub ready: bool,
    /// Whether a fault has stopped it.
    pub faulted: bool,
}

/// An id that is new after every restore and clone (VMGENID), 32 hex digits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GenerationId(pub String);

/// A snapshot that is complete on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotDone {
    /// Names it as a parent of later ones.
    pub id: String,
    /// How many bytes of memory it holds.
    pub memory_bytes: u64,
    /// How long the guest stood still for it.
    pub paused_us: u64,
    /// How long it took in all.
    pub total_us: u64,
}

/// What children of a running VM are made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cloned {
    /// What they are restored from.
    pub image: Image,
    /// How long the guest stood still for it.
    pub paused_us: u64,
}

/// A frozen VM as descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Names it in logs and as a parent.
    pub id: String,
    /// The frozen VM's configuration.
    pub config: VmConfig,
    /// Sealed bytes: vCPUs and devices.
    pub state: Handle,
    /// Sealed bytes: which page lies in which layer.
    pub memory_index: Handle,
    /// Sealed memory, oldest first.
    pub memory_layers: Vec<Handle>,
    /// Disks in the configuration's order.
    #[serde(default)]
    pub disks: Vec<DiskLayers>,
}

/// A frozen disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskLayers {
    /// Which disk.
    pub disk: String,
    /// The image, then the frozen overlays, oldest first; all opened for reading only.
    pub layers: Vec<Handle>,
    /// Where each of them lies on the host, for snapshots that record it.
    pub paths: Vec<PathBuf>,
    /// Set for a child: its own overlay. None for a disk that is read-only.
    #[serde(default)]
    pub top: Option<Handle>,
}

impl Image {
    /// All handles, each once, for whoever must translate or check them.
    pub fn handles(&mut self) -> impl Iterator<Item = &mut Handle> {
        let disks = self.disks.iter_mut().flat_map(|disk| disk.layers.iter_mut().chain(disk.top.as_mut()));
        [&mut self.state, &mut self.memory_index].into_iter().chain(self.memory_layers.iter_mut()).chain(disks)
    }
}

/// What the guest says of its memory (virtio 1.2, 5.5.6.3), in bytes; absent where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalloonStats {
    /// What it was asked to give up, in MiB.
    pub target_mib: u32,
    /// What it has given up, in MiB.
    pub actual_mib: u32,
    /// Given back to the host by free page reporting since the start.
    #[serde(default)]
    pub reported_bytes: u64,
    /// Unused.
    #[serde(default)]
    pub free: Option<u64>,
    /// All it has.
    #[serde(default)]
    pub total: Option<u64>,
    /// What an application could get without swapping.
    #[serde(default)]
    pub available: Option<u64>,
    /// Caches that can be dropped.
    #[serde(default)]
    pub disk_caches: Option<u64>,
    /// Pages read from swap.
    #[serde(default)]
    pub swap_in: Option<u64>,
    /// Pages written to swap.
    #[serde(default)]
    pub swap_out: Option<u64>,
    /// Page faults that needed a disk.
    #[serde(default)]
    pub major_faults: Option<u64>,
    /// Other page faults.
    #[serde(default)]
    pub minor_faults: Option<u64>,
}
