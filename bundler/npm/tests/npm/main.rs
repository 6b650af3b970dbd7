//! The crate by its public interface: packuments as small texts in, locks out; tarballs made here in, files out.

#![expect(clippy::needless_pass_by_value, reason = "expectations are written in place and used once")]

mod integrity;
mod lock;
mod packument;
mod property;
mod refused;
mod solve;
mod universe;
mod unpack;
