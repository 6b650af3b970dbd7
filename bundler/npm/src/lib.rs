//! Dependency ranges in, a lockfile and verified package files out.
