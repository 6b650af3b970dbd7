//! What a machine is while it is paused, as plain data.
//!
//! Guest memory isn't part of it: whoever saves or restores a machine brings
//! both together.

use serde::{Deserialize, Serialize};
use vm_memory::{GuestMemoryBackend as _, GuestMemoryRegion as _};

use super::vm::{KvmError, VmState};
use crate::cpu::model::{CpuMismatch, CpuModel};
use crate::cpu::state::{VcpuState, VcpuStateError};
use crate::legacy::serial::SerialState;
use crate::memory::GuestMemory;
use crate::state::StateError;
use crate::virtio::mmio::MmioState;

/// A paused machine.
#[derive(Clone, Serialize, Deserialize)]
pub struct MachineState {
    /// The CPU that the guest has seen.
    pub cpu: CpuModel,
    /// Start and length of each region of guest memory, in bytes.
    pub memory: Vec<(u64, u64)>,
    /// The vCPUs, by number.
    pub vcpus: Vec<VcpuState>,
    /// The rest of what KVM holds.
    pub vm: VmState,
    /// The serial port.
    pub serial: SerialState,
    /// Numbers (virtio 1.2, 5) and states of the devices, in order.
    pub devices: Vec<(u32, MmioState)>,
}

/// A machine's state can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// vCPUs must be out of the guest.
    #[error("the machine must be paused to be saved")]
    Running,
    /// KVM doesn't give it.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// KVM doesn't give that of a vCPU.
    #[error("vCPU {id}: {source}")]
    Vcpu {
        /// Its number.
        id: usize,
        /// What failed.
        source: VcpuStateError,
    },
}

/// A saved machine can't go on here.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The machine can't be made at all.
    #[error(transparent)]
    Setup(#[from] super::SetupError),
    /// The CPU is another.
    #[error(transparent)]
    Cpu(#[from] CpuMismatch),
    /// The parts are others than those that were saved.
    #[error(
        "the saved machine has {wanted}, this one has {found}: restore with the configuration that it was saved with"
    )]
    Differs {
        /// What was saved.
        wanted: String,
        /// What is here.
        found: String,
    },
    /// KVM refuses a vCPU's state.
    #[error("vCPU {id}: {source}")]
    Vcpu {
        /// Its number.
        id: usize,
        /// What failed.
        source: VcpuStateError,
    },
    /// A device refuses its state.
    #[error(transparent)]
    State(#[from] StateError),
}

impl From<KvmError> for RestoreError {
    fn from(error: KvmError) -> Self {
        Self::Setup(error.into())
    }
}

/// Fails unless `wanted` is `found`.
pub(super) fn same<T: PartialEq>(wanted: &T, found: &T, describe: impl Fn(&T) -> String) -> Result<(), RestoreError> {
    if wanted == found {
        return Ok(());
    }
    Err(RestoreError::Differs { wanted: describe(wanted), found: describe(found) })
}

/// Start and length of each region.
pub(super) fn regions(memory: &GuestMemory) -> Vec<(u64, u64)> {
    memory.iter().map(|region| (region.start_addr().0, region.len())).collect()
}
