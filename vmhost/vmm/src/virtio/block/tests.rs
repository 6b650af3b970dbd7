//! A driver's requests against files, by io_uring and by plain system calls.

mod files;
mod hostile;
mod layers;
mod requests;

use std::fs::File;
use std::os::fd::{AsRawFd as _, FromRawFd as _, RawFd};
use std::time::{Duration, Instant};

use vm_memory::{Bytes as _, GuestAddress};
use vmm_sys_util::tempfile::TempFile;

use super::*;
use crate::virtio::testing::Bench;

const READ: u32 = 0;
const WRITE: u32 = 1;
const FLUSH: u32 = 4;
const ID_REQUEST: u32 = 8;
const DISCARD: u32 = 11;
const ZEROES: u32 = 13;

const OK: u8 = 0;
const ERROR: u8 = 1;
const UNSUPPORTED: u8 = 2;

/// Where requests lie in the bench's memory: header, then data, each of its own megabytes.
const HEADERS: u64 = 0x80_0000;
const DATA: u64 = 0x100_0000;

const ENGINES: [fn() -> io::Result<Engine>; 3] = [Engine::new, Engine::inline, || Engine::shuffled(0x5EED)];

/// A disk and its driver.
struct Disk {
    bench: Bench<Block>,
    /// Requests offered and not yet seen used: head, and where the status is.
    offered: Vec<(u16, u64)>,
    /// Requests ever offered.
    count: u64,
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u8,
    used: u32,
    data: Vec<u8>,
}

impl Disk {
    fn new(image: Image, engine: fn() -> io::Result<Engine>) -> Self {
        Self::with(image, engine, |_| {})
    }

    fn with(image: Image, engine: fn() -> io::Result<Engine>, change: fn(&mut BlockOptions)) -> Self {
        let mut options =
            BlockOptions { id: "disk-1".into(), read_only: !image.is_writable(), image, rate: RateLimit::default() };
        change(&mut options);
        let block = Block::with_engine(options, engine().expect("an engine")).expect("a disk");
        Self { bench: Bench::new(block, 256), offered: Vec::new(), count: 0 }
    }

    fn raw(file: &File, engine: fn() -> io::Result<Engine>) -> Self {
        Self::new(Image::open(copy(file), Vec::new(), None).expect("an image"), engine)
    }

    /// Offers a request with `data` to read and `room` to write, in the memory at `DATA + at`.
    fn offer(&mut self, kind: u32, sector: u64, data: &[u8], room: u32, at: u64) {
        let memory = self.bench.ram.memory();
        let header = HEADERS + 32 * (self.count % 256);
        memory.write_slice(&head(kind, sector), GuestAddress(header)).expect("in memory");
        memory.write_slice(data, GuestAddress(DATA + at)).expect("in memory");
        memory.write_obj(0xFFu8, GuestAddress(header + 16)).expect("in memory");
        let data = (DATA + at, u32::try_from(data.len()).expect("short"));
        let head = self.bench.drivers[0].chain(memory, &[(header, 16), data], &[(DATA + at, room), (header + 16, 1)]);
        self.offered.push((head, header + 16));
        self.count += 1;
    }

    /// Notifies the disk and serves its events until all requests are answered: `(status, used)` of each.
    fn finish(&mut self) -> Vec<(u8, u32)> {
        self.bench.kick(0).expect("a valid queue");
        let mut used = std::collections::HashMap::new();
        loop {
            while let Some((head, length)) = self.bench.drivers[0].used(self.bench.ram.memory()) {
                assert_eq!(used.insert(head, length), None, "{head} came back twice");
            }
            if used.len() >= self.offered.len() {
                break;
            }
            let source = self.wait();
            self.bench.fire(source).expect("a valid queue");
        }
        let status = |at| self.bench.ram.memory().read_obj(GuestAddress(at)).expect("in memory");
        let offered = std::mem::take(&mut self.offered);
        offered.into_iter().map(|(head, at)| (status(at), used[&u32::from(head)])).collect()
    }

    /// The next source that is ready.
    fn wait(&self) -> u32 {
        let block = &self.bench.device;
        let found = ready(&[block.engine.ready(), block.limiter.fd()]);
        if found == 0 { OVER } else { REFILLED }
    }

