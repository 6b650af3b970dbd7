//! Tests that run inside the lab machine, where `/dev/kvm` runs whole kernels: `cargo xtask test lab`.
//!
//! Each is `#[ignore]`d, as it can't pass elsewhere; the lab runs ignored tests.

mod balloon;
mod block;
mod boot;
mod cli;
mod clones;
mod confined;
mod ends;
mod going_on;
mod host;
mod kill;
mod kvm;
mod net;
mod pauses;
mod refusals;
mod shapes;
mod size;
mod snapshot;
mod tools;
mod vm;
mod vsock;
mod whole;
