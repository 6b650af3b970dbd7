//! Dependency ranges in, a lock out; tarballs in, checked files out.
//!
//! Sync and without I/O: [`solve`] says which packuments it needs, whoever
//! drives it fetches them and calls it again. The layout is npm's, the text of
//! a [`Lock`] is `package-lock.json`, and the same inputs give the same bytes
//! natively and in wasm, so locks can be hashed and shared.
//!
//! Everything that comes in was written by others: names, versions and paths
//! are checked before they become paths here, and work is bounded.

mod integrity;
mod lock;
mod name;
mod package;
mod packument;
mod semver;
mod solve;
mod spec;
mod unpack;

pub use integrity::{IntegrityError, verify};
pub use lock::{Lock, LockError};
pub use package::Package;
pub use packument::{Packument, PackumentError, PackumentState};
pub use solve::{Problem, Solve, SolveError, solve};
pub use spec::{Foreign, SpecError};
pub use unpack::{Limits, UnpackError, unpack};

/// Packages in one tree: the largest real ones have some 2,000; this bounds a tree made to exhaust memory.
pub const MAX_PACKAGES: usize = 5_000;
