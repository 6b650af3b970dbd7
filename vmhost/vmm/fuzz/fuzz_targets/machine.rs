//! A machine's state, as a snapshot has it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm_fuzz::saved;

fuzz_target!(|bytes: &[u8]| saved::machine(bytes));
