//! Integration tests, one module a subject.

mod confined_devices;
mod disk;
mod jail;
mod memory;
