//! Disks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm_fuzz::{devices::Block, hostile};

fuzz_target!(|bytes: &[u8]| {
    if let Some((first, rest)) = bytes.split_first() {
        hostile::play(&mut Block::new(*first), rest);
    }
});
