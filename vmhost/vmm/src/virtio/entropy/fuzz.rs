//! A hostile guest at the source of random numbers.

use super::super::hostile::{QUEUE_SIZE, play, reset_after};
use super::super::testing::Bench;
use super::{Entropy, EntropyOptions, TIMER};

/// Plays `data` as a driver's actions.
///
/// # Panics
/// When the host is out of descriptors, or the device has a fault.
pub fn fuzz_entropy(data: &[u8]) {
    let device = Entropy::new(EntropyOptions::default()).expect("the host has a timer");
    play(&mut Bench::new(device, QUEUE_SIZE), data, |bench, _| {
        let result = bench.fire(TIMER);
        reset_after(bench, &result);
    });
}
