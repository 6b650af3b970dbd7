//! A memory balloon (virtio 1.2, 5.5): memory that the guest gives up returns to the host.
//!
//! In:  page numbers the guest doesn't use any more, or reports as free.
//! Out: ranges of guest memory for `Discard`, which gives their pages to the host.
//!
//! What a given-up page holds when the guest takes it back depends on what is
//! behind it: zeros in shared memory; in memory that is a private mapping of a
//! frozen image, what that image holds, which is old content of this same VM
//! (or of the one it was cloned from) and never anybody else's. Page poisoning
//! isn't offered, so the driver relies on neither, and a Linux guest that wants
//! freed pages zeroed doesn't report them.
//!
//! Queues are numbered as drivers number them: those that weren't agreed to
//! leave no gap.

mod fuzz;
mod pages;
mod statistics;

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vm_memory::{GuestAddress, GuestMemoryBackend as _};

pub use self::fuzz::fuzz_balloon;
use self::statistics::Statistics;
use super::wake::Wake;
use super::{Device, Fault, Io, Kind};
use crate::events::{Interest, Poll, Ready};
use crate::state::{StateError, decode, encode};
use crate::timer::Timer;

/// Gives the pages of a range (its guest address and length in bytes) to the host. Both are
/// whole pages in guest memory when the guest inflates; a reported range is cut to whole pages.
pub type Discard = Box<dyn FnMut(GuestAddress, u64) -> io::Result<()> + Send>;

/// `VIRTIO_BALLOON_F_STATS_VQ`.
const STATS: u32 = 1;
/// `VIRTIO_BALLOON_F_DEFLATE_ON_OOM`.
const DEFLATE_ON_OOM: u32 = 2;
/// `VIRTIO_BALLOON_F_REPORTING`.
const REPORTING: u32 = 5;

const INFLATE: usize = 0;
const DEFLATE: usize = 1;

const TIMER: u32 = 0;
const WAKE: u32 = 1;

/// Each chain may cost a system call a page: after so many, other devices have their turn.
const CHAINS_A_TURN: usize = 4;
const PAGES_A_MIB: u32 = 256;

/// What a balloon is like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BalloonOptions {
    /// What the guest is asked to give up at first, in MiB.
    pub target_mib: u32,
    /// The guest tells of pages it has freed.
    pub free_page_reporting: bool,
    /// The guest may take pages back when it runs out of memory.
    pub deflate_on_oom: bool,
    /// How often statistics are asked for by itself; never if absent or zero.
    pub statistics_interval: Option<Duration>,
}

/// The device.
pub struct Balloon {
    options: BalloonOptions,
    discard: Discard,
    timer: Timer,
    wake: Wake,
    live: Live,
    counters: Counters,
}

/// What a snapshot keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Live {
    target_pages: u32,
    /// What the driver says it has given up.
    actual_pages: u32,
    /// The chain by which the driver handed in statistics; it comes back when new ones are wanted.
    statistics_head: Option<u16>,
    statistics: Statistics,
}

#[derive(Default)]
struct Counters {
    inflated_pages: u64,
    deflate_requests: u64,
    reported_bytes: u64,
    statistics_updates: u64,
    discard_failures: u64,
}

impl Balloon {
    /// A balloon with nothing in it yet.
    ///
    /// # Errors
    /// When the host has no descriptor left.
    pub fn new(options: BalloonOptions, discard: Discard) -> io::Result<Self> {
        let live = Live { target_pages: pages_of(options.target_mib), ..Live::default() };
        Ok(Self { options, discard, timer: Timer::new()?, wake: Wake::new()?, live, counters: Counters::default() })
    }

    /// Asks the guest to give up so much memory in all, in MiB; it does so in its own time, or not.
    pub fn set_target_mib(&mut self, io: &mut Io<'_>, mib: u32) {
        self.live.target_pages = pages_of(mib);
        // A driver that isn't there yet reads the target when it comes.
        if io.queues.iter().any(super::Queue::is_ready) {
            io.interrupt.config();
        }
    }

    /// What the guest is asked to give up, in MiB.
    pub fn target_mib(&self) -> u32 {
        self.live.target_pages / PAGES_A_MIB
    }

    /// What the guest says it has given up, in MiB.
    pub fn actual_mib(&self) -> u32 {
        self.live.actual_pages / PAGES_A_MIB
    }

    /// The last statistics that the guest has sent, by name; those it doesn't know are absent.
    pub fn stats(&self) -> Vec<(&'static str, u64)> {
        self.live.statistics.values()
    }

    /// Asks the guest for new statistics; whether it can be asked now.
    ///
    /// # Errors
    /// When the ring has gone.
    pub fn request_stats(&mut self, io: &mut Io<'_>) -> Result<bool, Fault> {
        let (Some(head), true) = (self.live.statistics_head.take(), io.has(STATS)) else { return Ok(false) };
        io.push(statistics_queue(), head, 0)?;
        io.notify(statistics_queue())?;
        Ok(true)
    }

