//! Freezing and restoring against a model of memory that is plain bytes.

use std::os::fd::OwnedFd;

use vm_memory::Bytes as _;

use super::*;

const MIB: u32 = 32;
const PAGES: u64 = (MIB as u64) << 8;

/// A VM's memory, and what should be in it: a number a page, at the page's start.
struct Tracked {
    ram: GuestRam,
    model: Vec<u64>,
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }
}

impl Tracked {
    fn new() -> Self {
        Self { ram: GuestRam::create(MIB).expect("memory"), model: vec![0; to_usize(PAGES)] }
    }

    fn restored(image: &MemoryImage, model: &[u64]) -> Self {
        Self { ram: GuestRam::restore(image).expect("memory"), model: model.to_vec() }
    }

    fn write(&mut self, page: u64, value: u64) {
        self.ram.memory().write_obj(value, GuestAddress(page * PAGE_BYTES + 8 * (page % 512))).expect("in memory");
        self.model[to_usize(page)] = value;
    }

    fn read(&self, page: u64) -> u64 {
        self.ram.memory().read_obj(GuestAddress(page * PAGE_BYTES + 8 * (page % 512))).expect("in memory")
    }

    /// Some bursts and some single pages.
    fn scribble(&mut self, random: &mut Random) {
        for _ in 0..random.below(6) {
            let (page, count) = (random.below(PAGES), random.below(90));
            for page in page..(page + count).min(PAGES) {
                self.write(page, random.below(u64::MAX));
            }
        }
        for _ in 0..random.below(40) {
            self.write(random.below(PAGES), random.below(u64::MAX));
        }
    }

    fn discard(&mut self, page: u64, count: u64) {
        self.ram.discarder().discard(GuestAddress(page * PAGE_BYTES), count * PAGE_BYTES).expect("in memory");
        // What is there now is the host's choice among older contents.
        for page in page..page + count {
            self.model[to_usize(page)] = self.read(page);
        }
    }

    fn freeze(&mut self) -> (MemoryImage, Vec<u64>) {
        let dirty = self.ram.take_device_dirty();
        (self.ram.freeze(&dirty).expect("room"), self.model.clone())
    }

    #[track_caller]
    fn check(&self) {
        let wrong: Vec<_> = (0..PAGES).filter(|&page| self.read(page) != self.model[to_usize(page)]).collect();
        assert!(wrong.is_empty(), "{} pages differ, first {:?}", wrong.len(), wrong.first());
    }
}

fn to_usize(page: u64) -> usize {
    usize::try_from(page).expect("64 bits")
}

/// The image as another process gets it.
fn sent(image: &MemoryImage) -> MemoryImage {
    let (index, files) = image.parts().expect("sealed");
    let files = files.into_iter().map(|file| file.try_clone_to_owned().expect("a descriptor")).collect();
    MemoryImage::from_parts(&index, files).expect("valid")
}

#[test]
fn every_image_keeps_what_was_there_when_it_was_frozen() {
    for seed in 1..5 {
        let random = &mut Random(seed);
        let mut family = vec![Tracked::new()];
        let mut images = Vec::new();
        for _ in 0..60 {
            let which = to_usize(random.below(family.len() as u64));
            match random.below(8) {
                0..4 => family[which].scribble(random),
                4 => {
                    let count = 1 + random.below(64);
                    let page = random.below(PAGES - count);
                    family[which].discard(page, count);
                }
                5 | 6 => images.push(family[which].freeze()),
                _ if images.is_empty() => {}
                _ => {
                    let (image, model) = &images[to_usize(random.below(images.len() as u64))];
                    let child = Tracked::restored(&sent(image), model);
                    child.check();
                    if family.len() < 8 {
                        family.push(child);
                    } else {
                        family[which] = child;
                    }
                }
            }
        }
        family.iter().for_each(Tracked::check);
        for (image, model) in &images {
            Tracked::restored(image, model).check();
        }
    }
}

#[test]
fn addresses_stay_and_a_frozen_file_takes_no_writer() {
    let mut vm = Tracked::new();
    vm.write(3, 33);
    let slots = vm.ram.slots().to_vec();
    let (image, model) = vm.freeze();
    vm.write(3, 44);
    image.seal().expect("no shared mapping is left");
    assert_eq!(vm.ram.slots(), slots);
    vm.check();
    Tracked::restored(&image, &model).check();

    let file = image.layers()[0].file();
    let error = Mapping::new(file, image.bytes(), Sharing::Shared, false).err().expect("sealed");
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    assert_eq!(rustix::io::pwrite(file, b"x", 0), Err(rustix::io::Errno::PERM));
    assert!(file.set_len(0).is_err());
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    assert!(rustix::fs::fallocate(file, hole, 0, PAGE_BYTES).is_err());
    // Sealing is the proof, so it must fail where the proof does.
    let shared = GuestRam::create(MIB).expect("memory");
    let Backing::Shared(file) = &*lock(&shared.backing) else { panic!("fresh memory is shared") };
    assert_eq!(memfd::freeze(file).expect_err("mapped").raw_os_error(), Some(libc::EBUSY));
}

