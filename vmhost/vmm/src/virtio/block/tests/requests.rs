//! What requests a disk takes, and what it answers.

use vmm_control::Bucket;

use super::*;

#[test]
fn io_uring_is_used_where_the_host_has_it() {
    let there = io_uring::IoUring::new(8).is_ok();
    assert_eq!(Disk::raw(&file(), Engine::new).metric("io_uring"), u64::from(there));
    assert_eq!(Disk::raw(&file(), Engine::inline).metric("io_uring"), 0);
}

#[test]
fn each_request_has_its_answer() {
    const LAST: u64 = 2047;
    let sector = pattern(512, 3);
    let (one, all) = (range(5, 1, 0), range(0, 2048, 1));
    /// Request, sector, data, room; then status and used length.
    type Case<'a> = (u32, u64, &'a [u8], u32, u8, u32);
    let cases: &[Case<'_>] = &[
        (READ, 0, &[], 512, OK, 513),
        (READ, LAST, &[], 512, OK, 513),
        (READ, 0, &[], 1 << 20, OK, (1 << 20) + 1),
        (READ, 0, &[], 0, OK, 1),
        (READ, LAST + 1, &[], 0, OK, 1),
        (READ, LAST, &[], 1024, ERROR, 0),
        (READ, LAST + 1, &[], 512, ERROR, 0),
        (READ, u64::MAX, &[], 512, ERROR, 0),
        (READ, u64::MAX / 512, &[], 512, ERROR, 0),
        (READ, 0, &[], 511, ERROR, 0),
        (WRITE, 0, &sector, 0, OK, 1),
        (WRITE, LAST, &sector, 0, OK, 1),
        (WRITE, LAST, &sector, 100, OK, 0),
        (WRITE, 0, &[], 0, OK, 1),
        (WRITE, LAST + 1, &sector, 0, ERROR, 1),
        (WRITE, u64::MAX - 1, &sector, 0, ERROR, 1),
        (WRITE, 0, &sector[..511], 0, ERROR, 1),
        (FLUSH, 0, &[], 0, OK, 1),
        (FLUSH, 99, &sector, 0, OK, 1),
        (ID_REQUEST, 0, &[], 20, OK, 21),
        (ID_REQUEST, 0, &[], 3, OK, 4),
        (ID_REQUEST, 0, &[], 100, OK, 20),
        (DISCARD, 0, &one, 0, OK, 1),
        (DISCARD, 0, &all, 0, UNSUPPORTED, 1),
        (DISCARD, 0, &range(2047, 2, 0), 0, ERROR, 1),
        (DISCARD, 0, &range(u64::MAX, 1, 0), 0, ERROR, 1),
        (DISCARD, 0, &one[..15], 0, ERROR, 1),
        (DISCARD, 0, &[0; 32], 0, ERROR, 1),
        (DISCARD, 0, &[], 0, ERROR, 1),
        (ZEROES, 0, &one, 0, OK, 1),
        (ZEROES, 0, &all, 0, OK, 1),
        (ZEROES, 0, &range(0, u32::MAX, 0), 0, ERROR, 1),
        (ZEROES, 0, &range(0, 1, 2), 0, UNSUPPORTED, 1),
        (2, 0, &[], 0, UNSUPPORTED, 1),
        (u32::MAX, 0, &[], 512, UNSUPPORTED, 0),
    ];
    for engine in ENGINES {
        let mut disk = Disk::raw(&filled(&pattern(1 << 20, 0)), engine);
        for &(kind, sector, data, room, status, used) in cases {
            let answer = disk.ask(kind, sector, data, room);
            assert_eq!((answer.status, answer.used), (status, used), "{kind} at {sector}, {} {room}", data.len());
        }
        assert_eq!(disk.metric("errors"), cases.iter().filter(|case| case.4 != OK).count() as u64);
    }
}

