//! What the fuzz targets run: guests that do their worst, and files and messages nobody sane would write.
//!
//! In:  bytes that libFuzzer makes up.
//! Out: nothing, or a panic that names the promise that was broken.
//!
//! `hostile` plays a guest against a device behind its real transport and event
//! loop, and checks after every step what no guest may bring about. Targets in
//! `fuzz_targets/` only say which device.

pub mod control;
pub mod devices;
pub mod hostile;
pub mod kernel;
pub mod legacy;
pub mod memory;
pub mod saved;
pub mod script;
