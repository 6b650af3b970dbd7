//! Requests in flight: from the queue to jobs, and from their results back.
//!
//! A request is planned a window at a time, so that a long one over many small
//! pieces of layers costs no memory. One that makes clusters appear in an overlay
//! holds back later writes to the same clusters, which would copy them up.

use std::ops::Range;
use std::time::{Duration, Instant};

use virtio_bindings::virtio_blk::{VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_OK};
use vm_memory::Bytes as _;

use super::engine::{Done, Job, Work};
use super::image::clusters;
use super::request::{Action, MAX_REQUEST, Request};
use super::{Block, QUEUE_SIZE, SYNC};
use crate::virtio::{Fault, Io};

/// Jobs of one request at a time.
const WINDOW: u32 = 16;

/// A request on its way.
pub(super) struct Flight {
    request: Request,
    /// Up to where jobs were begun.
    next: u64,
    running: u32,
    failed: bool,
    /// Clusters that it makes appear in the overlay.
    allocates: Option<Range<u64>>,
    /// The host can't clear this file otherwise.
    by_writing: bool,
    /// A discard that the host can't do: nothing has changed.
    ignored: bool,
    since: Instant,
}

/// What one turn may take, so that a busy disk leaves time for other devices.
struct Budget {
    requests: usize,
    bytes: u64,
    until: Instant,
}

/// How long one turn goes on taking requests.
const TURN: Duration = Duration::from_millis(20);

impl Block {
    /// Takes requests and answers those that are done, as long as there is something to do.
    pub(super) fn turn(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        let until = Instant::now() + TURN;
        let mut budget = Budget { requests: usize::from(QUEUE_SIZE), bytes: MAX_REQUEST, until };
        while self.take(&mut budget, io)? | self.complete(io)? {}
        io.notify(0)
    }

    /// Takes requests; says whether there was any.
    fn take(&mut self, budget: &mut Budget, io: &mut Io<'_>) -> Result<bool, Fault> {
        let mut any = false;
        // A driver can offer chains without end by not waiting for answers.
        while self.flights.len() - self.free.len() < usize::from(QUEUE_SIZE) {
            let Some(chain) = io.pop(0)? else { break };
            if budget.requests == 0 || budget.bytes == 0 || Instant::now() >= budget.until {
                io.unpop(0);
                self.engine.wake();
                break;
            }
            let request = Request::read(&chain, io.memory, self.limits())?;
            if self.must_wait(&request)? {
                io.unpop(0);
                break;
            }
            budget.requests -= 1;
            budget.bytes = budget.bytes.saturating_sub(request.cost());
            any = true;
            self.begin(request, io)?;
        }
        self.begin_flush();
        Ok(any)
    }

    fn must_wait(&mut self, request: &Request) -> Result<bool, Fault> {
        if request.writes() {
            let clusters = clusters(&request.bytes);
            let mut allocated = self.flights.iter().flatten().filter_map(|flight| flight.allocates.as_ref());
            if allocated.any(|other| other.start < clusters.end && clusters.start < other.end) {
                return Ok(true);
            }
        }
        let allowed = self.limiter.take(request.cost());
        let allowed = allowed.map_err(|source| Fault::Host { context: "arm the timer of a disk's limit", source })?;
        self.counters.throttled += u64::from(!allowed && !self.throttled);
        self.throttled = !allowed;
        Ok(!allowed)
    }

    fn begin(&mut self, request: Request, io: &mut Io<'_>) -> Result<(), Fault> {
        self.counters.count(&request);
        let (writes, bytes) = (request.writes(), request.bytes.clone());
        let at_once = match &request.action {
            Action::Refused(status) => Some(*status),
            Action::Id(room) => Some(self.write_id(room)),
            Action::Flush if !self.limits().writable => Some(VIRTIO_BLK_S_OK),
            Action::Flush => None,
            _ if writes && self.image.prepare(&bytes).is_err() => Some(VIRTIO_BLK_S_IOERR),
            _ => None,
        };
        let flight = Flight {
            next: bytes.start,
            allocates: if writes { self.image.allocates(&bytes) } else { None },
            request,
            running: 0,
            failed: false,
            by_writing: false,
            ignored: false,
            since: Instant::now(),
        };
        let place = self.free.pop().unwrap_or_else(|| {
            self.flights.push(None);
            self.flights.len() - 1
        });
        let flush = matches!(flight.request.action, Action::Flush);
        self.flights[place] = Some(flight);
        match at_once {
            Some(status) => self.answer(place, status, io),
            None if flush => {
                self.flush.wait(place);
                Ok(())
            }
            None => self.advance(place, io),
        }
    }

