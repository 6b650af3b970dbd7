//! The memory balloon.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm_fuzz::{devices::Balloon, hostile};

fuzz_target!(|bytes: &[u8]| {
    if let Some((first, rest)) = bytes.split_first() {
        hostile::play(&mut Balloon { reporting: first & 1 == 1 }, rest);
    }
});
