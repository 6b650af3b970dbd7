//! A microVM on KVM: the library behind the `vmm` program, which runs one VM a process.
//!
//! In:  a configuration, opened files, a guest that is hostile from its first instruction.
//! Out: a running machine, its devices, snapshots of it.
//!
//! It knows neither HTTP nor what the VM is for. All devices run on one thread
//! (`events`), each vCPU on its own; a vCPU only ever touches registers.

pub mod boot;
pub mod bus;
pub mod cli;
pub mod control;
pub mod cpu;
pub mod events;
pub mod generation;
pub mod jail;
pub mod legacy;
pub mod log;
pub mod machine;
pub mod memory;
pub mod metrics;
pub mod probe;
pub mod rate;
pub mod run;
pub mod snapshot;
pub mod state;
pub mod timer;
pub mod virtio;
