//! Random numbers of the host for the guest (virtio 1.2, 5.4).
//!
//! In:  writable buffers. Out: the same, filled from `getrandom`.
//!
//! How much a request gets, and how often, is limited: making random numbers
//! costs the host CPU time that it can't charge to a vCPU. Nothing waits: a
//! refused request stays in the queue until the timer fires.

mod fuzz;
mod getrandom;

use std::io;

use vmm_control::{Bucket, RateLimit};

pub use self::fuzz::fuzz_entropy;
use super::chain::mark_written;
use super::{Device, Fault, Io, Kind};
use crate::events::{Interest, Poll, Ready};
use crate::rate::RateLimiter;
use crate::state::{StateError, decode, encode};

/// The most that one request gets, in bytes; a driver asks again for more.
pub const MAX_REQUEST: u64 = 64 << 10;

const REQUESTS: usize = 0;
const QUEUE_SIZE: u16 = 64;
const TIMER: u32 = 0;

/// What a source of random numbers is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntropyOptions {
    /// How fast the guest may take; both parts bound the device thread's time.
    pub rate: RateLimit,
}

impl Default for EntropyOptions {
    /// 1 MiB and 1000 requests a second: far more than a guest that seeds its own generator needs.
    fn default() -> Self {
        let bucket = |count| Some(Bucket { per_second: count, burst: count });
        Self { rate: RateLimit { bytes: bucket(1 << 20), operations: bucket(1000) } }
    }
}

/// The device.
pub struct Entropy {
    limiter: RateLimiter,
    bytes: u64,
    requests: u64,
    throttled: u64,
}

impl Entropy {
    /// A source without limit in time, with a limit in rate.
    ///
    /// # Errors
    /// When the host has no descriptor left.
    pub fn new(options: EntropyOptions) -> io::Result<Self> {
        Ok(Self { limiter: RateLimiter::new(options.rate)?, bytes: 0, requests: 0, throttled: 0 })
    }

    fn serve(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        while let Some(chain) = io.pop(REQUESTS)? {
            let mut writer = chain.writer(io.memory);
            let count = writer.left().min(MAX_REQUEST);
            if !self.limiter.take(count).map_err(host("arm a timer"))? {
                io.unpop(REQUESTS);
                self.throttled += 1;
                break;
            }
            let slices = writer.slices(usize::try_from(count).unwrap_or_default());
            for slice in &slices {
                getrandom::fill(slice).map_err(host("get random numbers"))?;
            }
            mark_written(&slices, usize::MAX);
            io.push(REQUESTS, chain.head(), writer.written())?;
            self.requests += 1;
            self.bytes += count;
        }
        io.notify(REQUESTS)
    }
}

fn host(context: &'static str) -> impl Fn(io::Error) -> Fault {
    move |source| Fault::Host { context, source }
}

impl Device for Entropy {
    fn kind(&self) -> Kind {
        Kind::Entropy
    }

    fn features(&self) -> u64 {
        0
    }

    fn queue_sizes(&self) -> &[u16] {
        &[QUEUE_SIZE]
    }

    fn read_config(&self, _offset: u64, _data: &mut [u8]) {}

    fn attach(&mut self, poll: Poll) -> io::Result<()> {
        poll.add(self.limiter.fd(), TIMER, Interest::Read)
    }

    fn start(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        self.serve(io)
    }

    fn on_queue(&mut self, _queue: usize, io: &mut Io<'_>) -> Result<(), Fault> {
        self.serve(io)
    }

    fn on_event(&mut self, _source: u32, _ready: Ready, io: &mut Io<'_>) -> Result<(), Fault> {
        self.limiter.fired().map_err(host("read a timer"))?;
        self.serve(io)
    }

    fn reset(&mut self) {}

    fn save(&self) -> Vec<u8> {
        encode(&())
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        decode("the entropy device", state)
    }

    fn metrics(&self) -> Vec<(&'static str, u64)> {
        vec![("sent_bytes", self.bytes), ("requests_count", self.requests), ("throttled_count", self.throttled)]
    }
}

#[cfg(test)]
mod tests {
    use vm_memory::bitmap::Bitmap as _;
    use vm_memory::{Bytes as _, GuestAddress, GuestMemoryBackend as _, GuestMemoryRegion as _};

    use super::*;
    use crate::virtio::testing::Bench;

    const FREE: EntropyOptions = EntropyOptions { rate: RateLimit { bytes: None, operations: None } };

