//! Queues and chains, by a device that only copies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm_fuzz::{devices::Echo, hostile};

fuzz_target!(|bytes: &[u8]| hostile::play(&mut Echo, bytes));
