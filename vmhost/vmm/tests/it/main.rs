//! Integration tests, one module a subject.

mod confined_devices;
mod disk;
mod control;
mod jail;
mod memory;
