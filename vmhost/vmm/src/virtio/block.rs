//! A disk: virtio-blk (virtio 1.2, 5.2).
//!
//! In:  requests in one queue.
//! Out: work on the image's files, several requests at a time, and their answers.
//!
//! What the host can't do is an I/O error for the guest, never the end of the VM;
//! only a chain that no block driver makes is a fault. Answers come in any order.

mod config;
mod engine;
mod flight;
mod flush;
mod image;
mod request;
#[cfg(test)]
mod tests;

use std::io;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use virtio_bindings::virtio_blk::VIRTIO_BLK_S_OK;
use vmm_control::RateLimit;

use super::{Device, Fault, Io, Kind};
use crate::events::{Interest, Poll, Ready};
use crate::rate::RateLimiter;
use crate::state::{self, StateError};
use engine::Engine;
use flight::Flight;
use flush::Flush;
pub use image::{Image, ImageError, reflink};
use request::{Action, ID, Limits, Request};

const QUEUE_SIZE: u16 = 256;

/// Sources of events.
const OVER: u32 = 0;
const REFILLED: u32 = 1;

/// The number of the job that no request is behind.
const SYNC: u64 = u64::MAX;

/// What a disk is made of.
pub struct BlockOptions {
    /// What the guest reads as its serial number; at most 20 bytes.
    pub id: String,
    /// Its files.
    pub image: Image,
    /// The guest can't write, whatever the image could.
    pub read_only: bool,
    /// How fast it may be used.
    pub rate: RateLimit,
}

/// A disk.
pub struct Block {
    id: String,
    image: Image,
    read_only: bool,
    limiter: RateLimiter,
    /// The limit said no, and the timer runs.
    throttled: bool,
    engine: Engine,
    /// Requests in flight, each at its own place.
    flights: Vec<Option<Flight>>,
    /// Places that are free.
    free: Vec<usize>,
    flush: Flush,
    /// The driver was told another size by the machine that was saved.
    resized: bool,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    reads: u64,
    read_bytes: u64,
    writes: u64,
    written_bytes: u64,
    clears: u64,
    flushes: u64,
    errors: u64,
    throttled: u64,
    latency_us: u64,
}

impl Counters {
    fn count(&mut self, request: &Request) {
        match &request.action {
            Action::Read(data) => {
                self.reads += 1;
                self.read_bytes += data.length();
            }
            Action::Write(data) => {
                self.writes += 1;
                self.written_bytes += data.length();
            }
            Action::Discard | Action::Zero { .. } => self.clears += 1,
            Action::Flush => self.flushes += 1,
            Action::Id(_) | Action::Refused(_) => {}
        }
    }

    fn answered(&mut self, status: u32, since: Instant) {
        self.errors += u64::from(status != VIRTIO_BLK_S_OK);
        self.latency_us += u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
    }
}

#[derive(Serialize, Deserialize)]
struct BlockState {
    sectors: u64,
}

impl Block {
    /// A disk whose work is done by io_uring where the host has it.
    ///
    /// # Errors
    /// When the id is too long, the image can't be written as it should be, or the
    /// host has no descriptors left.
    pub fn new(options: BlockOptions) -> io::Result<Self> {
        Self::with_engine(options, Engine::new()?)
    }

    /// The same without io_uring, one request after another: for fuzzers, whose runs must repeat themselves.
    ///
    /// # Errors
    /// Those of `new`.
    pub fn synchronous(options: BlockOptions) -> io::Result<Self> {
        Self::with_engine(options, Engine::inline()?)
    }

    fn with_engine(options: BlockOptions, engine: Engine) -> io::Result<Self> {
        let BlockOptions { id, image, read_only, rate } = options;
        let invalid = |reason: String| Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        if id.len() > ID {
            return invalid(format!("disk id `{id}` is longer than {ID} bytes"));
        }
        if !read_only && !image.is_writable() {
            return invalid(format!("disk `{id}` is to be written, but its highest layer is frozen"));
        }
        Ok(Self {
            id,
            image,
            read_only,
            limiter: RateLimiter::new(rate)?,
            throttled: false,
            engine,
            flights: Vec::new(),
            free: Vec::new(),
            flush: Flush::default(),
            resized: false,
            counters: Counters::default(),
        })
    }

    /// Other limits from now on.
    pub fn set_rate(&mut self, rate: RateLimit) {
        self.limiter.set(rate);
    }

