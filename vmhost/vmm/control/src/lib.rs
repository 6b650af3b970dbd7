//! How a VM's process is configured and told what to do.

mod config;

pub use config::*;
