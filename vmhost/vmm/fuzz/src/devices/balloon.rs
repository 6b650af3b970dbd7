//! The balloon, with all that it offers.

use std::time::Duration;

use vmm::virtio::balloon::{self, BalloonOptions};
use vmm::virtio::{Device, Mmio};

use crate::hostile::Subject;
use crate::memory::STRETCHES;
use crate::script::Script;

/// A balloon whose host checks what it is given.
pub struct Balloon {
    /// Free pages are reported, by a queue more.
    pub reporting: bool,
}

impl Subject for Balloon {
    fn device(&mut self) -> Box<dyn Device> {
        let options = BalloonOptions {
            target_mib: 1,
            free_page_reporting: self.reporting,
            deflate_on_oom: true,
            statistics_interval: Some(Duration::from_secs(3600)),
        };
        let discard = |address: vm_memory::GuestAddress, length: u64| {
            let (start, end) = (address.0, address.0 + length);
            assert!(start % 4096 == 0 && length % 4096 == 0 && length > 0, "{start:#x} {length:#x}: not whole pages");
            // An inflated range may span several stretches, never a gap.
            let inside = |page: u64| STRETCHES.iter().any(|stretch| stretch.contains(&page));
            assert!((start..end).step_by(4096).all(inside), "{start:#x} to {end:#x} isn't guest memory");
            if length == 8192 { Err(std::io::ErrorKind::OutOfMemory.into()) } else { Ok(()) }
        };
        Box::new(balloon::Balloon::new(options, Box::new(discard)).expect("the host has a timer"))
    }

    fn request(&mut self, queue: usize, script: &mut Script<'_>) -> Vec<u8> {
        let count = script.below(20);
        match queue {
            0 | 1 => (0..count).flat_map(|_| u32::from(script.any::<u8>() % 64).to_le_bytes()).collect(),
            _ => {
                let entry = |script: &mut Script<'_>| (u16::from(script.any::<u8>() % 20), script.any::<u64>());
                let bytes = |(tag, value): (u16, u64)| [&tag.to_le_bytes()[..], &value.to_le_bytes()].concat();
                (0..count).flat_map(|_| bytes(entry(script))).collect()
            }
        }
    }

    fn host(&mut self, mmio: &Mmio, script: &mut Script<'_>) {
        mmio.with::<balloon::Balloon, _>(|device, io| match script.below(3) {
            0 => device.set_target_mib(io, script.any()),
            1 => {
                let _ = device.request_stats(io);
            }
            _ => assert!(device.stats().len() <= 16),
        });
    }
}
