//! The event log: what happened to the VM, one JSON object a line.
//!
//! In:  events, from any thread.
//! Out: lines on a descriptor, and the same events for the control socket's subscribers.
//!
//! What a guest can cause is limited, and a reader that doesn't read loses
//! lines: neither may stop the VM or fill the host's disk.

mod limit;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vmm_control::{Event, EventKind};
use vmm_sys_util::eventfd::EventFd;

use limit::Limit;

/// Longest line in bytes: what a pipe takes as a whole (`PIPE_BUF`), or not at all.
const MAX_LINE: usize = 4096;
/// Most events that wait for the control thread.
const MAX_QUEUE: usize = 1024;

/// A handle on the VM's log; clones are handles on the same one.
#[derive(Clone)]
pub struct Log(Arc<Mutex<Inner>>);

struct Inner {
    start: Instant,
    out: Option<File>,
    lost: u64,
    limits: BTreeMap<&'static str, Limit>,
    feed: Option<Feed>,
}

/// Where events wait for subscribers.
struct Feed {
    queue: VecDeque<Event>,
    wake: Arc<EventFd>,
}

impl Log {
    /// A log whose clock starts now, onto `out` if there is one.
    pub fn new(out: Option<File>) -> Self {
        let start = Instant::now();
        Self(Arc::new(Mutex::new(Inner { start, out, lost: 0, limits: BTreeMap::new(), feed: None })))
    }

    /// Writes down what happened.
    pub fn record(&self, kind: EventKind) {
        let mut inner = self.lock();
        let elapsed = inner.start.elapsed();
        if kind.caused_by_guest() {
            let name = kind.name();
            let (allowed, left_out) = inner.limits.entry(name).or_default().take(elapsed);
            if !allowed {
                return;
            }
            if left_out > 0 {
                inner.put(elapsed, EventKind::Suppressed { of: name.to_owned(), count: left_out });
            }
        }
        inner.put(elapsed, kind);
    }

    /// How long the process has been alive.
    pub fn uptime(&self) -> Duration {
        self.lock().start.elapsed()
    }

    /// From now on events are kept for `take`, and `wake` tells of new ones.
    pub(crate) fn feed(&self, wake: Arc<EventFd>) {
        self.lock().feed = Some(Feed { queue: VecDeque::new(), wake });
    }

    /// The events since the last call.
    pub(crate) fn take(&self) -> VecDeque<Event> {
        self.lock().feed.as_mut().map(|feed| std::mem::take(&mut feed.queue)).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn put(&mut self, elapsed: Duration, kind: EventKind) {
        let event = Event { at_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), kind };
        self.write(&event);
        if let Some(feed) = &mut self.feed {
            if feed.queue.len() < MAX_QUEUE {
                feed.queue.push_back(event);
            }
            // Only a counter at its end makes this fail, and then the reader is awake already.
            let _ = feed.wake.write(1);
        }
    }

    fn write(&mut self, event: &Event) {
        let Some(out) = &mut self.out else { return };
        if self.lost > 0 && has_room(out) {
            let count = std::mem::take(&mut self.lost);
            let kind = EventKind::Suppressed { of: "lines".into(), count };
            if !write_line(out, &Event { at_us: event.at_us, kind }) {
                self.lost += count;
            }
        }
        if !has_room(out) || !write_line(out, event) {
            self.lost += 1;
        }
    }
}

/// A full pipe would stop the VM until somebody reads.
fn has_room(out: &File) -> bool {
    let mut fds = [PollFd::new(out, PollFlags::OUT)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

fn write_line(out: &mut File, event: &Event) -> bool {
    let Ok(mut line) = serde_json::to_vec(event) else { return false };
    line.push(b'\n');
    line.len() <= MAX_LINE && out.write_all(&line).is_ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::OwnedFd;

    use super::*;

    fn pipe() -> (std::io::PipeReader, File) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        (reader, File::from(OwnedFd::from(writer)))
    }

    fn fault(number: usize) -> EventKind {
        EventKind::DeviceFault { device: "block:root".into(), reason: format!("number {number}") }
    }

    fn kinds(text: &str) -> Vec<String> {
        let event = |line: &str| serde_json::from_str::<Event>(line).expect("an event").kind.name().to_owned();
        text.lines().map(event).collect()
    }

    #[test]
    fn a_line_an_event() {
        let (mut reader, writer) = pipe();
        let log = Log::new(Some(writer));
        log.record(EventKind::Started);
        log.record(fault(1));
        drop(log);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        assert_eq!(kinds(&text), ["started", "device-fault"]);
        assert!(text.contains(r#""event":"device-fault","device":"block:root","reason":"number 1"}"#), "{text}");
    }

    #[test]
    fn what_guests_cause_is_limited_and_what_hosts_cause_is_not() {
        let (mut reader, writer) = pipe();
        let log = Log::new(Some(writer));
        (0..1000).for_each(|number| log.record(fault(number)));
        (0..100).for_each(|_| log.record(EventKind::Paused));
        drop(log);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        let kinds = kinds(&text);
        assert_eq!(kinds.iter().filter(|kind| *kind == "paused").count(), 100);
        let faults = kinds.iter().filter(|kind| *kind == "device-fault").count();
        assert!((1..50).contains(&faults), "{faults}");
    }

    #[test]
    fn a_reader_that_does_not_read_loses_lines_and_is_told() {
        let (mut reader, writer) = pipe();
        let log = Log::new(Some(writer));
        // A pipe holds 64 KiB at most; a line here has some 30 bytes.
        (0..5000).for_each(|_| log.record(EventKind::Paused));
        rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).expect("a pipe");
        let mut early = Vec::new();
        let drained = reader.read_to_end(&mut early).expect_err("the pipe is open still");
        assert_eq!(drained.kind(), std::io::ErrorKind::WouldBlock);
        assert!(early.len() <= 64 << 10 && early.ends_with(b"\n"));
        log.record(EventKind::Resumed);
        drop(log);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).expect("text");
        assert!(rest.contains(r#""event":"suppressed","of":"lines","count":"#), "{rest}");
        assert!(rest.ends_with("\"event\":\"resumed\"}\n"), "{rest}");
    }
}
