//! Integration tests, one module a subject.

mod confined_devices;
mod control;
mod disk;
mod flat;
mod jail;
mod lab;
mod memory;
