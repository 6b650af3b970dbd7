//! The source of random numbers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm_fuzz::{devices::Entropy, hostile};

fuzz_target!(|bytes: &[u8]| {
    if let Some((first, rest)) = bytes.split_first() {
        hostile::play(&mut Entropy { limited: first & 1 == 1 }, rest);
    }
});