    fn serve(&mut self, queue: usize, io: &mut Io<'_>) -> Result<(), Fault> {
        for _ in 0..CHAINS_A_TURN {
            let Some(chain) = io.pop(queue)? else { return io.notify(queue) };
            match queue {
                INFLATE => self.inflate(&chain, io)?,
                DEFLATE => self.counters.deflate_requests += 1,
                queue if io.has(STATS) && queue == statistics_queue() => {
                    let values = Statistics::read(&mut chain.reader(io.memory))?;
                    self.live.statistics.update(&values);
                    self.counters.statistics_updates += 1;
                    // The chain stays here, to be the next request. If there was one already, the
                    // driver is odd; it gets that one back.
                    let Some(old) = self.live.statistics_head.replace(chain.head()) else { continue };
                    io.push(queue, old, 0)?;
                    continue;
                }
                queue if io.has(REPORTING) && queue == reporting_queue(io) => self.report(&chain),
                _ => return Err(Fault::Request("a balloon queue that wasn't agreed to is used")),
            }
            io.push(queue, chain.head(), 0)?;
        }
        self.wake.ask();
        io.notify(queue)
    }

    fn inflate(&mut self, chain: &super::Chain, io: &Io<'_>) -> Result<(), Fault> {
        let ranges = pages::read(&mut chain.reader(io.memory))?;
        let inside = |range: &pages::Range| {
            usize::try_from(range.length).is_ok_and(|length| io.memory.check_range(range.address, length))
        };
        if !ranges.iter().all(inside) {
            return Err(Fault::Request("a balloon page is not in guest memory"));
        }
        for range in ranges {
            self.counters.inflated_pages += range.length / pages::SIZE;
            self.give_back(range);
        }
        Ok(())
    }

    fn report(&mut self, chain: &super::Chain) {
        for segment in chain.writable() {
            if let Some(range) = pages::whole(segment) {
                self.counters.reported_bytes += range.length;
                self.give_back(range);
            }
        }
    }

    fn give_back(&mut self, range: pages::Range) {
        // That the host can't take a page back is no fault of the guest's, and harms nobody but the host.
        if (self.discard)(range.address, range.length).is_err() {
            self.counters.discard_failures += 1;
        }
    }
}

fn pages_of(mib: u32) -> u32 {
    mib.saturating_mul(PAGES_A_MIB)
}

const fn statistics_queue() -> usize {
    DEFLATE + 1
}

fn reporting_queue(io: &Io<'_>) -> usize {
    if io.has(STATS) { statistics_queue() + 1 } else { DEFLATE + 1 }
}

impl Device for Balloon {
    fn kind(&self) -> Kind {
        Kind::Balloon
    }

    fn features(&self) -> u64 {
        let optional = [(DEFLATE_ON_OOM, self.options.deflate_on_oom), (REPORTING, self.options.free_page_reporting)];
        optional.into_iter().filter(|(_, on)| *on).fold(1 << STATS, |bits, (bit, _)| bits | 1 << bit)
    }

    fn queue_sizes(&self) -> &[u16] {
        if self.options.free_page_reporting { &[256, 256, 16, 64] } else { &[256, 256, 16] }
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let Live { target_pages, actual_pages, .. } = &self.live;
        let bytes = [target_pages.to_le_bytes(), actual_pages.to_le_bytes()].concat();
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
        data.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    }

    fn write_config(&mut self, offset: u64, data: &[u8]) {
        // Only `actual` is the driver's.
        if let (4, Ok(actual)) = (offset, data.try_into()) {
            self.live.actual_pages = u32::from_le_bytes(actual);
        }
    }

    fn attach(&mut self, poll: Poll) -> io::Result<()> {
        poll.add(self.timer.fd(), TIMER, Interest::Read)?;
        poll.add(self.wake.fd(), WAKE, Interest::Read)
    }

    fn start(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        let interval = self.options.statistics_interval.unwrap_or_default();
        self.timer.every(interval).map_err(|source| Fault::Host { context: "arm a timer", source })?;
        (0..io.queues.len()).try_for_each(|queue| self.serve(queue, io))
    }

    fn on_queue(&mut self, queue: usize, io: &mut Io<'_>) -> Result<(), Fault> {
        self.serve(queue, io)
    }

    fn on_event(&mut self, source: u32, _ready: Ready, io: &mut Io<'_>) -> Result<(), Fault> {
        match source {
            TIMER => {
                self.timer.fired().map_err(|source| Fault::Host { context: "read a timer", source })?;
                self.request_stats(io).map(|_| ())
            }
            _ => {
                self.wake.taken();
                (0..io.queues.len()).try_for_each(|queue| self.serve(queue, io))
            }
        }
    }

    fn reset(&mut self) {
        // The target is the host's; all else was the driver's. The timer may go on: it finds no chain
        // to give back. (This is called on a vCPU's thread too, which may do few system calls.)
        self.live = Live { target_pages: self.live.target_pages, ..Live::default() };
    }

    fn save(&self) -> Vec<u8> {
        encode(&self.live)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        self.live = decode("the balloon", state)?;
        Ok(())
    }

    fn metrics(&self) -> Vec<(&'static str, u64)> {
        let Counters { inflated_pages, deflate_requests, reported_bytes, statistics_updates, discard_failures } =
            self.counters;
        vec![
            ("target_mib", self.target_mib().into()),
            ("actual_mib", self.actual_mib().into()),
            ("inflated_pages", inflated_pages),
            ("deflate_requests_count", deflate_requests),
            ("reported_bytes", reported_bytes),
            ("statistics_updates_count", statistics_updates),
            ("discard_failures_count", discard_failures),
        ]
    }
}

#[cfg(test)]
mod tests;
