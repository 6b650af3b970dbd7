//! Tests that run inside the lab machine, where `/dev/kvm` runs whole kernels: `cargo xtask test lab`.
//!
//! Each is `#[ignore]`d, as it can't pass elsewhere; the lab runs ignored tests.

mod balloon;
mod block;
mod boot;
mod clones;
mod confined;
mod ends;
mod going_on;
mod host;
mod kvm;
mod net;
mod shapes;
mod snapshot;
mod tools;
mod vm;
mod vsock;
mod whole;
