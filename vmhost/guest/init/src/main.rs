//! Chooses between the two lives of this program: PID 1 of a guest, or an ordinary process that
//! serves the same verbs on a unix socket.
//!
//! There is no Rust `main`: the standard library's start-up opens `/dev/null` for each standard
//! descriptor that is closed, and aborts when there is none. PID 1 of a guest without a console
//! starts in just that state.

#![no_main]
#![allow(unsafe_code, reason = "the C entry point is exported by name")]

use std::ffi::{c_char, c_int};
use std::io::Write as _;
use std::path::Path;

// SAFETY: the C runtime calls `main` once with this signature, and no other object defines it.
#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--serve-unix", path] => match guest_init::server::serve_unix(Path::new(path)) {
            Ok(()) => 0,
            Err(error) => {
                // Nobody is left to tell when standard error is closed too.
                let _ = writeln!(std::io::stderr(), "guest-init: cannot serve {path}: {error}");
                1
            }
        },
        _ if std::process::id() == 1 => guest_init::boot::run(),
        _ => {
            let _ = writeln!(std::io::stderr(), "usage: guest-init --serve-unix PATH (or run it as PID 1 of a guest)");
            2
        }
    }
}
