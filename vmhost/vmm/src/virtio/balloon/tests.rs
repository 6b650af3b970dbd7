use std::os::linux::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, OnceLock};

use vm_memory::{Bytes as _, GuestMemoryBackend as _, GuestMemoryRegion as _};
use vmm_sys_util::epoll::{Epoll, EpollEvent};
use vmm_sys_util::write_zeroes::PunchHole as _;

use super::*;
use crate::memory::GuestMemory;
use crate::virtio::testing::Bench;

const PFNS: u64 = 0x8000;
const ALL: BalloonOptions =
    BalloonOptions { target_mib: 0, free_page_reporting: true, deflate_on_oom: true, statistics_interval: None };

type Ranges = Arc<Mutex<Vec<(u64, u64)>>>;

/// A balloon that notes what it would give back.
fn recording(options: BalloonOptions) -> (Bench<Balloon>, Ranges) {
    let ranges = Ranges::default();
    let noted = Arc::clone(&ranges);
    let discard: Discard = Box::new(move |address, length| {
        noted.lock().expect("one thread").push((address.0, length));
        Ok(())
    });
    (Bench::new(Balloon::new(options, discard).expect("a balloon"), 16), ranges)
}

fn write_pages(bench: &Bench<Balloon>, numbers: &[u32]) -> (u64, u32) {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    bench.ram.memory().write_slice(&bytes, GuestAddress(PFNS)).expect("in memory");
    (PFNS, u32::try_from(bytes.len()).expect("short"))
}

#[test]
fn inflating_gives_back_what_is_in_memory() {
    const END: u32 = 32 << 8;
    const OUTSIDE: Result<&[(u64, u64)], &str> = Err("a balloon page is not in guest memory");
    let check = |numbers: &[u32], expected: Result<&[(u64, u64)], &str>| {
        let (mut bench, ranges) = recording(ALL);
        let request = write_pages(&bench, numbers);
        let head = bench.drivers[INFLATE].chain(bench.ram.memory(), &[request], &[]);
        let result = bench.kick(INFLATE).map_err(|fault| fault.to_string());
        let found = ranges.lock().expect("one thread").clone();
        match expected {
            Ok(expected) => {
                assert_eq!((result, &found[..]), (Ok(()), expected), "{numbers:?}");
                assert_eq!(bench.drivers[INFLATE].used(bench.ram.memory()), Some((head.into(), 0)));
            }
            Err(expected) => {
                assert_eq!((result, found), (Err(expected.to_owned()), vec![]), "{numbers:?}: nothing is given back");
            }
        }
    };
    check(&[0x300, 0x301, 0x200], Ok(&[(0x20_0000, 0x1000), (0x30_0000, 0x2000)]));
    check(&[END - 1], Ok(&[(0x1FF_F000, 0x1000)]));
    check(&[END], OUTSIDE);
    check(&[END - 1, END], OUTSIDE);
    check(&[0x300, u32::MAX], OUTSIDE);
    check(&[0xC_0000], OUTSIDE);
    check(&[0x300; 4096], Ok(&[(0x30_0000, 0x1000)]));
    check(&[0x300; 4097], Err("an inflate request is no list of at most 4096 pages"));
}

#[test]
fn a_cut_off_page_number_is_refused() {
    let (mut bench, ranges) = recording(ALL);
    bench.drivers[INFLATE].chain(bench.ram.memory(), &[(PFNS, 7)], &[]);
    bench.kick(INFLATE).expect_err("7 bytes are no list of numbers");
    assert!(ranges.lock().expect("one thread").is_empty());
}

#[test]
fn reported_pages_are_given_back_by_the_queue_that_was_agreed_to() {
    for (features, queue) in [(ALL_FEATURES, 3), (ALL_FEATURES & !(1 << STATS), 2)] {
        let (mut bench, ranges) = recording(ALL);
        bench.features = features;
        let chain = [(0x20_0000, 0x40_0000), (0x80_0800, 0x1800)];
        let head = bench.drivers[queue].chain(bench.ram.memory(), &[], &chain);
        bench.kick(queue).expect("a valid report");
        assert_eq!(*ranges.lock().expect("one thread"), [(0x20_0000, 0x40_0000), (0x80_1000, 0x1000)]);
        assert_eq!(bench.drivers[queue].used(bench.ram.memory()), Some((head.into(), 0)));
    }
    let (mut bench, _) = recording(ALL);
    bench.features = 0;
    bench.drivers[3].chain(bench.ram.memory(), &[], &[(0x20_0000, 0x1000)]);
    assert_eq!(
        bench.kick(3).expect_err("nothing was agreed to").to_string(),
        "a balloon queue that wasn't agreed to is used"
    );
}

const ALL_FEATURES: u64 = 1 << STATS | 1 << DEFLATE_ON_OOM | 1 << REPORTING;

