//! Integration tests, one module a subject.

mod jail;
mod memory;
