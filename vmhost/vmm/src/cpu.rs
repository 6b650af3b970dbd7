//! What CPU the guest sees, and the state of one.
//!
//! `template` decides which features of the host pass, `cpuid` makes the tables
//! of each vCPU from them, `model` says whether a saved CPU can go on here,
//! `start` gives the first vCPU its first registers, and `state` moves a vCPU
//! from one process to another.

pub mod cpuid;
pub mod model;
pub mod start;
pub mod state;
pub mod template;
pub mod xsave;
