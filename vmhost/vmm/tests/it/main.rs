//! Integration tests, one module a subject.

mod flat;
mod jail;
