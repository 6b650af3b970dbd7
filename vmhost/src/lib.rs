//! The `sandglass` server: serves both origins of a site, packages from npm's registry, chunks built of them.
//!
//! In:  a built site folder, npm's own configuration, requests.
//! Out: files with their security headers; packuments, tarballs, locks, chunks.
//!
//! It refuses to be more than that: a host name that is none of its own gets
//! nothing, and no request can make it fetch anything but a package.

mod access;
mod app;
mod body;
mod chunks;
pub mod config;
mod error;
mod npm;
mod origins;
pub mod prebuild;
mod router;
mod routes;
pub mod server;
mod site;

pub use npm::Source;
