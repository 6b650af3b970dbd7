//! Overlays against a plain model of a disk: random work, frozen layers, and sudden ends.

use super::*;

/// A xorshift generator: the same numbers every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Odd on purpose: the last cluster is no whole one, and the base ends before the disk.
const SIZE: usize = 300 * 512;
const BASE: usize = 211 * 512 + 100;

/// A disk of several layers and what it should hold.
struct Layers {
    disk: Disk,
    engine: fn() -> io::Result<Engine>,
    base: File,
    frozen: Vec<File>,
    top: File,
    model: Vec<u8>,
    /// What each sector may hold after a sudden end: everything since the last flush.
    possible: Vec<Vec<Vec<u8>>>,
}

impl Layers {
    fn new(engine: fn() -> io::Result<Engine>) -> Self {
        let mut model = pattern(BASE, 1);
        let (base, top) = (memory(&model), overlay(SIZE as u64));
        model.resize(SIZE, 0);
        let possible = model.chunks(512).map(|sector| vec![sector.to_vec()]).collect();
        let disk = Self::open(&base, &[], &top, engine);
        Self { disk, engine, base, frozen: Vec::new(), top, model, possible }
    }

    fn open(base: &File, frozen: &[File], top: &File, engine: fn() -> io::Result<Engine>) -> Disk {
        let frozen = frozen.iter().map(copy).collect();
        Disk::new(Image::open(copy(base), frozen, Some(copy(top))).expect("layers"), engine)
    }

    fn change(&mut self, start: usize, data: &[u8]) {
        self.model[start * 512..start * 512 + data.len()].copy_from_slice(data);
        for (sector, data) in self.possible[start..].iter_mut().zip(data.chunks(512)) {
            sector.push(data.to_vec());
        }
    }

    fn settle(&mut self) {
        self.possible = self.model.chunks(512).map(|sector| vec![sector.to_vec()]).collect();
    }

    fn step(&mut self, random: &mut Random) {
        let start = random.below(300) as usize;
        let count = 1 + random.below((300 - start as u64).min(40)) as usize;
        let (sector, sectors) = (start as u64, count as u32);
        match random.below(100) {
            0..35 => {
                let data = pattern(count * 512, random.below(256) as u8);
                self.disk.write(sector, &data);
                self.change(start, &data);
            }
            35..60 => {
                let found = self.disk.read(sector, sectors);
                assert!(found == self.model[start * 512..(start + count) * 512], "{start} {count}");
            }
            60..80 => {
                let (kind, flags) = [(DISCARD, 0), (ZEROES, 0), (ZEROES, 1)][random.below(3) as usize];
                assert_eq!(self.disk.clear(kind, sector, sectors, flags), OK);
                self.change(start, &vec![0; count * 512]);
            }
            80..90 => {
                self.disk.flush();
                self.settle();
            }
            90..94 => {
                let top = overlay(SIZE as u64);
                let next = copy(&top);
                let frozen = self.disk.bench.with(|block, io| Ok(block.freeze(io, next))).expect("no fault");
                self.frozen.push(frozen.expect("a fit overlay"));
                self.top = top;
                self.settle();
            }
            94..97 => {
                // Stopped in order: drained.
                self.disk.bench.with(Block::drain).expect("no fault");
                self.settle();
                self.disk = Self::open(&self.base, &self.frozen, &self.top, self.engine);
            }
            _ => self.end_suddenly(),
        }
    }

    /// Nothing of the process is left but its files: each sector is one that it was since the last flush.
    fn end_suddenly(&mut self) {
        self.disk = Self::open(&self.base, &self.frozen, &self.top, self.engine);
        let found = self.disk.read(0, 300);
        for (number, (sector, possible)) in found.chunks(512).zip(&self.possible).enumerate() {
            assert!(possible.iter().any(|data| data == sector), "sector {number} is what it never was");
        }
        self.model = found;
        self.settle();
    }
}

#[test]
fn layers_are_one_disk_whatever_is_done_to_them() {
    for engine in ENGINES {
        for seed in 1..=5u64 {
            let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ seed);
            let mut layers = Layers::new(engine);
            for _ in 0..150 {
                layers.step(&mut random);
            }
            assert!(layers.disk.read(0, 300) == layers.model, "seed {seed}");
            assert!(contents(&layers.base) == pattern(BASE, 1), "the base is never written");
        }
    }
}

