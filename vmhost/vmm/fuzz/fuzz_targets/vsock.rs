//! Sockets, behind their registers, or called as their own entry for fuzzers calls them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm_fuzz::{devices::Vsock, hostile};

fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((first, rest)) if first & 1 == 0 => hostile::play(&mut Vsock::new(), rest),
        Some((_, rest)) => vmm::virtio::vsock::fuzz::fuzz_vsock(rest),
        None => {}
    }
});
