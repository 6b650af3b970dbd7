//! Saved state that somebody has made up.

use std::sync::Arc;

use vmm::legacy::console::{Console, DEFAULT_LIMIT};
use vmm::legacy::serial::{Serial, SerialState};
use vmm::machine::state::MachineState;
use vmm::memory::{GuestRam, MemoryImage, memfd};
use vmm::snapshot::fuzz_snapshot;
use vmm::state;
use vmm::virtio::MmioState;

/// Reads bytes as the parts of a machine's state, and gives those to who would take them.
///
/// # Panics
/// When a part that was read isn't the same once it was written and read again.
pub fn machine(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => {
            if let Ok(machine) = state::decode::<MachineState>("machine", bytes) {
                let once = state::encode(&machine);
                let again: MachineState = state::decode("machine", &once).expect("our own bytes");
                assert_eq!(state::encode(&again), once);
                let _ = machine.cpu.runs_on(&again.cpu);
            }
        }
        1 => {
            if let Ok(registers) = state::decode::<MmioState>("device", bytes) {
                let again: MmioState = state::decode("device", &state::encode(&registers)).expect("our own bytes");
                assert_eq!(again, registers);
            }
        }
        _ => {
            if let Ok(saved) = state::decode::<SerialState>("serial", bytes) {
                let console = Arc::new(Console::new(DEFAULT_LIMIT).expect("the host has a descriptor"));
                let serial = Serial::new(console).expect("the host has descriptors");
                if serial.restore(&saved).is_ok() {
                    let kept = serial.save();
                    serial.restore(&kept).expect("what it saved itself");
                }
            }
        }
    }
}

/// Reads bytes as a snapshot's state, and as the index of memory.
pub fn snapshot(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    if kind & 1 == 0 {
        return fuzz_snapshot(bytes);
    }
    // As many files as the index wants, of one MiB.
    for count in 0..=2 {
        let file = |_| memfd::create("layer", 1 << 20, false).expect("the host has a memory file");
        let files: Vec<_> = (0..count).map(file).collect();
        files.iter().for_each(|file| memfd::freeze(file).expect("nobody has it mapped"));
        if let Ok(image) = MemoryImage::from_parts(bytes, files.into_iter().map(Into::into).collect()) {
            GuestRam::restore(&image).expect("an image that was checked");
        }
    }
}