/// Requests at the same time: each byte is what one of them, or the disk before, says it is.
#[test]
fn concurrent_requests_touch_no_bytes_but_their_own() {
    for seed in 1..=20u64 {
        let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ seed);
        let (base, top) = (memory(&pattern(BASE, 1)), overlay(SIZE as u64));
        let image = Image::open(copy(&base), Vec::new(), Some(copy(&top))).expect("layers");
        let engine = Engine::shuffled(seed * 77).expect("an engine");
        let options = BlockOptions { id: "a".into(), image, read_only: false, rate: RateLimit::default() };
        let block = Block::with_engine(options, engine).expect("a disk");
        let mut disk = Disk { bench: Bench::new(block, 256), offered: Vec::new(), count: 0 };
        let mut model = disk.read(0, 300);
        for round in 0..10u8 {
            let mut written = vec![Vec::new(); 300];
            // Within few clusters, so that they meet.
            let area = random.below(280) & !7;
            for number in 0..12 {
                let start = area + random.below(16);
                let count = 1 + random.below(16.min(300 - start));
                let sectors = start as usize..(start + count) as usize;
                let data = match random.below(4) {
                    0 => vec![0; count as usize * 512],
                    _ => pattern(count as usize * 512, round ^ (number as u8) << 4),
                };
                if data.iter().all(|byte| *byte == 0) {
                    let kind = [DISCARD, ZEROES][random.below(2) as usize];
                    disk.offer(kind, 0, &range(start, count as u32, 0), 0, number * 65536);
                } else {
                    disk.offer(WRITE, start, &data, 0, number * 65536);
                }
                for (written, data) in written[sectors].iter_mut().zip(data.chunks(512)) {
                    written.push(data.to_vec());
                }
            }
            assert!(disk.finish().iter().all(|(status, _)| *status == OK));
            let found = disk.read(0, 300);
            for (number, (found, before)) in found.chunks(512).zip(model.chunks(512)).enumerate() {
                let possible = if written[number].is_empty() { vec![before.to_vec()] } else { written[number].clone() };
                let right = |(at, byte): (usize, &u8)| possible.iter().any(|data| data[at] == *byte);
                assert!(found.iter().enumerate().all(right), "seed {seed}, round {round}, sector {number}");
            }
            model = found;
        }
        assert!(contents(&base) == pattern(BASE, 1));
    }
}

#[test]
fn a_frozen_layer_is_complete_and_stays_as_it_is() {
    for engine in ENGINES {
        let base = filled(&pattern(SIZE, 1));
        let first = file();
        Image::create_overlay(&first, SIZE as u64).expect("an overlay");
        let mut disk = Layers::open(&base, &[], &first, engine);
        disk.write(1, &pattern(4096, 2));
        let second = copy(&overlay(SIZE as u64));
        let next = copy(&second);
        let frozen = disk.bench.with(|block, io| Ok(block.freeze(io, next))).expect("no fault").expect("fit");
        let before = contents(&frozen);
        disk.write(2, &pattern(512, 3));
        disk.clear(DISCARD, 100, 100, 0);
        disk.flush();
        assert!(contents(&frozen) == before);
        // Another machine goes on from the frozen layer with an overlay of its own.
        let mut clone = Layers::open(&base, &[frozen], &overlay(SIZE as u64), engine);
        let mut expected = pattern(SIZE, 1);
        expected[512..4608].copy_from_slice(&pattern(4096, 2));
        assert!(clone.read(0, 300) == expected);
        clone.write(2, &pattern(512, 4));
        expected[1024..1536].copy_from_slice(&pattern(512, 3));
        expected[100 * 512..200 * 512].fill(0);
        assert!(disk.read(0, 300) == expected);
    }
}

#[test]
fn a_raw_image_is_frozen_too_and_a_larger_overlay_grows_the_disk() {
    let base = filled(&pattern(8192, 1));
    let mut disk = Disk::raw(&base, Engine::new);
    disk.write(0, &pattern(512, 2));
    let before = contents(&base);
    let top = overlay(16384);
    disk.bench.with(|block, io| Ok(block.freeze(io, top))).expect("no fault").expect("fit");
    assert_eq!(disk.bench.interrupt.status() & 2, 2, "the driver hears of its new size");
    disk.write(1, &pattern(512, 3));
    disk.write(20, &pattern(512, 4));
    assert_eq!(contents(&base), before);
    let expected = [&before[..512], &pattern(512, 3), &before[1024..], &[0; 2048], &pattern(512, 4), &[0; 5632]];
    assert_eq!(disk.read(0, 32), expected.concat());
}

#[test]
fn what_is_not_flushed_is_not_in_the_file() {
    // The bits must not be on the medium before the data are, and only a sync tells.
    for engine in ENGINES {
        let (base, top) = (filled(&pattern(SIZE, 1)), overlay(SIZE as u64));
        let mut disk = Layers::open(&base, &[], &top, engine);
        for (number, finish) in
            [Disk::flush, |disk: &mut Disk| disk.bench.with(Block::drain).expect("no fault")].into_iter().enumerate()
        {
            let sector = number as u64 * 64 + 3;
            disk.write(sector, &pattern(8192, 2));
            assert!(
                Layers::open(&base, &[], &top, engine).read(sector, 16)
                    == pattern(SIZE, 1)[sector as usize * 512..][..8192]
            );
            finish(&mut disk);
            assert!(Layers::open(&base, &[], &top, engine).read(sector, 16) == pattern(8192, 2));
        }
    }
}

