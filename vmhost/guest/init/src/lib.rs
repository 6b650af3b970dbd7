//! PID 1 of the first guest: a small static program that tests and benchmarks of the VMM drive.
//!
//! It boots in microseconds, says so, and then does what it's asked: each exercise is a *verb*
//! with words as arguments, and each verb has exactly one reply line.
//!
//! ```text
//! request:  VERB [ARG ...] \n
//! reply:    ok [...] \n      or      error REASON \n
//! ```
//!
//! The same verbs are reached in four ways:
//!
//! | way | when |
//! | --- | --- |
//! | `sandglass.do=VERB,ARG,...;VERB,...` on the kernel's command line | before anything is served; replies go to the console as `sandglass-init: VERB: ok ...` |
//! | `AF_VSOCK` port 1024, any number of connections | always, when the kernel has vsock |
//! | lines typed into the serial console | with `sandglass.serial=1` |
//! | a unix socket, as an ordinary process | `guest-init --serve-unix PATH`, for tests of the verbs themselves |
//!
//! Once it serves, it connects out to the host's vsock port 1025 and writes
//! `ready GENERATION BOOT_ID\n`, so that a host needs no polling; it does so again after a restore
//! or clone that changed the VM generation id. Ports 5000 (echo), 5001 (count
//! and checksum) and 5002 (source of pattern bytes) serve raw streams, see [`services`].
//!
//! Numbers are decimal or `0x` hexadecimal and may end in `K`, `M` or `G` (powers of 1024).
//! A request line has at most [`server::LINE_LIMIT`] bytes, and one without its newline isn't obeyed. The list of verbs is the table in
//! [`verbs`], printed by the verb `help` and explained in this folder's README.
//!
//! A verb that fails, or even panics, never ends the process: for PID 1 that would be the end of
//! the guest. Outside PID 1 the verbs that would change the machine are refused.
//!
//! [`pattern`] is public so that hosts can produce and verify the same bytes.

#![warn(unreachable_pub)]

pub mod boot;
mod cmdline;
mod console;
mod escape;
mod generation;
mod guest;
pub mod pattern;
pub mod server;
pub mod services;
mod stream;
mod sys;
pub mod verbs;

pub use guest::{Guest, HostSide};
