//! A snapshot's files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm_fuzz::saved;

fuzz_target!(|bytes: &[u8]| saved::snapshot(bytes));