    fn bench(options: EntropyOptions) -> Bench<Entropy> {
        Bench::new(Entropy::new(options).expect("a timer"), 16)
    }

    fn check(readable: &[(u64, u32)], writable: &[(u64, u32)], expected: u32) {
        let mut bench = bench(FREE);
        let head = bench.drivers[0].chain(bench.ram.memory(), readable, writable);
        bench.kick(0).expect("a valid request");
        assert_eq!(bench.drivers[0].used(bench.ram.memory()), Some((u32::from(head), expected)));

        // A snapshot must take them along.
        let is_dirty = |address: u64| {
            let region = bench.ram.memory().find_region(GuestAddress(address)).expect("in memory");
            region.bitmap().dirty_at(usize::try_from(address).expect("64 bits"))
        };
        assert_eq!(writable.first().is_some_and(|buffer| is_dirty(buffer.0)), expected > 0);
        let mut left = expected as usize;
        for &(address, length) in writable {
            let mut bytes = vec![0; length as usize];
            bench.ram.memory().read_slice(&mut bytes, GuestAddress(address)).expect("in memory");
            let (filled, rest) = bytes.split_at(left.min(bytes.len()));
            // 32 random bytes are all zero once in 2^256.
            assert!(filled.chunks_exact(32).all(|chunk| chunk.iter().any(|byte| *byte != 0)), "{writable:?}");
            assert!(rest.iter().all(|byte| *byte == 0), "{writable:?}: beyond the limit");
            left -= filled.len();
        }
    }

    #[test]
    fn buffers_are_filled_up_to_the_limit() {
        check(&[], &[(0x1000, 64)], 64);
        check(&[], &[(0x1000, 1)], 1);
        check(&[], &[(0x1000, 33), (0x3000, 4096)], 4129);
        check(&[(0x8000, 16)], &[(0x1000, 64)], 64);
        check(&[(0x8000, 16)], &[], 0);
        check(&[], &[(0x20_0000, 0x1_0000)], 0x1_0000);
        check(&[], &[(0x20_0000, 0xFFFF), (0x40_0000, 0x10_0000)], 0x1_0000);
        check(&[], &[(0x20_0000, 0x10_0000)], 0x1_0000);
    }

    #[test]
    fn a_refused_request_waits_in_the_queue() {
        let once = RateLimit { bytes: Some(Bucket { per_second: 0, burst: 100 }), operations: None };
        let mut bench = bench(EntropyOptions { rate: once });
        for _ in 0..3 {
            bench.drivers[0].chain(bench.ram.memory(), &[], &[(0x1000, 64)]);
        }
        bench.kick(0).expect("valid requests");
        let served = |bench: &mut Bench<Entropy>| {
            std::iter::from_fn(|| bench.drivers[0].used(bench.ram.memory())).map(|used| used.1).collect::<Vec<_>>()
        };
        assert_eq!(served(&mut bench), [64, 64], "36 were left for the second");
        bench.fire(TIMER).expect("spurious");
        assert_eq!(served(&mut bench), [0u32; 0]);
        bench.device.limiter.set(RateLimit::default());
        bench.fire(TIMER).expect("open");
        assert_eq!(served(&mut bench), [64]);
        assert!(bench.device.metrics().contains(&("throttled_count", 2)));
    }

    #[test]
    fn a_reset_takes_waiting_requests_along() {
        let none = RateLimit { bytes: None, operations: Some(Bucket { per_second: 0, burst: 1 }) };
        let mut bench = bench(EntropyOptions { rate: none });
        for _ in 0..2 {
            bench.drivers[0].chain(bench.ram.memory(), &[], &[(0x1000, 64)]);
        }
        bench.kick(0).expect("valid requests");
        assert!(bench.drivers[0].used(bench.ram.memory()).is_some());
        bench.device.reset();
        let gone = bench.with(|_, io| {
            io.queues[0].reset();
            Ok(())
        });
        gone.expect("no error");
        bench.device.limiter.set(RateLimit::default());
        bench.fire(TIMER).expect("nothing to do");
        assert_eq!(bench.drivers[0].used(bench.ram.memory()), None);
    }

    #[test]
    fn it_has_no_state() {
        let mut device = Entropy::new(FREE).expect("a timer");
        assert_eq!(device.save(), Vec::<u8>::new());
        device.restore(&[]).expect("none is right");
        device.restore(&[1]).expect_err("one byte is wrong");
    }
}
