//! Kernels, initramfs and command lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm_fuzz::kernel;

fuzz_target!(|bytes: &[u8]| kernel::load(bytes));
