//! I/O ports by which a guest ends its machine, and says that it has booted.
//!
//! ACPI's sleep registers and reset register (hardware-reduced ACPI, 4.8.3.7
//! of the specification), the keyboard controller's reset line that kernels
//! fall back to, and a port whose only use is to measure boot time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::bus::Registers;
use crate::machine::exit::{Exit, ExitRequest};

/// ACPI's sleep control register.
pub const SLEEP_CONTROL: u64 = 0x600;
/// ACPI's sleep status register.
pub const SLEEP_STATUS: u64 = 0x601;
/// ACPI's reset register.
pub const RESET: u64 = 0x602;
/// What the guest writes to `RESET`.
pub const RESET_VALUE: u8 = 1;
/// The value of S5, soft off, in `SLEEP_CONTROL`.
pub const SLEEP_TYPE_S5: u8 = 5;
const SLEEP_ENABLE: u8 = 1 << 5;

/// The keyboard controller's command and status port.
pub const KEYBOARD: u64 = 0x64;
const PULSE_RESET: u8 = 0xFE;

/// The port that a guest writes `BOOTED` to.
pub const MARKER: u64 = 0x3F0;
/// The guest's first process runs.
pub const BOOTED: u8 = 123;

/// The registers at `SLEEP_CONTROL` and after it.
pub struct Power(pub Arc<ExitRequest>);

impl Registers for Power {
    fn read(&self, _: u64, _: &mut [u8]) {}

    fn write(&self, offset: u64, data: &[u8]) {
        match (SLEEP_CONTROL + offset, data.first()) {
            (SLEEP_CONTROL, Some(value)) if *value == SLEEP_TYPE_S5 << 2 | SLEEP_ENABLE => {
                self.0.request(Exit::PoweredOff);
            }
            (RESET, Some(&RESET_VALUE)) => self.0.request(Exit::Reset),
            _ => {}
        }
    }
}

/// The keyboard controller, of which only the reset line exists.
///
/// Its status reads as zeros, "ready": a kernel that waits for all ones to
/// clear would try 65536 times before each reset.
pub struct Keyboard(pub Arc<ExitRequest>);

impl Registers for Keyboard {
    fn read(&self, _: u64, _: &mut [u8]) {}

    fn write(&self, _: u64, data: &[u8]) {
        if data.first() == Some(&PULSE_RESET) {
            self.0.request(Exit::Reset);
        }
    }
}

/// Measures the time from the machine's start to the guest's word.
pub struct Marker {
    start: Instant,
    /// Zero: not yet.
    booted_us: AtomicU64,
    exits: Arc<ExitRequest>,
}

impl Marker {
    /// Counts from `start`, and wakes the device thread by `exits`.
    pub fn new(start: Instant, exits: Arc<ExitRequest>) -> Self {
        Self { start, booted_us: AtomicU64::new(0), exits }
    }

    /// When the guest first said that it had booted, in microseconds from the start.
    pub fn booted_us(&self) -> Option<u64> {
        Some(self.booted_us.load(Ordering::Acquire)).filter(|time| *time != 0)
    }
}

impl Registers for Marker {
    fn read(&self, _: u64, _: &mut [u8]) {}

    fn write(&self, _: u64, data: &[u8]) {
        if data.first() == Some(&BOOTED) {
            let time = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
            if self.booted_us.compare_exchange(0, time, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                self.exits.wake();
            }
        }
    }
}
