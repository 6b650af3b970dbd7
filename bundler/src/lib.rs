//! Bytes of a project in; documents, chunks, hot updates and diagnostics out.
//!
//! Pure: no browser, server, clock or file system. [`Project`] is driven by
//! whoever has I/O (the worker, the server, a test): it steps, supplies what a
//! step needs, and steps again. Packages are built by [`prebuild`] to chunks
//! with content addresses, by the same code wherever it runs.
//!
//! It refuses to guess: what does not resolve, parse or fit becomes a
//! [`Diagnostic`] with file, line and remedy, and the last good build stays.

mod build;
mod css;
mod diagnostic;
mod document;
mod files;
mod hash;
mod html;
mod link;
mod load;
mod manifest;
mod media;
mod prebuilt;
mod project;
mod respond;
mod sourcemap;
mod stack;
mod walk;

pub use build::Patch;
pub use diagnostic::{Diagnostic, Severity};
pub use files::{Bytes, InvalidPath, MAX_FILE_BYTES, normalize};
pub use load::Assets;
pub use prebuilt::{FetchTarball, PackageRequest, Prebuilder, Prebuilt, Step as PrebuildStep, prebuild, prebuild_key};
pub use project::{Change, Need, Outcome, Project, RuntimeScripts, Script, Step};
pub use respond::{Body, Response};
pub use stack::Location;