#[test]
fn options_are_offered_as_features() {
    for (free_page_reporting, deflate_on_oom, expected) in [
        (false, false, 1 << STATS),
        (true, false, 1 << STATS | 1 << REPORTING),
        (false, true, 1 << STATS | 1 << DEFLATE_ON_OOM),
        (true, true, ALL_FEATURES),
    ] {
        let options = BalloonOptions { free_page_reporting, deflate_on_oom, ..BalloonOptions::default() };
        let (bench, _) = recording(options);
        assert_eq!(bench.features, expected);
        assert_eq!(bench.device.queue_sizes().len(), 3 + usize::from(free_page_reporting));
    }
}

fn aim(bench: &mut Bench<Balloon>, mib: u32) {
    let done = bench.with(|balloon, io| {
        balloon.set_target_mib(io, mib);
        Ok(())
    });
    done.expect("no error");
}

#[test]
fn the_target_is_configuration() {
    let (mut bench, _) = recording(BalloonOptions { target_mib: 3, ..ALL });
    let config = |bench: &Bench<Balloon>, offset| {
        let mut bytes = [0; 4];
        bench.device.read_config(offset, &mut bytes);
        u32::from_le_bytes(bytes)
    };
    assert_eq!([0, 4, 8, u64::MAX].map(|offset| config(&bench, offset)), [3 * 256, 0, 0, 0]);
    aim(&mut bench, 16);
    assert_eq!((config(&bench, 0), bench.interrupt.generation()), (16 * 256, 1));
    bench.device.write_config(4, &(5u32 * 256).to_le_bytes());
    bench.device.write_config(0, &7u32.to_le_bytes());
    bench.device.write_config(4, &[1]);
    assert_eq!((config(&bench, 0), config(&bench, 4), bench.device.actual_mib()), (16 * 256, 5 * 256, 5));
    aim(&mut bench, u32::MAX);
    assert_eq!(config(&bench, 0), u32::MAX);

    let gone = bench.with(|_, io| {
        io.queues.iter_mut().for_each(super::super::Queue::reset);
        Ok(())
    });
    gone.expect("no error");
    aim(&mut bench, 1);
    assert_eq!(bench.interrupt.generation(), 2, "no driver is called that isn't there");
}

/// Writes statistics and hands them in.
fn hand_in(bench: &mut Bench<Balloon>, values: &[(u16, u64)]) -> u16 {
    let bytes: Vec<u8> =
        values.iter().flat_map(|(tag, value)| [&tag.to_le_bytes()[..], &value.to_le_bytes()].concat()).collect();
    bench.ram.memory().write_slice(&bytes, GuestAddress(PFNS)).expect("in memory");
    let length = u32::try_from(bytes.len()).expect("short") + 3;
    let head = bench.drivers[2].chain(bench.ram.memory(), &[(PFNS, length)], &[]);
    bench.kick(2).expect("valid statistics");
    head
}

#[test]
fn statistics_come_when_asked_for() {
    let (mut bench, _) = recording(ALL);
    let ask = |bench: &mut Bench<Balloon>| bench.with(Balloon::request_stats).expect("no error");
    assert!(!ask(&mut bench), "the driver hasn't handed in its buffer");
    let first = hand_in(&mut bench, &[(4, 1 << 20), (5, 2 << 20), (0xFFFF, 1), (16, 1)]);
    assert_eq!(bench.device.stats(), [("free_bytes", 1 << 20), ("total_bytes", 2 << 20)]);
    assert_eq!(bench.drivers[2].used(bench.ram.memory()), None, "it is kept until the next request");
    assert!(ask(&mut bench));
    assert_eq!(bench.drivers[2].used(bench.ram.memory()), Some((first.into(), 0)));
    assert!(!ask(&mut bench), "a request is under way");
    let second = hand_in(&mut bench, &[(4, 7)]);
    assert_eq!(bench.device.stats(), [("free_bytes", 7), ("total_bytes", 2 << 20)]);

    // A snapshot between two requests.
    let state = bench.device.save();
    bench.device.reset();
    assert_eq!(bench.device.stats(), []);
    assert!(!ask(&mut bench));
    bench.device.restore(&state).expect("its own state");
    assert_eq!(bench.device.stats(), [("free_bytes", 7), ("total_bytes", 2 << 20)]);
    bench.fire(TIMER).expect("no error");
    assert_eq!(bench.drivers[2].used(bench.ram.memory()), Some((second.into(), 0)));

    // A driver that hands in two gets the older one back.
    let third = hand_in(&mut bench, &[]);
    let fourth = hand_in(&mut bench, &[(9, 9)]);
    assert_eq!(bench.drivers[2].used(bench.ram.memory()), Some((third.into(), 0)));
    assert!(ask(&mut bench));
    assert_eq!(bench.drivers[2].used(bench.ram.memory()), Some((fourth.into(), 0)));
}

