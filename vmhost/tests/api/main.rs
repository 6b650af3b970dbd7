//! The server as its clients see it: real sockets, a registry that does what a test tells it to.

// Expectations and JSON are written in place, where they read best.
#![allow(clippy::needless_pass_by_value)]

mod chunks;
mod client;
mod fixture;
mod packages;
mod prebuild;
mod process;
mod registry;
mod sites;
mod trouble;
