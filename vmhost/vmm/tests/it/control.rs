//! The control socket with real clients, real descriptors and hostile frames; only the VM behind it is a fake.

mod commands;
pub mod fixture;
mod hostile;
mod spawn;
mod verbs;