#[test]
fn what_no_driver_sends_is_a_fault() {
    // readable, writable
    for (readable, writable, expected) in [
        (&[][..], &[(DATA, 512)][..], "a request is too short"),
        (&[(HEADERS, 15)], &[(DATA, 512)], "a request is too short"),
        (&[(HEADERS, 16)], &[], "a disk's request has no byte for its status"),
        (&[(HEADERS, 16), (DATA, 512)], &[], "a disk's request has no byte for its status"),
        (&[(HEADERS, 16)], &[(DATA, 0)], "a disk's request has no byte for its status"),
        (&[(32 << 20, 16)], &[(DATA, 1)], "buffer at 0x2000000 of 16 bytes is not in guest memory"),
    ] {
        let mut disk = Disk::raw(&filled(&pattern(4096, 0)), Engine::new);
        disk.bench.drivers[0].chain(disk.bench.ram.memory(), readable, writable);
        assert_eq!(disk.bench.kick(0).expect_err(expected).to_string(), expected);
        // After the transport's reset it is as new.
        disk.bench.device.reset();
        assert_eq!(disk.metric("in_flight"), 0);
    }
}

#[test]
fn buffers_may_be_cut_anywhere() {
    let data = pattern(8192, 9);
    for engine in ENGINES {
        for cuts in [vec![16], vec![1, 15, 16, 17], vec![], vec![16, 528, 529, 4000], (16..8000).step_by(40).collect()]
        {
            let mut disk = Disk::raw(&filled(&[0; 16384]), engine);
            let memory = disk.bench.ram.memory().clone();
            let request = [&head(WRITE, 3)[..], &data].concat();
            // Written: header and data as one, cut, each piece far from the next.
            let pieces = scatter(&cuts, request.len());
            for (&(address, length), start) in pieces.iter().zip([0].into_iter().chain(cuts.clone())) {
                let piece = &request[start..start + length as usize];
                memory.write_slice(piece, GuestAddress(address)).expect("in memory");
            }
            disk.offered.push((disk.bench.drivers[0].chain(&memory, &pieces, &[(HEADERS, 1)]), HEADERS));
            assert_eq!(disk.finish(), [(OK, 1)], "{cuts:?}");
            // Read: data and status as one, the status in the last piece or alone.
            memory.write_slice(&head(READ, 3), GuestAddress(HEADERS)).expect("in memory");
            let pieces = scatter(&cuts, data.len() + 1);
            let &(last, length) = pieces.last().expect("at least one");
            let status = last + u64::from(length) - 1;
            disk.offered.push((disk.bench.drivers[0].chain(&memory, &[(HEADERS, 16)], &pieces), status));
            assert_eq!(disk.finish(), [(OK, 8193)], "{cuts:?}");
            let mut found = Vec::new();
            for &(address, length) in &pieces {
                let mut piece = vec![0; length as usize];
                memory.read_slice(&mut piece, GuestAddress(address)).expect("in memory");
                found.extend(piece);
            }
            assert!(found[..8192] == data, "{cuts:?}");
        }
    }
}