#[test]
fn layers_stay_few_and_a_freeze_of_nothing_adds_none() {
    let mut vm = Tracked::new();
    vm.freeze();
    let mut most = 0;
    for generation in 0..100 {
        // Ever fewer pages, so that none absorbs the one before by size.
        for page in 0..(200 - generation) {
            vm.write((generation * 37 + page * 3) % PAGES, generation);
        }
        let (image, model) = vm.freeze();
        most = most.max(image.layers().len());
        if generation % 20 == 0 {
            Tracked::restored(&image, &model).check();
        }
        let again = vm.ram.freeze(&DirtyPages::none(vm.ram.bytes())).expect("nothing to do");
        assert_eq!(again.layers().last().map(|l| l.id()), image.layers().last().map(|l| l.id()));
    }
    assert!((2..=image::MAX_LAYERS).contains(&most), "{most} layers");
}

#[test]
fn mappings_are_bounded_when_every_other_page_is_dirty() {
    let mut vm = Tracked::new();
    vm.freeze();
    for round in 0..3 {
        for page in (round % 2..PAGES).step_by(2) {
            vm.write(page, page + round);
        }
        let (image, model) = vm.freeze();
        let child = Tracked::restored(&image, &model);
        child.check();
        for ram in [&vm.ram, &child.ram] {
            let Backing::Private(private) = &*lock(&ram.backing) else { panic!("frozen") };
            assert!(private.mapped.len() <= MAX_MAPPINGS, "{} mappings", private.mapped.len());
        }
        // Half of the pages stayed copies; what they hide must not come back unnoticed.
        vm.discard(0, PAGES);
        let (image, model) = vm.freeze();
        Tracked::restored(&image, &model).check();
    }
}

