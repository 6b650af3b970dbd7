//! A VM's configuration.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm_fuzz::control;

fuzz_target!(|bytes: &[u8]| control::configuration(bytes));
