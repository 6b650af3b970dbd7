//! What a PC has that isn't virtio: a serial port, a reset line, power.

pub mod console;
pub mod ports;
pub mod serial;