    fn write_id(&self, room: &super::engine::Buffers) -> u32 {
        let mut id = [0; super::request::ID];
        id.iter_mut().zip(self.id.bytes()).for_each(|(byte, name)| *byte = name);
        room.fill(&id);
        VIRTIO_BLK_S_OK
    }

    /// Begins the next jobs of a request, or ends it if there is nothing more to do.
    fn advance(&mut self, place: usize, io: &mut Io<'_>) -> Result<(), Fault> {
        let Some(flight) = self.flights.get_mut(place).and_then(Option::as_mut) else { return Ok(()) };
        let Range { start, end } = flight.request.bytes;
        while flight.next < end && flight.running < WINDOW && !flight.failed {
            let (offset, left) = (flight.next, end - flight.next);
            let (file, length, work) = match &flight.request.action {
                Action::Read(data) => {
                    let run = self.image.locate(offset, left);
                    let part = data.window(offset - start, run.length);
                    let Some(file) = run.file else {
                        part.clear();
                        flight.next += run.length;
                        continue;
                    };
                    (file, run.length, Work::Read(part))
                }
                Action::Write(data) => {
                    (self.image.target().clone(), left, Work::Write(data.window(offset - start, left)))
                }
                Action::Zero { .. } if flight.by_writing => (self.image.target().clone(), left, Work::WriteZeros),
                Action::Zero { unmap: false } => (self.image.target().clone(), left, Work::Zero),
                _ => (self.image.target().clone(), left, Work::Punch),
            };
            flight.next += length;
            flight.running += 1;
            self.engine.begin(place as u64, Job { file, offset, length, work });
        }
        if flight.running > 0 {
            return Ok(());
        }
        if flight.failed {
            return self.answer(place, VIRTIO_BLK_S_IOERR, io);
        }
        let (writes, ignored) = (flight.request.writes(), flight.ignored);
        let bytes = flight.request.bytes.clone();
        if writes && !ignored {
            flight.allocates = None;
            self.image.commit(&bytes);
        }
        // Without flushes there is no cache that could be behind (5.2.6.2).
        if writes && !io.has(virtio_bindings::virtio_blk::VIRTIO_BLK_F_FLUSH) {
            self.flush.wait(place);
            self.begin_flush();
            return Ok(());
        }
        self.answer(place, VIRTIO_BLK_S_OK, io)
    }

    /// Goes on with all jobs that are over; says whether there was any.
    pub(super) fn complete(&mut self, io: &mut Io<'_>) -> Result<bool, Fault> {
        let over = self.engine.over();
        let any = !over.is_empty();
        for done in over {
            match usize::try_from(done.number) {
                _ if done.number == SYNC => self.synced(done.result.is_ok(), io)?,
                Ok(place) => self.settle(place, done, io)?,
                Err(_) => {}
            }
        }
        Ok(any)
    }

    fn settle(&mut self, place: usize, Done { number, job, result }: Done, io: &mut Io<'_>) -> Result<(), Fault> {
        let Some(flight) = self.flights.get_mut(place).and_then(Option::as_mut) else { return Ok(()) };
        let clears = matches!(job.work, Work::Punch | Work::Zero);
        match result {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                self.engine.do_now(number, job);
                return Ok(());
            }
            Err(error) if clears && is_unsupported(&error) => match flight.request.action {
                Action::Discard => flight.ignored = true,
                _ => (flight.by_writing, flight.next) = (true, flight.request.bytes.start),
            },
            Err(_) => flight.failed = true,
            Ok(_) if clears => {}
            // The file has become shorter, or takes nothing.
            Ok(0) => flight.failed = true,
            Ok(count) if count < job.length => {
                self.engine.begin(number, job.rest(count));
                return Ok(());
            }
            Ok(_) => {}
        }
        flight.running -= 1;
        if flight.running == 0 { self.advance(place, io) } else { Ok(()) }
    }

    /// Gives a request back to the driver.
    pub(super) fn answer(&mut self, place: usize, status: u32, io: &mut Io<'_>) -> Result<(), Fault> {
        let Some(Flight { request, since, .. }) = self.flights.get_mut(place).and_then(Option::take) else {
            return Ok(());
        };
        self.free.push(place);
        self.counters.answered(status, since);
        #[allow(clippy::cast_possible_truncation, reason = "there are three values")]
        io.memory
            .write_obj(status as u8, request.status)
            .map_err(|_| Fault::Buffer { address: request.status.0, length: 1 })?;
        io.push(0, request.head, request.written(status == VIRTIO_BLK_S_OK))
    }
}

/// The file system, or the device, has no such thing as a hole.
fn is_unsupported(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL | libc::ENODEV))
}
