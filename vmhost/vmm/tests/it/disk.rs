//! A disk in a process that is shut in: a driver's registers on one thread, its files on another.
//!
//! Shows that no system call of either is missing in the lists, and that what the
//! driver was told is what the files hold.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use vm_memory::{Bytes as _, GuestAddress};
use vmm::events::{Poll, of_token};
use vmm::jail::seccomp::{Thread, confine, report_refusals};
use vmm::jail::{Identity, Jail};
use vmm::memory::{GuestMemory, GuestRam};
use vmm::virtio::block::{Block, BlockOptions, Image};
use vmm::virtio::mmio::Mmio;
use vmm::virtio::testing::Driver;
use vmm_control::RateLimit;
use vmm_sys_util::epoll::{Epoll, EpollEvent};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

const FOLDER: &str = "VMM_TEST_DISK";
const SIZE: u64 = 8 << 20;

const HEADERS: u64 = 0x40_0000;
const DATA: u64 = 0x80_0000;
const READ: u32 = 0;
const WRITE: u32 = 1;
const FLUSH: u32 = 4;
const DISCARD: u32 = 11;

#[test]
fn a_confined_disk_serves_its_driver_and_survives_its_resets() {
    let folder = std::env::temp_dir().join(format!("vmm-disk-{}", std::process::id()));
    fs::create_dir_all(folder.join("run")).expect("a folder for the test");
    fs::write(folder.join("base"), vec![1; SIZE as usize]).expect("room");
    let Output { status, stdout, stderr } = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "disk::inside", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, &folder)
        // As `Jail::enter` has it, which comes too late here: the test's thread has a heap already.
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .expect("this binary runs");
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    assert_eq!((status.signal(), status.code()), (None, Some(0)), "{text}");
    let open = |name| File::options().read(true).write(true).open(folder.join(name)).expect("a file");
    let image = Image::open(open("base"), vec![open("first")], Some(open("second"))).expect("layers");
    assert_eq!((image.size(), image.overlays()), (SIZE, 2));
    // The frozen layer has the driver's first writes, the second its last, each at its own place.
    let byte = |file: &File, at| {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("a byte");
        byte[0]
    };
    assert_eq!([byte(&open("base"), 4096), byte(&open("first"), 4096), byte(&open("second"), 4096)], [1, 2, 0]);
    assert_eq!([byte(&open("base"), 8192), byte(&open("first"), 8192), byte(&open("second"), 8192)], [1, 0, 3]);
    fs::remove_dir_all(&folder).expect("the folder is there");
}

/// Not a test by itself: what the other runs.
#[test]
#[ignore = "runs in a process of its own, started by the other test of this module"]
fn inside() {
    let Some(folder) = std::env::var_os(FOLDER).map(std::path::PathBuf::from) else { return };
    let new = |name| File::options().read(true).write(true).create_new(true).open(folder.join(name)).expect("a file");
    let (first, second) = (new("first"), new("second"));
    Image::create_overlay(&first, SIZE).expect("an overlay");
    Image::create_overlay(&second, SIZE).expect("an overlay");
    let base = File::open(folder.join("base")).expect("the base");
    let image = Image::open(base, Vec::new(), Some(first)).expect("layers");
    let options = BlockOptions { id: "disk".into(), image, read_only: false, rate: RateLimit::default() };
    let block = Block::new(options).expect("a disk");
    let (ram, epoll) = (GuestRam::create(32).expect("memory"), Arc::new(Epoll::new().expect("epoll")));
    let line = EventFd::new(EFD_NONBLOCK).expect("an eventfd");
    let mmio = Mmio::new(Box::new(block), ram.memory().clone(), line, Poll::new(epoll.clone(), 0)).expect("a device");
    Jail { run_directory: folder.join("run"), identity: Identity::Unique, limits: None }.enter().expect("it holds");
    report_refusals().expect("a handler");

    let (half, whole) = (AtomicBool::new(false), AtomicBool::new(false));
    let frozen = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            confine(Thread::Vcpu).expect("seccomp");
            let driver = Guest { mmio: &mmio, memory: ram.memory() };
            driver.drive(2, 4096);
            half.store(true, Ordering::SeqCst);
            wait(|| frozen.load(Ordering::SeqCst));
            driver.drive(3, 8192);
            whole.store(true, Ordering::SeqCst);
        });
        confine(Thread::Device).expect("seccomp");
        let mut second = Some(second);
        let mut events = [EpollEvent::default(); 8];
        wait(|| {
            let count = epoll.wait(10, &mut events).unwrap_or(0);
            for event in &events[..count] {
                mmio.on_event(of_token(event.data()).1, event.event_set().into());
            }
            if half.load(Ordering::SeqCst)
                && let Some(top) = second.take()
            {
                let result = mmio.with(|block: &mut Block, io| block.freeze(io, top));
                drop(result.expect("it is a disk").expect("a fit overlay"));
                frozen.store(true, Ordering::SeqCst);
            }
            whole.load(Ordering::SeqCst)
        });
    });
    assert_eq!(mmio.take_fault(), None);
}