    /// One request, from start to end.
    fn ask(&mut self, kind: u32, sector: u64, data: &[u8], room: u32) -> Answer {
        self.offer(kind, sector, data, room, 0);
        let answers = self.finish();
        let [(status, used)] = answers[..] else { panic!("{answers:?}") };
        let mut data = vec![0; room as usize];
        self.bench.ram.memory().read_slice(&mut data, GuestAddress(DATA)).expect("in memory");
        Answer { status, used, data }
    }

    fn read(&mut self, sector: u64, count: u32) -> Vec<u8> {
        let answer = self.ask(READ, sector, &[], count * 512);
        assert_eq!((answer.status, answer.used), (OK, count * 512 + 1));
        answer.data
    }

    fn write(&mut self, sector: u64, data: &[u8]) {
        assert_eq!(self.ask(WRITE, sector, data, 0).status, OK);
    }

    fn clear(&mut self, kind: u32, sector: u64, count: u32, flags: u32) -> u8 {
        self.ask(kind, 0, &range(sector, count, flags), 0).status
    }

    fn flush(&mut self) {
        assert_eq!(self.ask(FLUSH, 0, &[], 0).status, OK);
    }

    fn metric(&self, name: &str) -> u64 {
        let metrics = self.bench.device.metrics();
        metrics.into_iter().find(|(key, _)| *key == name).expect("a counter").1
    }
}

fn head(kind: u32, sector: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&kind.to_le_bytes());
    bytes[8..].copy_from_slice(&sector.to_le_bytes());
    bytes
}

fn range(sector: u64, count: u32, flags: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&sector.to_le_bytes());
    bytes[8..12].copy_from_slice(&count.to_le_bytes());
    bytes[12..].copy_from_slice(&flags.to_le_bytes());
    bytes
}

/// A file of shared memory, whose file system has holes but no other way to clear.
#[allow(unsafe_code, reason = "the standard library has no memfd_create")]
fn memory(bytes: &[u8]) -> File {
    use std::os::unix::fs::FileExt as _;
    // SAFETY: the name outlives the call, and the descriptor is ours alone.
    let file = unsafe {
        let fd = libc::memfd_create(c"disk".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
        assert!(fd >= 0);
        File::from_raw_fd(fd)
    };
    file.write_all_at(bytes, 0).expect("room");
    file
}

/// A file that has no name any more.
fn file() -> File {
    copy(TempFile::new().expect("a temporary file").as_file())
}

fn filled(bytes: &[u8]) -> File {
    use std::os::unix::fs::FileExt as _;
    let file = file();
    file.write_all_at(bytes, 0).expect("room for it");
    file
}

/// In memory, as random work with real syncs would take long.
fn overlay(size: u64) -> File {
    let file = memory(&[]);
    Image::create_overlay(&file, size).expect("an overlay");
    file
}

fn copy(file: &File) -> File {
    file.try_clone().expect("a descriptor")
}

fn contents(file: &File) -> Vec<u8> {
    use std::os::unix::fs::FileExt as _;
    let mut bytes = vec![0; usize::try_from(file.metadata().expect("a file").len()).expect("small")];
    file.read_exact_at(&mut bytes, 0).expect("a file");
    bytes
}

/// Bytes that tell their place.
fn pattern(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at / 512 * 7 + at % 251) as u8 ^ seed).collect()
}

/// Waits until one of the descriptors is readable, and says which.
fn ready(fds: &[RawFd]) -> usize {
    let epoll = vmm_sys_util::epoll::Epoll::new().expect("epoll");
    let epoll = std::sync::Arc::new(epoll);
    let poll = Poll::new(epoll.clone(), 0);
    for (source, fd) in (0..).zip(fds) {
        poll.add(*fd, source, Interest::Read).expect("a descriptor");
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut events = [vmm_sys_util::epoll::EpollEvent::default()];
    while Instant::now() < deadline {
        match epoll.wait(1000, &mut events) {
            Ok(0) => {}
            Ok(_) => return crate::events::of_token(events[0].data()).1 as usize,
            // io_uring interrupts a wait to finish work in this thread's name.
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::Interrupted),
        }
    }
    panic!("nothing became ready within 20 seconds");
}