#[test]
fn damaged_state_is_refused() {
    let (mut bench, _) = recording(ALL);
    let state = bench.device.save();
    for length in 0..state.len() {
        bench.device.restore(&state[..length]).expect_err("cut off");
    }
    bench.device.restore(&[state, vec![0]].concat()).expect_err("too long");
}

#[test]
fn a_turn_is_bounded_and_goes_on() {
    let (mut bench, ranges) = recording(ALL);
    let request = write_pages(&bench, &[0x300]);
    for _ in 0..10 {
        bench.drivers[INFLATE].chain(bench.ram.memory(), &[request], &[]);
    }
    let epoll = Arc::new(Epoll::new().expect("epoll"));
    bench.device.attach(Poll::new(Arc::clone(&epoll), 0)).expect("watched");
    bench.kick(INFLATE).expect("valid requests");
    let mut served = vec![];
    let mut events = [EpollEvent::default(); 4];
    loop {
        served.push(ranges.lock().expect("one thread").len());
        if epoll.wait(0, &mut events).expect("no error") == 0 {
            break;
        }
        bench.fire(WAKE).expect("valid requests");
    }
    assert_eq!(served, [4, 8, 10]);
}

#[test]
fn a_host_that_takes_nothing_back_is_counted() {
    let discard: Discard = Box::new(|_, _| Err(io::Error::from(io::ErrorKind::Unsupported)));
    let mut bench = Bench::new(Balloon::new(ALL, discard).expect("a balloon"), 16);
    let request = write_pages(&bench, &[0x300, 0x302]);
    bench.drivers[INFLATE].chain(bench.ram.memory(), &[request], &[]);
    bench.kick(INFLATE).expect("no fault of the guest's");
    assert!(bench.drivers[INFLATE].used(bench.ram.memory()).is_some());
    assert!(bench.device.metrics().contains(&("discard_failures_count", 2)));
}

#[test]
fn the_host_gets_its_memory_back() {
    let memory: Arc<OnceLock<GuestMemory>> = Arc::default();
    let held = Arc::clone(&memory);
    let discard: Discard = Box::new(move |address, length| {
        let memory = held.get().expect("set below");
        let region = memory.find_region(address).expect("checked by the balloon");
        let backing = region.file_offset().expect("a memfd");
        backing.file().try_clone()?.punch_hole(backing.start() + (address.0 - region.start_addr().0), length)
    });
    let mut bench = Bench::new(Balloon::new(ALL, discard).expect("a balloon"), 16);
    memory.set(bench.ram.memory().clone()).expect("once");
    let blocks = |bench: &Bench<Balloon>| {
        let region = bench.ram.memory().iter().next().expect("one region");
        let resident = region.file_offset().expect("a memfd").file().metadata().expect("a file").st_blocks();
        resident * 512
    };
    let filled = vec![0xA5; 16 << 20];
    bench.ram.memory().write_slice(&filled, GuestAddress(8 << 20)).expect("in memory");
    let before = blocks(&bench);
    assert!(before >= 16 << 20);
    // Rings and lists of page numbers take a few pages of their own meanwhile.
    let assert_given_back = |bench: &Bench<Balloon>, length: u64| {
        let found = before - blocks(bench);
        assert!((length - (64 << 10)..=length).contains(&found), "{found} of {length} bytes came back");
    };

    // 4 MiB through the balloon, 8 MiB by a report.
    let numbers: Vec<u32> = (0x800..0xC00).rev().collect();
    let request = write_pages(&bench, &numbers);
    bench.drivers[INFLATE].chain(bench.ram.memory(), &[request], &[]);
    bench.kick(INFLATE).expect("valid");
    assert_given_back(&bench, 4 << 20);
    bench.drivers[3].chain(bench.ram.memory(), &[], &[(0xC0_0000, 4 << 20), (0x100_0000, 4 << 20)]);
    bench.kick(3).expect("valid");
    assert_given_back(&bench, 12 << 20);

    // Taken back, it is memory again, and what was not given up is untouched.
    bench.drivers[DEFLATE].chain(bench.ram.memory(), &[request], &[]);
    bench.kick(DEFLATE).expect("valid");
    let byte = |address| bench.ram.memory().read_obj::<u8>(GuestAddress(address)).expect("in memory");
    assert_eq!([0x80_0000, 0xBF_FFFF, 0x13F_FFFF, 0x140_0000].map(byte), [0, 0, 0, 0xA5]);
    bench.ram.memory().write_obj(7u8, GuestAddress(0x80_0000)).expect("in memory");
    assert_eq!(bench.ram.memory().read_obj::<u8>(GuestAddress(0x80_0000)).expect("in memory"), 7);
}
