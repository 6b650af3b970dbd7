//! A hostile guest at the balloon.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::super::hostile::{QUEUE_SIZE, fill, play, reset_after};
use super::super::testing::Bench;
use super::{Balloon, BalloonOptions, Discard, TIMER, WAKE, pages};

/// Plays `data` as a driver's actions.
///
/// # Panics
/// When the balloon would give back anything but whole pages of guest memory, or the host is out of descriptors.
pub fn fuzz_balloon(data: &[u8]) {
    let end = Arc::new(AtomicU64::new(0));
    let known = Arc::clone(&end);
    let discard: Discard = Box::new(move |address, length| {
        assert!(address.0 % pages::SIZE == 0 && length % pages::SIZE == 0 && length > 0, "whole pages");
        assert!(address.0 + length <= known.load(Ordering::Relaxed), "guest memory");
        Ok(())
    });
    let options = BalloonOptions {
        target_mib: 1,
        free_page_reporting: true,
        deflate_on_oom: true,
        statistics_interval: Some(Duration::from_secs(3600)),
    };
    let mut bench = Bench::new(Balloon::new(options, discard).expect("the host has a timer"), QUEUE_SIZE);
    end.store(32 << 20, Ordering::Relaxed);
    // Pages that there are, some of them neighbours.
    fill(&bench, |place| (0..16u32).flat_map(|number| (0x900 + number * u32::from(place)).to_le_bytes()).collect());
    play(&mut bench, data, |bench, script| {
        let result = match script.byte() % 3 {
            0 => bench.fire(TIMER),
            1 => bench.fire(WAKE),
            _ => {
                let target = script.byte().into();
                bench.with(|balloon, io| {
                    balloon.set_target_mib(io, target);
                    balloon.request_stats(io).map(|_| ())
                })
            }
        };
        reset_after(bench, &result);
        // What the guest tells is shown to people, whatever it is.
        assert!(bench.device.stats().len() <= 16);
    });
}
