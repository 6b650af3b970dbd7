//! The source of random numbers, with little to give and without limit.

use vmm::virtio::entropy::EntropyOptions;
use vmm::virtio::{Device, entropy};
use vmm_control::{Bucket, RateLimit};

use crate::hostile::Subject;

/// A source with a limit, or without.
pub struct Entropy {
    /// Whether it has one.
    pub limited: bool,
}

impl Subject for Entropy {
    fn device(&mut self) -> Box<dyn Device> {
        let bucket = |burst| self.limited.then_some(Bucket { per_second: 1, burst });
        let rate = RateLimit { bytes: bucket(200), operations: bucket(5) };
        Box::new(entropy::Entropy::new(EntropyOptions { rate }).expect("the host has a timer"))
    }
}
