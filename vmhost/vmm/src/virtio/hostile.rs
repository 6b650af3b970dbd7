//! A guest that does what bytes say: for fuzzers, whose input is the bytes.
//!
//! In:  a device and a script of driver's actions, sensible or not.
//! Out: nothing, or a panic where the device does what no guest may make it do.
//!
//! What the host's side of a device must never do is for its own entry to say:
//! `fuzz_net`, `fuzz_balloon` and `fuzz_entropy`.

use vm_memory::{Bytes as _, GuestAddress};

use super::testing::{Bench, Driver};
use super::{Device, Fault};

pub use super::balloon::fuzz_balloon;
pub use super::entropy::fuzz_entropy;
pub use super::net::fuzz_net;

/// Descriptors of each queue: few, so that they are reused while in flight.
pub const QUEUE_SIZE: u16 = 16;

/// Where buffers mostly lie; `fill` may put something there that makes sense.
const PLACES: u64 = 0x80_0000;
const PLACE_SIZE: u64 = 64;

/// Bytes that are read once; after their end there are zeros.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// Whether there is an action left.
    pub fn goes_on(&self) -> bool {
        !self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// Up to `count` bytes.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// An address: one of few places where buffers meet, or anywhere.
    fn address(&mut self) -> u64 {
        match self.byte() {
            0xFF => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
            0xFE => (32 << 20) - u64::from(self.byte()),
            0xFD => 0x10_0000 * u64::from(self.byte() % 6) + u64::from(self.short()),
            place => PLACES + u64::from(place) * PLACE_SIZE,
        }
    }

    /// A length: mostly such as requests have, or any.
    fn length(&mut self) -> u32 {
        match self.byte() {
            0xFF => u32::from_le_bytes(std::array::from_fn(|_| self.byte())),
            0xFE => u32::from(self.short()),
            length => u32::from(length),
        }
    }
}

/// Writes something sensible to each place where buffers mostly lie.
///
/// # Panics
/// Never: there is memory.
pub fn fill<D: Device>(bench: &Bench<D>, sensible: impl Fn(u8) -> Vec<u8>) {
    for place in 0..0xFD {
        let address = GuestAddress(PLACES + u64::from(place) * PLACE_SIZE);
        bench.ram.memory().write_slice(&sensible(place), address).expect("there is memory");
    }
}

/// Plays `data` to a device; every eighth kind of action is left to `other`, which also fires events.
pub fn play<D: Device>(bench: &mut Bench<D>, data: &[u8], mut other: impl FnMut(&mut Bench<D>, &mut Script<'_>)) {
    let mut script = Script(data);
    while script.goes_on() {
        let action = script.byte();
        let queue = usize::from(action >> 4) % bench.drivers.len();
        let memory = bench.ram.memory().clone();
        match action & 7 {
            0 => {
                let (index, flags, next) = (script.short() % QUEUE_SIZE, script.byte(), script.byte());
                let (address, length) = (script.address(), script.length());
                bench.drivers[queue].descriptor(&memory, index, address, length, flags.into(), next.into());
            }
            1 => {
                let head = script.byte().into();
                bench.drivers[queue].offer(&memory, head);
            }
            2 => {
                let count = script.byte();
                let readable: Vec<_> = (0..count & 3).map(|_| (script.address(), script.length())).collect();
                let writable: Vec<_> = (0..(count >> 2 & 3)).map(|_| (script.address(), script.length())).collect();
                if readable.len() + writable.len() > 0 {
                    bench.drivers[queue].chain(&memory, &readable, &writable);
                }
            }
            3 | 4 => {
                let result = bench.kick(queue);
                reset_after(bench, &result);
            }
            5 => {
                let (address, count) = (script.address(), script.byte());
                // Beyond the end of memory there is nothing to write to.
                let _ = memory.write_slice(script.bytes(count.into()), GuestAddress(address));
            }
            6 => match script.byte() {
                0 => reset_after(bench, &Err(Fault::Request("the driver resets it"))),
                1 => bench.features = bench.device.features() & u64::from_le_bytes([script.byte(); 8]),
                2 => bench.device.write_config(script.byte().into(), script.bytes(4)),
                3 => bench.device.read_config(script.byte().into(), &mut [0; 8]),
                4 => {
                    let state = bench.device.save();
                    bench.device.restore(&state).expect("its own state");
                    let result = bench.with(Device::start);
                    reset_after(bench, &result);
                }
                5 => {
                    // What a snapshot says may be anything.
                    let _ = bench.device.restore(script.bytes(24));
                }
                index => bench.drivers[queue].set_available_index(&memory, index.into()),
            },
            _ => other(bench, &mut script),
        }
    }
}

/// What transport and driver do after a fault: the device and its rings start anew.
pub fn reset_after<D: Device>(bench: &mut Bench<D>, result: &Result<(), Fault>) {
    if result.is_ok() {
        return;
    }
    bench.device.reset();
    bench.features = bench.device.features();
    for (number, driver) in (1..).zip(&mut bench.drivers) {
        let start = 0x10_0000 * number;
        *driver = Driver::new(start, QUEUE_SIZE);
        bench.ram.memory().write_slice(&[0; 1024], GuestAddress(start)).expect("the rings lie in memory");
    }
    let mut drivers = std::mem::take(&mut bench.drivers);
    let memory = bench.ram.memory().clone();
    let restarted = bench.with(|device, io| {
        for (driver, queue) in drivers.iter_mut().zip(io.queues.iter_mut()) {
            queue.reset();
            driver.set_up(&memory, queue);
        }
        device.start(io)
    });
    bench.drivers = drivers;
    restarted.expect("empty queues are valid");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts that depend on nothing but their number (xorshift, Marsaglia 2003).
    fn scripts(count: u64) -> impl Iterator<Item = Vec<u8>> {
        (1..=count).map(|seed| {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut next = move || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            };
            (0..600).map(|_| next()).collect()
        })
    }

    #[test]
    fn no_script_breaks_a_device() {
        for script in scripts(200) {
            fuzz_net(&script);
            fuzz_balloon(&script);
            fuzz_entropy(&script);
        }
    }
}
