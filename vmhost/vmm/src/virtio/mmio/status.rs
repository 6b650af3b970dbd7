//! Register `Status`: which steps a driver may take (virtio 1.2, 2.1 and 3.1.1).

/// The guest has noticed the device.
pub(super) const ACKNOWLEDGE: u32 = 1;
/// It has a driver for it.
pub(super) const DRIVER: u32 = 2;
/// The driver is ready.
pub(super) const DRIVER_OK: u32 = 4;
/// Features are agreed on.
pub(super) const FEATURES_OK: u32 = 8;
/// The device has met an error that only a reset ends; the device's bit.
pub(super) const NEEDS_RESET: u32 = 64;
/// The driver has given up.
pub(super) const FAILED: u32 = 128;

/// The steps to a running device, each with all before it.
const STEPS: [u32; 5] = [
    0,
    ACKNOWLEDGE,
    ACKNOWLEDGE | DRIVER,
    ACKNOWLEDGE | DRIVER | FEATURES_OK,
    ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK,
];

/// Whether a device may be in this state at all.
pub(super) fn is_possible(status: u32) -> bool {
    STEPS.contains(&(status & !(NEEDS_RESET | FAILED)))
}

/// The bit that the driver adds by writing `written`; `None` if that is no step forward it may take.
pub(super) fn step(status: u32, written: u32) -> Option<u32> {
    // Drivers write back what they have read, with or without the device's bit.
    let (status, written) = (status & !NEEDS_RESET, written & !NEEDS_RESET);
    let added = written & !status;
    let allowed = if added == FAILED {
        true
    } else {
        status & FAILED == 0 && STEPS.windows(2).any(|pair| pair == [status, written])
    };
    (allowed && written & status == status).then_some(added)
}

/// Whether driver and device both work.
pub(super) fn runs(status: u32) -> bool {
    status & (DRIVER_OK | NEEDS_RESET | FAILED) == DRIVER_OK
}