    /// Looks at the size of a raw image again and tells the driver if it has changed.
    ///
    /// # Errors
    /// When the host can't tell the size.
    pub fn resize(&mut self, io: &mut Io<'_>) -> Result<(), ImageError> {
        let before = self.image.size();
        self.image.refresh_size()?;
        self.tell_size(before, io);
        Ok(())
    }

    /// From now on writes go to `new_top`, an empty overlay of this size or a larger one.
    /// Gives the layer that was written until now: all answered requests are in it, on
    /// the medium, and it is never written again.
    ///
    /// # Errors
    /// When a file can't be synced, or `new_top` isn't fit; nothing has changed then.
    pub fn freeze(&mut self, io: &mut Io<'_>, new_top: std::fs::File) -> Result<std::fs::File, ImageError> {
        if self.read_only {
            return Err(ImageError::ReadOnly);
        }
        let failed = |fault| ImageError::Io { context: "finish requests in flight", source: io::Error::other(fault) };
        self.drain(io).map_err(failed)?;
        let before = self.image.size();
        let frozen = self.image.freeze(new_top)?;
        self.tell_size(before, io);
        Ok(frozen)
    }

    fn tell_size(&self, before: u64, io: &Io<'_>) {
        if self.image.size() != before {
            io.interrupt.config();
        }
    }

    fn limits(&self) -> Limits {
        Limits { size: self.image.size(), writable: !self.read_only }
    }

    fn in_flight(&self) -> usize {
        self.flights.len() - self.free.len()
    }
}

impl Device for Block {
    fn kind(&self) -> Kind {
        Kind::Block
    }

    fn features(&self) -> u64 {
        config::features(self.limits())
    }

    fn queue_sizes(&self) -> &[u16] {
        &[QUEUE_SIZE]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let space = config::space(self.limits());
        let rest = usize::try_from(offset).ok().and_then(|offset| space.get(offset..)).unwrap_or_default();
        data.iter_mut().zip(rest).for_each(|(byte, value)| *byte = *value);
    }

    fn attach(&mut self, poll: Poll) -> io::Result<()> {
        poll.add(self.engine.ready(), OVER, Interest::Read)?;
        poll.add(self.limiter.fd(), REFILLED, Interest::Read)
    }

    fn start(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        if std::mem::take(&mut self.resized) {
            io.interrupt.config();
        }
        self.turn(io)
    }

    fn on_queue(&mut self, _: usize, io: &mut Io<'_>) -> Result<(), Fault> {
        self.turn(io)
    }

    fn on_event(&mut self, source: u32, _: Ready, io: &mut Io<'_>) -> Result<(), Fault> {
        match source {
            OVER => self.engine.acknowledge(),
            REFILLED => {
                let fired = self.limiter.fired();
                fired.map_err(|source| Fault::Host { context: "read the timer of a disk's limit", source })?;
            }
            _ => {}
        }
        self.turn(io)
    }

    fn reset(&mut self) {
        self.engine.cancel();
        self.give_up_flush();
        self.flush = Flush::default();
        self.flights.clear();
        self.free.clear();
        self.throttled = false;
    }

    fn drain(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        while self.in_flight() > 0 {
            self.engine.wait();
            self.complete(io)?;
        }
        // Bits of the bitmap that no flush has written are all there is in memory only. If
        // they can't be written they stay; a freeze tries again and says why.
        if self.image.overlays() > 0 && self.image.persist().is_err() {
            self.counters.errors += 1;
        }
        io.notify(0)
    }

    fn save(&self) -> Vec<u8> {
        state::encode(&BlockState { sectors: self.image.size() / image::SECTOR })
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        let BlockState { sectors } = state::decode("disk", state)?;
        let now = self.image.size() / image::SECTOR;
        if sectors > now {
            let reason = format!("the disk had {sectors} sectors, and its files have {now}");
            return Err(StateError::Invalid { part: "disk", reason });
        }
        self.resized = sectors != now;
        Ok(())
    }

    fn metrics(&self) -> Vec<(&'static str, u64)> {
        let counters = &self.counters;
        vec![
            ("reads", counters.reads),
            ("read_bytes", counters.read_bytes),
            ("writes", counters.writes),
            ("written_bytes", counters.written_bytes),
            ("clears", counters.clears),
            ("flushes", counters.flushes),
            ("errors", counters.errors),
            ("throttled", counters.throttled),
            ("latency_us", counters.latency_us),
            ("in_flight", self.in_flight() as u64),
            ("io_uring", self.engine.is_background().into()),
        ]
    }
}
