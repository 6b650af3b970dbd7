//! Integration tests, one module a subject.

mod confined_snapshot;
mod jail;
mod memory;