#[test]
fn discarded_pages_are_given_back_and_read_as_zero() {
    let mut vm = Tracked::new();
    for page in 0..PAGES {
        vm.write(page, page + 1);
    }
    let allocated = |ram: &GuestRam| {
        let Backing::Shared(file) = &*lock(&ram.backing) else { panic!("fresh memory is shared") };
        rustix::fs::fstat(file).expect("open").st_blocks * 512 / 4096
    };
    assert_eq!(allocated(&vm.ram), 8192);
    vm.ram.discarder().discard(GuestAddress(100 * PAGE_BYTES), 5000 * PAGE_BYTES).expect("in memory");
    assert_eq!(allocated(&vm.ram), 8192 - 5000);
    vm.discard(100, 5000);
    assert!((100..5100).all(|page| vm.read(page) == 0));
    vm.check();
    let discarder = vm.ram.discarder();
    for (address, length) in [(1, 4096), (0, 4097), (PAGES * 4096, 4096), (0, u64::MAX - 4095), (u64::MAX - 4095, 4096)]
    {
        let error = discarder.discard(GuestAddress(address), length).expect_err("out of range");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{address:#x} {length}");
    }
    vm.check();
}

#[test]
fn memory_beyond_the_gap_is_frozen_too() {
    let mib = 3072 + 64;
    let mut ram = GuestRam::create(mib).expect("memory");
    let places = [0, layout::LOW_RAM_END - 8, layout::HIGH_RAM, layout::HIGH_RAM + (64 << 20) - 8];
    let write = |ram: &GuestRam, value: u64| {
        places.iter().for_each(|&at| ram.memory().write_obj(value + at, GuestAddress(at)).expect("in memory"));
    };
    let check = |ram: &GuestRam, value: u64| {
        for at in places {
            assert_eq!(ram.memory().read_obj::<u64>(GuestAddress(at)).expect("in memory"), value + at, "{at:#x}");
        }
    };
    write(&ram, 1);
    ram.take_device_dirty();
    let first = ram.freeze(&DirtyPages::none(ram.bytes())).expect("room");
    write(&ram, 2);
    let mut dirty = ram.take_device_dirty();
    // A run over the border between the regions.
    let border = layout::LOW_RAM_END / PAGE_BYTES;
    dirty.insert(Run { page: border - 2, count: 4 });
    let second = ram.freeze(&dirty).expect("room");
    write(&ram, 3);
    check(&GuestRam::restore(&first).expect("memory"), 1);
    check(&GuestRam::restore(&second).expect("memory"), 2);
    check(&ram, 3);
}

/// Whether the kernel was asked for huge pages at the start of memory; `None` if it has none.
fn asks_for_huge(ram: &GuestRam) -> Option<bool> {
    std::fs::metadata("/sys/kernel/mm/transparent_hugepage").ok()?;
    let smaps = std::fs::read_to_string("/proc/self/smaps").expect("our mappings");
    let host = format!("{:x}-", ram.mapping.slots()[0].host);
    let flags = smaps.lines().skip_while(|line| !line.starts_with(&host)).find(|line| line.starts_with("VmFlags:"));
    Some(flags.expect("the kernel lists flags").split(' ').any(|flag| flag == "hg"))
}

#[test]
fn only_a_guest_that_boots_asks_for_huge_pages() {
    let mut booted = Tracked::new();
    let Some(asks) = asks_for_huge(&booted.ram) else { return };
    assert!(asks, "a fresh memory");
    let (image, model) = booted.freeze();
    assert_eq!(asks_for_huge(&booted.ram), Some(false), "frozen");
    assert_eq!(asks_for_huge(&Tracked::restored(&image, &model).ram), Some(false), "restored");
}

#[test]
fn huge_pages_work_or_the_error_says_what_to_do() {
    let mut vm = match GuestRam::create_huge(MIB) {
        Ok(ram) => Tracked { ram, model: vec![0; to_usize(PAGES)] },
        Err(error) => {
            assert!(error.to_string().contains("16 free huge pages"), "{error}");
            assert!(error.to_string().contains("vm.nr_hugepages"), "{error}");
            return;
        }
    };
    let random = &mut Random(9);
    vm.scribble(random);
    vm.discard(100, 3000);
    let dirty = vm.ram.take_device_dirty();
    let image = match vm.ram.freeze(&dirty) {
        Ok(image) => image,
        Err(error) => {
            // Too few for a second set: the VM goes on, shared.
            assert!(error.to_string().contains("vm.nr_hugepages"), "{error}");
            vm.scribble(random);
            return vm.check();
        }
    };
    let first = vm.model.clone();
    vm.scribble(random);
    vm.discard(500, 3000);
    vm.check();
    let (second, model) = vm.freeze();
    vm.scribble(random);
    vm.check();
    for (image, model) in [(&image, &first), (&second, &model)] {
        match GuestRam::restore(&sent(image)) {
            Ok(ram) => Tracked { ram, model: model.clone() }.check(),
            Err(error) => assert!(error.to_string().contains("vm.nr_hugepages"), "{error}"),
        }
    }
}

/// Changes an image's parts on their way, and says which error that must give.
#[track_caller]
fn refused(change: impl FnOnce(&mut image::Index, &mut Vec<OwnedFd>), expected: &str) {
    let mut vm = Tracked::new();
    vm.freeze();
    vm.write(5, 1);
    vm.write(9, 1);
    let (image, _) = vm.freeze();
    let (index, files) = image.parts().expect("sealed");
    let mut files = files.into_iter().map(|file| file.try_clone_to_owned().expect("a descriptor")).collect();
    let mut index = crate::state::decode("memory", &index).expect("an index");
    change(&mut index, &mut files);
    let error = MemoryImage::from_parts(&crate::state::encode(&index), files).expect_err(expected);
    assert!(error.to_string().contains(expected), "{error} doesn't contain {expected}");
}

#[test]
fn images_of_others_are_not_believed() {
    refused(|index, _| index.version = 9, "version 9");
    refused(|index, _| index.bytes = 0, "0 bytes of RAM");
    refused(|index, _| index.bytes = 1 << 63, "bytes of RAM");
    refused(|index, _| index.bytes += 4096, "bytes of RAM");
    refused(|index, _| index.bytes += 1 << 20, "isn't the whole of RAM");
    refused(|index, _| index.layers.clear(), "isn't the whole of RAM");
    refused(|index, _| index.layers.swap(0, 1), "isn't the whole of RAM");
    refused(|index, _| index.layers[1].id = index.layers[0].id, "twice");
    refused(|index, _| index.layers = vec![index.layers[0].clone(); 33], "33 layers");
    refused(|index, _| index.layers[1].runs.swap(0, 1), "out of order");
    refused(|index, _| index.layers[1].runs[1].page = 5, "out of order");
    refused(|index, _| index.layers[1].runs[1].count = 0, "out of order");
    refused(|index, _| index.layers[1].runs[1].page = PAGES, "out of order");
    refused(|index, _| index.layers[1].runs[1].count = u64::MAX, "out of order");
    refused(|index, _| index.layers[1].runs[1].count = 2, "8192 bytes instead of 12288");
    refused(|_, files| files.truncate(1), "1 files for 2 layers");
    refused(|_, files| files.swap(0, 1), "instead of");
    refused(|_, files| files[1] = memfd::create("x", 8192, false).expect("memory").into(), "isn't sealed");
    refused(|_, files| files[1] = std::io::pipe().expect("a pipe").0.into(), "not a regular file");
}

/// `cargo test -p vmm --release -- --ignored --nocapture time_of`
#[test]
#[ignore = "measures, asserts nothing"]
fn time_of_freeze_and_restore() {
    use std::time::Instant;
    let us = |since: Instant| since.elapsed().as_micros();
    for mib in [128, 512, 1024] {
        let mut ram = GuestRam::create(mib).expect("memory");
        let pages = u64::from(mib) << 8;
        for page in 0..pages {
            ram.memory().write_obj(page, GuestAddress(page * PAGE_BYTES)).expect("in memory");
        }
        let dirty = ram.take_device_dirty();
        let start = Instant::now();
        let image = ram.freeze(&dirty).expect("room");
        let first = us(start);
        let start = Instant::now();
        image.seal().expect("sealed");
        let seal = us(start);
        for page in (0..2048).map(|n| n * (pages / 2048)) {
            ram.memory().write_obj(page, GuestAddress(page * PAGE_BYTES)).expect("in memory");
        }
        let start = Instant::now();
        let dirty = ram.take_device_dirty();
        let take = us(start);
        let start = Instant::now();
        let layered = ram.freeze(&dirty).expect("room");
        let second = us(start);
        for page in 0..2048 {
            ram.memory().write_obj(page, GuestAddress(page * PAGE_BYTES)).expect("in memory");
        }
        let dirty = ram.take_device_dirty();
        let start = Instant::now();
        ram.freeze(&dirty).expect("room");
        let third = us(start);
        let start = Instant::now();
        let child = GuestRam::restore(&image).expect("room");
        let restore = us(start);
        drop(child);
        layered.seal().expect("sealed");
        let start = Instant::now();
        let child = GuestRam::restore(&layered).expect("room");
        let restore_layered = us(start);
        drop(child);
        eprintln!(
            "{mib} MiB, all touched: first freeze {first} µs (seal, later: {seal}), dirty bitmap {take}, \
             2048 scattered pages {second}, 2048 in one run {third}, restore {restore}, with 2048 runs {restore_layered}"
        );
    }
}

#[test]
fn memory_that_was_made_of_huge_pages_still_freezes() {
    let mut ram = GuestRam::create(32).expect("memory");
    ram.expect_use(4 << 20, 12 << 20);
    ram.memory().write_obj(7_u8, GuestAddress(5 << 20)).expect("inside memory");
    let image = ram.freeze(&DirtyPages::none(ram.bytes())).expect("it is one mapping still");
    let clone = GuestRam::restore(&image).expect("an image of memory");
    ram.memory().write_obj(8_u8, GuestAddress(5 << 20)).expect("inside memory");
    let byte: u8 = clone.memory().read_obj(GuestAddress(5 << 20)).expect("inside memory");
    assert_eq!(byte, 7);
}

/// A freeze that fails between the two regions; in a process of its own, whose address space is limited.
#[test]
fn a_freeze_that_fails_halfway_changes_nothing() {
    let output = std::process::Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "memory::tests::failing_halfway", "--ignored", "--nocapture"])
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "a part of another, run by it"]
fn failing_halfway() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let mut ram = GuestRam::create(3072 + 64).expect("memory");
    let places = [0x5000, layout::HIGH_RAM + 0x5000].map(GuestAddress);
    let write = |ram: &GuestRam, value: u64| {
        places.iter().for_each(|&at| ram.memory().write_obj(value, at).expect("in memory"));
    };
    let read = |ram: &GuestRam| places.map(|at| ram.memory().read_obj::<u64>(at).expect("in memory"));
    write(&ram, 1);
    let status = std::fs::read_to_string("/proc/self/statm").expect("own size");
    let used = status.split(' ').next().and_then(|pages| pages.parse::<u64>().ok()).expect("a number") * PAGE_BYTES;
    let before = getrlimit(Resource::As);
    // Room to move the first region aside, and not the second.
    setrlimit(Resource::As, Rlimit { current: Some(used + layout::LOW_RAM_END + (40 << 20)), ..before })
        .expect("lower");
    let error = ram.freeze(&DirtyPages::none(ram.bytes())).expect_err("no room");
    setrlimit(Resource::As, before).expect("as before");
    assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    assert_eq!(read(&ram), [1, 1]);
    // Still shared: what is written now is in the file, as the next freeze shows without any dirty page.
    write(&ram, 2);
    let image = ram.freeze(&DirtyPages::none(ram.bytes())).expect("room");
    write(&ram, 3);
    assert_eq!(read(&GuestRam::restore(&image).expect("room")), [2, 2]);
    assert_eq!(read(&ram), [3, 3]);
}
