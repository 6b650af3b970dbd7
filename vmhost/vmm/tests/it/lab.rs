//! Tests that run inside the lab machine, where `/dev/kvm` runs whole kernels: `cargo xtask test lab`.
//!
//! Each is `#[ignore]`d, as it can't pass elsewhere; the lab runs ignored tests.

mod balloon;
mod block;
mod boot;
mod confined;
mod ends;
mod kvm;
mod net;
mod shapes;
mod tools;
mod vm;
mod vsock;
mod whole;
