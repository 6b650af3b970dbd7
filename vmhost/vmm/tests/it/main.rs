//! Integration tests, one module a subject. What needs a KVM that runs Linux is in `lab`.

mod confined_devices;
mod confined_snapshot;
mod control;
mod disk;
mod flat;
mod jail;
mod lab;
mod memory;
mod program;
