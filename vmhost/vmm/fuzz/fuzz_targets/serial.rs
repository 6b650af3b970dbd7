//! The serial port.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm_fuzz::legacy;

fuzz_target!(|bytes: &[u8]| legacy::serial(bytes));
