//! A guest at the serial port and the other registers of old.

use std::sync::Arc;

use vmm::bus::Registers as _;
use vmm::legacy::console::{Console, DEFAULT_LIMIT};
use vmm::legacy::serial::Serial;

use crate::script::Script;

/// Plays bytes as accesses of the serial port, and as input for it.
///
/// # Panics
/// When it takes less input than it says, or can't be saved and restored.
pub fn serial(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let console = Arc::new(Console::new(DEFAULT_LIMIT).expect("the host has a descriptor"));
    let serial = Serial::new(console).expect("the host has descriptors");
    while !script.is_over() {
        let offset = u64::from(script.any::<u8>() & 7);
        match script.below(6) {
            0 | 1 => serial.write(offset, script.bytes(1)),
            2 => serial.write(offset, script.bytes(40)),
            3 => serial.read(offset, &mut vec![0; script.below(80)]),
            4 => {
                let room = serial.room();
                serial.input(&[b'x'; 64][..room.min(64)]);
                serial.want_room();
            }
            _ => {
                let saved = serial.save();
                serial.restore(&saved).expect("what it saved itself");
                assert_eq!(serial.save(), saved);
            }
        }
    }
}