/// Pieces of `length` bytes, cut at `cuts`, none beside the next.
fn scatter(cuts: &[usize], length: usize) -> Vec<(u64, u32)> {
    let ends = cuts.iter().copied().chain([length]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let place = |number: u64, start: usize| DATA + number * 16384 + start as u64;
    (0..).zip(starts.zip(ends)).map(|(number, (start, end))| (place(number, start), (end - start) as u32)).collect()
}

#[test]
fn many_requests_are_in_flight_at_a_time() {
    for engine in ENGINES {
        let file = filled(&vec![0; 4 << 20]);
        let mut disk = Disk::raw(&file, engine);
        for round in 0..3u8 {
            for number in 0..60u64 {
                disk.offer(WRITE, number * 100, &pattern(32768, number as u8 ^ round), 0, number * 65536);
            }
            assert!(disk.finish().iter().all(|answer| *answer == (OK, 1)));
        }
        for number in 0..60 {
            disk.offer(READ, number * 100, &[], 32768, number * 65536);
        }
        assert!(disk.finish().iter().all(|answer| *answer == (OK, 32769)));
        for number in 0..60 {
            let mut found = vec![0; 32768];
            disk.bench.ram.memory().read_slice(&mut found, GuestAddress(DATA + number * 65536)).expect("in memory");
            assert!(found == pattern(32768, number as u8 ^ 2), "request {number}");
        }
        assert_eq!((disk.metric("reads"), disk.metric("written_bytes")), (60, 180 * 32768));
    }
}

#[test]
fn a_reset_leaves_guest_memory_alone() {
    for engine in ENGINES {
        let mut disk = Disk::raw(&filled(&pattern(8 << 20, 0)), engine);
        let memory = disk.bench.ram.memory().clone();
        for number in 0..80 {
            disk.offer(READ, number * 128, &[], 65536, number * 65536);
        }
        disk.bench.kick(0).expect("a valid queue");
        disk.bench.device.reset();
        let marked = vec![0xEE; 80 * 65536];
        memory.write_slice(&marked, GuestAddress(DATA)).expect("in memory");
        assert_eq!(disk.metric("in_flight"), 0);
        let mut again = Disk { bench: Bench::new(disk.bench.device, 256), offered: Vec::new(), count: 0 };
        // A late event finds nothing, and work that goes through the same engine comes after all of before.
        again.bench.fire(OVER).expect("nothing to do");
        assert_eq!(again.read(1, 1), pattern(1024, 0)[512..]);
        let mut found = vec![0; marked.len()];
        memory.read_slice(&mut found, GuestAddress(DATA)).expect("in memory");
        assert!(found == marked);
    }
}

#[test]
fn draining_answers_everything() {
    for engine in ENGINES {
        let mut disk = Disk::raw(&filled(&pattern(8 << 20, 0)), engine);
        for number in 0..60 {
            let kind = if number % 7 == 0 { FLUSH } else { READ };
            disk.offer(kind, number * 128, &[], if kind == READ { 65536 } else { 0 }, number * 65536);
        }
        disk.bench.with(|block, io| block.on_queue(0, io).and_then(|()| block.drain(io))).expect("a valid queue");
        assert_eq!(disk.metric("in_flight"), 0);
        let mut count = 0;
        while disk.bench.drivers[0].used(disk.bench.ram.memory()).is_some() {
            count += 1;
        }
        assert_eq!(count, 60);
    }
}

#[test]
fn reads_are_marked_dirty_and_nothing_else_is() {
    use vm_memory::GuestMemoryBackend as _;
    use vm_memory::bitmap::Bitmap as _;
    for engine in ENGINES {
        let mut disk = Disk::raw(&filled(&pattern(1 << 20, 0)), engine);
        disk.offer(READ, 0, &[], 8192, 0x4000);
        disk.offer(WRITE, 64, &[1; 8192], 0, 0x8000);
        let memory = disk.bench.ram.memory().clone();
        // The mapping's own bitmap, not the region's view of it.
        let bitmap = std::ops::Deref::deref(memory.iter().next().expect("a region")).bitmap();
        bitmap.reset();
        disk.finish();
        for (offset, dirty) in [(0x3FFF, false), (0x4000, true), (0x5FFF, true), (0x6000, false), (0x8000, false)] {
            let at = usize::try_from(DATA + offset).expect("32 MiB");
            assert_eq!(bitmap.dirty_at(at), dirty, "{offset:#x}");
        }
    }
}

#[test]
fn a_limit_holds_requests_back_until_its_bucket_fills() {
    for engine in ENGINES {
        let image = Image::open(filled(&pattern(1 << 20, 0)), Vec::new(), None).expect("an image");
        let mut disk = Disk::with(image, engine, |options| {
            options.rate.operations = Some(Bucket { per_second: 500, burst: 2 });
        });
        for number in 0..10 {
            disk.offer(READ, number, &[], 512, number * 4096);
        }
        disk.bench.kick(0).expect("a valid queue");
        assert!(disk.metric("reads") < 10 && disk.metric("throttled") == 1);
        assert_eq!(disk.finish(), [(OK, 513); 10]);
        // Bytes, and without limit again.
        disk.bench.device.set_rate(RateLimit { bytes: Some(Bucket { per_second: 1, burst: 1 }), operations: None });
        disk.offer(READ, 0, &[], 4096, 0);
        disk.offer(READ, 0, &[], 4096, 0);
        disk.bench.kick(0).expect("a valid queue");
        assert_eq!(disk.metric("reads"), 11);
        disk.bench.device.set_rate(RateLimit::default());
        assert_eq!(disk.finish(), [(OK, 4097); 2]);
    }
}

#[test]
fn a_read_only_disk_is_not_written() {
    for engine in ENGINES {
        let file = filled(&pattern(8192, 0));
        let image = Image::open(copy(&file), Vec::new(), None).expect("an image");
        let mut disk = Disk::with(image, engine, |options| options.read_only = true);
        for (kind, data) in [(WRITE, &[1; 512][..]), (DISCARD, &range(0, 1, 0)), (ZEROES, &range(0, 1, 1))] {
            assert_eq!(disk.ask(kind, 0, data, 0).status, ERROR);
        }
        disk.flush();
        assert_eq!(disk.read(0, 16), pattern(8192, 0));
        assert_eq!(contents(&file), pattern(8192, 0));
        assert_eq!(disk.bench.features >> 5 & 1, 1);
        assert_eq!(disk.bench.features & (1 << 9 | 1 << 13 | 1 << 14), 0);
    }
}

#[test]
fn configuration_says_what_the_disk_is() {
    // offset, length, value
    let disk = Disk::raw(&filled(&[0; 10000]), Engine::new);
    for (offset, length, expected) in [
        (0, 8, 19u64),
        (8, 4, 1 << 18),
        (12, 4, 254),
        (20, 4, 512),
        (24, 1, 3),
        (26, 2, 8),
        (36, 4, 1 << 18),
        (40, 4, 1),
        (44, 4, 8),
        (48, 4, 1 << 18),
        (52, 4, 1),
        (56, 1, 1),
        (58, 8, 0),
        (1 << 40, 8, 0),
    ] {
        let mut bytes = [0; 8];
        disk.bench.device.read_config(offset, &mut bytes[..length]);
        assert_eq!(u64::from_le_bytes(bytes), expected, "{offset}");
    }
}

#[test]
fn the_id_is_the_disks() {
    let mut disk = Disk::raw(&file(), Engine::new);
    assert_eq!(disk.ask(ID_REQUEST, 0, &[], 20).data, *b"disk-1\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(disk.ask(ID_REQUEST, 0, &[], 4).data, *b"disk");
    let image = Image::open(file(), Vec::new(), None).expect("an image");
    let options = BlockOptions { id: "x".repeat(21), image, read_only: false, rate: RateLimit::default() };
    assert!(Block::new(options).is_err());
}

#[test]
fn a_size_is_kept_and_told() {
    let file = filled(&[0; 8192]);
    let mut disk = Disk::raw(&file, Engine::new);
    let saved = disk.bench.device.save();
    file.set_len(16384).expect("room");
    assert_eq!(disk.ask(READ, 16, &[], 512).status, ERROR);
    disk.bench.with(|block, io| Ok(block.resize(io))).expect("no fault").expect("a file");
    assert_eq!(disk.bench.interrupt.status() & 2, 2);
    assert_eq!(disk.read(16, 16), [0; 8192]);
    // A restored guest hears of a disk that has grown, and gets no disk that has shrunk.
    let mut larger = Disk::raw(&file, Engine::new);
    larger.bench.device.restore(&saved).expect("the same disk");
    larger.bench.with(Block::start).expect("nothing to do");
    assert_eq!(larger.bench.interrupt.status() & 2, 2);
    file.set_len(4096).expect("a file");
    let error = Disk::raw(&file, Engine::new).bench.device.restore(&saved).expect_err("it is too small");
    assert_eq!(error.to_string(), "saved state of disk is invalid: the disk had 16 sectors, and its files have 8");
    assert!(Disk::raw(&file, Engine::new).bench.device.restore(&[1, 2, 3]).is_err());
}