fn wait(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "nothing happened for 30 seconds");
        std::thread::yield_now();
    }
}

/// A guest with a driver for the disk.
struct Guest<'a> {
    mmio: &'a Mmio,
    memory: &'a GuestMemory,
}

impl Guest<'_> {
    /// Writes a value at a place and reads it back, then leaves many reads behind by a reset.
    fn drive(&self, value: u8, place: u64) {
        let mut queue = self.start();
        self.ask(&mut queue, WRITE, place / 512, &[value; 4096]);
        self.ask(&mut queue, DISCARD, 0, &[&[32, 0, 0, 0, 0, 0, 0, 0], &[8, 0, 0, 0, 0, 0, 0, 0][..]].concat());
        self.ask(&mut queue, FLUSH, 0, &[]);
        assert!(self.ask(&mut queue, READ, place / 512, &[0; 4096]).iter().all(|byte| *byte == value));
        for round in 0..20 {
            for number in 0..64 {
                // A flush is never over at once, whatever the page cache holds.
                let (kind, data) = if number % 8 == 0 { (FLUSH, &[][..]) } else { (READ, &[0; 65536][..]) };
                self.offer(&mut queue, kind, number * 128, data, number);
            }
            self.register(0x50, 0);
            // Sometimes before the device thread has seen it, sometimes in its midst.
            (0..round * 50).for_each(|_| std::thread::yield_now());
            self.register(0x70, 0);
            let marked = vec![0xEE; 64 * 65536];
            self.memory.write_slice(&marked, GuestAddress(DATA)).expect("in memory");
            queue = self.start();
            self.ask(&mut queue, READ, 0, &[0; 512]);
            let mut found = vec![0; marked.len() - 512];
            self.memory.read_slice(&mut found, GuestAddress(DATA + 512)).expect("in memory");
            assert!(found.iter().all(|byte| *byte == 0xEE), "a reset ends all that touches memory");
        }
    }

    fn start(&self) -> Driver {
        for (offset, value) in [(0x70, 0), (0x70, 1), (0x70, 3), (0x24, 0), (0x20, 1 << 9 | 1 << 13), (0x24, 1)] {
            self.register(offset, value);
        }
        // Of 256 descriptors: table, available ring, used ring, as `Driver` lays them out.
        let addresses = [(0x80, 0x10_0000), (0x90, 0x10_1000), (0xA0, 0x10_1208)];
        for (offset, value) in [(0x20, 1), (0x70, 11), (0x30, 0), (0x38, 256)].into_iter().chain(addresses) {
            self.register(offset, value);
        }
        self.memory.write_slice(&[0; 0x2000], GuestAddress(0x10_0000)).expect("in memory");
        self.register(0x44, 1);
        self.register(0x70, 15);
        let mut status = [0; 4];
        self.mmio.read(0x70, &mut status);
        assert_eq!(status, [15, 0, 0, 0]);
        Driver::new(0x10_0000, 256)
    }

    fn register(&self, offset: u64, value: u32) {
        self.mmio.write(offset, &value.to_le_bytes());
    }

    fn offer(&self, queue: &mut Driver, kind: u32, sector: u64, data: &[u8], number: u64) {
        let mut header = [0; 17];
        header[..4].copy_from_slice(&kind.to_le_bytes());
        header[8..16].copy_from_slice(&sector.to_le_bytes());
        header[16] = 0xFF;
        let (place, data_place) = (HEADERS + number * 32, DATA + number * 65536);
        self.memory.write_slice(&header, GuestAddress(place)).expect("in memory");
        let data_buffer = (data_place, u32::try_from(data.len()).expect("short"));
        if kind == READ {
            queue.chain(self.memory, &[(place, 16)], &[data_buffer, (place + 16, 1)]);
        } else {
            self.memory.write_slice(data, GuestAddress(data_place)).expect("in memory");
            queue.chain(self.memory, &[(place, 16), data_buffer], &[(place + 16, 1)]);
        }
    }

    fn ask(&self, queue: &mut Driver, kind: u32, sector: u64, data: &[u8]) -> Vec<u8> {
        self.offer(queue, kind, sector, data, 0);
        self.register(0x50, 0);
        wait(|| queue.used(self.memory).is_some());
        let status: u8 = self.memory.read_obj(GuestAddress(HEADERS + 16)).expect("in memory");
        assert_eq!(status, 0, "request {kind}");
        let mut data = vec![0; data.len()];
        self.memory.read_slice(&mut data, GuestAddress(DATA)).expect("in memory");
        data
    }
}