#[test]
fn without_flushes_every_write_is_lasting() {
    for engine in ENGINES {
        let (base, top) = (filled(&pattern(SIZE, 1)), overlay(SIZE as u64));
        let mut disk = Layers::open(&base, &[], &top, engine);
        disk.bench.features &= !(1 << 9);
        disk.write(8, &pattern(8192, 2));
        let mut again = Layers::open(&base, &[], &top, engine);
        assert!(again.read(8, 16) == pattern(8192, 2));
        assert_eq!(disk.metric("flushes"), 0, "the driver asked for none");
    }
}

#[test]
fn overlapping_writes_in_flight_keep_what_is_beside_them() {
    for engine in ENGINES {
        let (base, top) = (filled(&pattern(SIZE, 1)), overlay(SIZE as u64));
        let mut disk = Layers::open(&base, &[], &top, engine);
        let whole = pattern(16384, 2);
        for number in 0..8u64 {
            // A cluster appears by the first write while the second covers a sector of it.
            let sector = number * 32;
            disk.offer(WRITE, sector, &whole, 0, number * 65536);
            disk.offer(WRITE, sector + 9, &[5; 512], 0, number * 65536 + 32768);
        }
        assert!(disk.finish().iter().all(|(status, _)| *status == OK));
        for number in 0..8 {
            let mut expected = whole.clone();
            expected[9 * 512..10 * 512].fill(5);
            assert!(disk.read(number * 32, 32) == expected, "{number}");
        }
    }
}

#[test]
fn files_that_are_no_layers_are_refused() {
    type Damage = fn(&File);
    fn write(file: &File, from_end: u64, bytes: &[u8]) {
        use std::os::unix::fs::FileExt as _;
        let length = file.metadata().expect("a file").len();
        file.write_all_at(bytes, length - from_end).expect("room");
    }
    let cases: &[(Damage, &str)] = &[
        (|file| file.set_len(0).expect("a file"), "the file is no overlay, or its end is missing; "),
        (|file| file.set_len(20000).expect("a file"), "the file is no overlay, or its end is missing; "),
        (|file| write(file, 4096, b"VMM"), "the file is no overlay, or its end is missing; "),
        (|file| write(file, 4088, &[2]), "overlay format 2 is newer than this program; "),
        (|file| write(file, 4080, &[1]), "the overlay is damaged: the footer's checksum doesn't match; "),
        (|file| write(file, 4072, &[1]), "the overlay is damaged: the footer's checksum doesn't match; "),
        (
            |file| {
                let mut footer = contents(file).split_off(20480 + 4096);
                file.set_len(65536).expect("a file");
                write(file, 4096, &std::mem::take(&mut footer));
            },
            "the overlay is damaged: the file's length doesn't match the disk's size; ",
        ),
    ];
    for (damage, expected) in cases {
        let file = overlay(20480);
        damage(&file);
        let error = Image::open(filled(&[0; 20480]), Vec::new(), Some(file)).err().expect(expected).to_string();
        assert!(error.starts_with(expected), "{error} instead of {expected}");
    }
    let open = |base, layers, top| Image::open(base, layers, top).err().map(|error| error.to_string());
    assert_eq!(
        open(filled(&[0; 8192]), vec![overlay(4096)], None).as_deref(),
        Some("an overlay of 4096 bytes lies above 8192 bytes; use an overlay of this very disk")
    );
    assert_eq!(open(filled(&[0; 4096]), vec![overlay(4096)], Some(overlay(8192))), None);
    for size in [(1 << 46) + 1, u64::MAX] {
        assert!(Image::create_overlay(&file(), size).is_err(), "{size}");
    }
    // An image that ends within a sector, and an overlay of its very length.
    let image = Image::open(filled(&[1; 1000]), Vec::new(), Some(overlay(1000))).expect("layers");
    assert_eq!(image.size(), 512);
}

#[test]
fn a_new_layer_must_be_new_and_a_frozen_disk_has_none() {
    let used = overlay(8192);
    let mut disk = Layers::open(&filled(&[1; 8192]), &[], &used, Engine::new);
    disk.write(0, &[2; 4096]);
    disk.flush();
    let mut other = Disk::raw(&filled(&[1; 8192]), Engine::new);
    let result = other.bench.with(|block, io| Ok(block.freeze(io, used))).expect("no fault");
    assert!(matches!(result, Err(ImageError::NotEmpty)));
    other.write(0, &[3; 512]);
    assert_eq!(other.read(0, 1), [3; 512]);
    let image = Image::open(filled(&[1; 8192]), vec![overlay(8192)], None).expect("layers");
    let mut frozen = Disk::new(image, Engine::new);
    assert_eq!(frozen.ask(WRITE, 0, &[1; 512], 0).status, ERROR);
    let result = frozen.bench.with(|block, io| Ok(block.freeze(io, overlay(8192)))).expect("no fault");
    assert!(matches!(result, Err(ImageError::ReadOnly)));
    let image = Image::open(filled(&[1; 8192]), vec![overlay(8192)], None).expect("layers");
    let options = BlockOptions { id: "a".into(), image, read_only: false, rate: RateLimit::default() };
    assert!(Block::new(options).is_err());
}
