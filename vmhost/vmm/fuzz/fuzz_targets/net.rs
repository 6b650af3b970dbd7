//! Network cards, behind their registers, or called as their own entry for fuzzers calls them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm_fuzz::{devices::Net, hostile};

fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((first, rest)) if first & 2 == 0 => hostile::play(&mut Net::new(first & 1 == 1), rest),
        Some((_, rest)) => vmm::virtio::hostile::fuzz_net(rest),
        None => {}
    }
});
