//! Integration tests, one module a subject.

mod disk;
mod jail;
