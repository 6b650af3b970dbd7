//! Integration tests, one module a subject.

mod control;
mod jail;
