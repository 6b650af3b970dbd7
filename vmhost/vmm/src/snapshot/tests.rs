//! Snapshots through directories: complete, chained, damaged, interrupted.

mod crash;
mod damage;

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use vm_memory::{Bytes as _, GuestAddress};

use super::*;
use crate::memory::{GuestRam, PAGE_BYTES};

const MIB: u32 = 32;
const PAGES: u64 = (MIB as u64) << 8;

/// A directory of our own, removed at the end.
struct Place {
    path: PathBuf,
    file: File,
}

impl Place {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("vmm-snapshot-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).expect("a new directory");
        Self { file: File::open(&path).expect("it opens"), path }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    fn open(&self) -> Result<Snapshot, OpenError> {
        Snapshot::open(self.fd(), &[])
    }

    fn names(&self) -> Vec<String> {
        names(&self.path)
    }

    fn memory_files(&self) -> Vec<PathBuf> {
        self.names().iter().filter(|name| name.starts_with("memory-")).map(|name| self.path.join(name)).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).expect("a directory");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("readable").file_name()).collect();
    names.sort();
    names.into_iter().map(|name| name.into_string().expect("ASCII")).collect()
}

/// A VM's memory, in which some pages hold the number of the generation that wrote them last.
struct Vm {
    ram: GuestRam,
}

impl Vm {
    fn new() -> Self {
        Self { ram: GuestRam::create(MIB).expect("memory") }
    }

    /// Each generation writes two stretches that overlap those of its neighbours.
    fn stretch(generation: u64) -> impl Iterator<Item = u64> {
        (generation * 20..generation * 20 + 30).chain(4000 + generation * 20..4000 + generation * 20 + 30)
    }

    fn write(&self, generation: u64) {
        for page in Self::stretch(generation) {
            self.ram.memory().write_obj(generation, GuestAddress(page * PAGE_BYTES + 64)).expect("in memory");
        }
    }

    /// The last of the generations 1 to `upto` that has written a page, 0 if none.
    fn expected(page: u64, upto: u64) -> u64 {
        (1..=upto).rev().find(|&generation| Self::stretch(generation).any(|written| written == page)).unwrap_or(0)
    }

    fn is_of(&self, generation: u64) -> bool {
        (0..PAGES).all(|page| {
            let found: u64 = self.ram.memory().read_obj(GuestAddress(page * PAGE_BYTES + 64)).expect("in memory");
            // Only pages near the stretches can be anything.
            let near = page % 4000 < 20 * (generation + 3);
            found == if near { Self::expected(page, generation) } else { 0 }
        })
    }

    fn freeze(&mut self) -> MemoryImage {
        let dirty = self.ram.take_device_dirty();
        self.ram.freeze(&dirty).expect("room")
    }
}

fn config() -> VmConfig {
    let json = r#"{"boot":{"kernel":"/boot/vmlinux"},"memory_mib":32,"disks":[{"id":"root","path":"/images/root"}]}"#;
    serde_json::from_str(json).expect("a configuration")
}

fn disks() -> Vec<DiskChain> {
    let layer = |path: &str, bytes| DiskLayer { path: path.into(), bytes };
    vec![DiskChain { id: "root".into(), layers: vec![layer("/images/root", 1 << 30), layer("/run/overlay", 4096)] }]
}

/// Writes what the VM is now, `MACH` being "machine {generation}".
fn save(
    place: BorrowedFd<'_>,
    image: &MemoryImage,
    generation: u64,
    parent: Option<&SnapshotRecord>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<SnapshotRecord, WriteError> {
    let (config, machine, disks) = (config(), format!("machine {generation}"), disks());
    let content = Content {
        config: &config,
        machine: machine.as_bytes(),
        image,
        disks: &disks,
        cpu: "some CPU",
        taken_at: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
    };
    write(place, &content, parent, progress)
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[track_caller]
fn check(snapshot: &Snapshot, generation: u64) {
    assert_eq!(snapshot.machine, format!("machine {generation}").as_bytes());
    snapshot.verify(|_| ControlFlow::Continue(())).expect("intact");
    let restored = Vm { ram: GuestRam::restore(&snapshot.image).expect("room") };
    assert!(restored.is_of(generation), "memory isn't that of generation {generation}");
}

#[test]
fn a_snapshot_is_what_was_there_when_memory_was_frozen() {
    let (mut vm, place) = (Vm::new(), Place::new());
    for generation in 1..=3 {
        vm.write(generation);
        vm.freeze();
    }
    vm.write(4);
    let image = vm.freeze();
    // The VM runs on while the snapshot is written.
    vm.write(5);
    let record = save(place.fd(), &image, 4, None, &mut go_on).expect("written");
    // Holes stay holes (until they're read through a mapping, if this is a tmpfs).
    let allocated: u64 = place.memory_files().iter().map(|path| path.metadata().expect("there").blocks() * 512).sum();
    assert!(allocated < 2 << 20, "{allocated} bytes for some 200 pages");
    let snapshot = place.open().expect("readable");
    check(&snapshot, 4);
    assert_eq!(snapshot.record(), record);
    assert_eq!((snapshot.config.clone(), &snapshot.disks), (config(), &disks()));
    let Meta { id, parent, taken_at_s, cpu, memory_bytes, .. } = &snapshot.meta;
    assert_eq!((*id, *parent, *taken_at_s), (record.id(), None, 1_700_000_000));
    assert_eq!((cpu.as_str(), *memory_bytes), ("some CPU", 32 << 20));
}

#[test]
fn a_snapshot_can_refer_to_the_files_of_its_ancestors() {
    let places = [Place::new(), Place::new(), Place::new()];
    let mut vm = Vm::new();
    let mut record = None;
    for (generation, place) in (1..).zip(&places) {
        // Less each time, so that layers stay apart.
        vm.write(generation);
        let image = vm.freeze();
        record = Some(save(place.fd(), &image, generation, record.as_ref(), &mut go_on).expect("written"));
        // A VM restored on the way is as good a descendant.
        if generation == 2 {
            let snapshot = Snapshot::open(place.fd(), &[places[0].fd()]).expect("readable");
            vm = Vm { ram: GuestRam::restore(&snapshot.image).expect("room") };
            record = Some(snapshot.record());
        }
    }
    let [first, second, third] = &places;
    assert!(third.memory_files().iter().all(|path| path.metadata().expect("there").len() < 1 << 20));
    check(&first.open().expect("readable"), 1);
    check(&Snapshot::open(second.fd(), &[first.fd()]).expect("readable"), 2);
    let snapshot = Snapshot::open(third.fd(), &[second.fd(), first.fd()]).expect("readable");
    check(&snapshot, 3);

    let id = first.open().expect("readable").meta.id;
    let error = Snapshot::open(third.fd(), &[second.fd()]).expect_err("the base is missing").to_string();
    assert!(error.contains(&format!("belongs to snapshot {id}: give that snapshot's directory")), "{error}");

    let other = Vm::new().freeze();
    let error = save(third.fd(), &other, 9, Some(&snapshot.record()), &mut go_on).expect_err("another VM");
    assert!(error.to_string().contains("take a full snapshot"), "{error}");
    check(&Snapshot::open(third.fd(), &[second.fd(), first.fd()]).expect("unharmed"), 3);
}

#[test]
fn a_second_snapshot_in_a_directory_replaces_the_first_and_keeps_what_it_can() {
    let (mut vm, place) = (Vm::new(), Place::new());
    std::fs::write(place.path.join("notes"), "not ours").expect("a file");
    let inode = |layer: &crate::memory::Layer| layer.file().metadata().expect("open").ino();
    let mut base = None;
    for generation in 1..=6 {
        vm.write(generation);
        let image = vm.freeze();
        save(place.fd(), &image, generation, None, &mut go_on).expect("written");
        let snapshot = place.open().expect("readable");
        check(&snapshot, generation);
        let layers = snapshot.image.layers();
        assert_eq!(*base.get_or_insert(inode(&layers[0])), inode(&layers[0]), "the base was written again");
        assert_eq!(place.names().len(), layers.len() + 2, "{:?}", place.names());
    }
    // Another VM replaces all of it.
    let other = Vm::new();
    other.write(1);
    let image = Vm { ram: other.ram }.freeze();
    save(place.fd(), &image, 1, None, &mut go_on).expect("written");
    check(&place.open().expect("readable"), 1);
    assert_eq!(place.names().len(), 3, "{:?}", place.names());
}

#[test]
fn cancelling_leaves_the_old_snapshot_and_nothing_else() {
    let (mut vm, place) = (Vm::new(), Place::new());
    vm.write(1);
    save(place.fd(), &vm.freeze(), 1, None, &mut go_on).expect("written");
    let before = place.names();
    vm.write(2);
    let image = vm.freeze();
    for at in 0.. {
        let mut count = 0;
        let mut last = None;
        let result = save(place.fd(), &image, 2, None, &mut |progress| {
            count += 1;
            last = Some(progress.step);
            if count > at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if result.is_ok() {
            assert!(matches!(last, Some(Step::SyncCommit | Step::RemoveOld)), "{last:?}");
            assert!(at > 8, "only {at} steps");
            break;
        }
        assert!(matches!(result, Err(WriteError::Cancelled)), "{result:?}");
        assert_eq!(place.names(), before, "after {last:?}");
        check(&place.open().expect("readable"), 1);
    }
    check(&place.open().expect("readable"), 2);
}

#[test]
fn two_writers_exclude_each_other() {
    let (mut vm, place) = (Vm::new(), Place::new());
    vm.write(1);
    let image = vm.freeze();
    let mut tried = false;
    save(place.fd(), &image, 1, None, &mut |_| {
        let error = save(place.fd(), &image, 1, None, &mut go_on).expect_err("one is at work");
        assert!(matches!(error, WriteError::Busy), "{error}");
        tried = true;
        ControlFlow::Continue(())
    })
    .expect("written");
    assert!(tried);
    check(&place.open().expect("readable"), 1);
}

#[test]
fn progress_counts_the_bytes_of_new_files() {
    let (mut vm, place) = (Vm::new(), Place::new());
    vm.write(1);
    let mut seen = Vec::new();
    save(place.fd(), &vm.freeze(), 1, None, &mut |progress| {
        seen.push(progress);
        ControlFlow::Continue(())
    })
    .expect("written");
    assert!(seen.windows(2).all(|pair| pair[0].done_bytes <= pair[1].done_bytes));
    let last = seen.last().expect("steps");
    assert_eq!((last.step, last.done_bytes, last.total_bytes), (Step::RemoveOld, 32 << 20, 32 << 20));
}

#[test]
fn files_can_be_handed_on_only_when_they_are_open_for_reading() {
    let (mut vm, place) = (Vm::new(), Place::new());
    vm.write(1);
    save(place.fd(), &vm.freeze(), 1, None, &mut go_on).expect("written");
    let snapshot = place.open().expect("readable");
    let (index, files) = snapshot.image.parts().expect("nothing to seal");
    let files: Vec<OwnedFd> = files.iter().map(|file| file.try_clone_to_owned().expect("a descriptor")).collect();
    let image = MemoryImage::from_parts(&index, files).expect("as good as memory");
    assert!(Vm { ram: GuestRam::restore(&image).expect("room") }.is_of(1));
    let writable = File::options().read(true).write(true).open(&place.memory_files()[0]).expect("ours");
    let error = MemoryImage::from_parts(&index, vec![writable.into()]).expect_err("writable").to_string();
    assert!(error.contains("open for writing"), "{error}");
}

#[test]
fn a_snapshot_that_cannot_be_read_is_left_whole_until_there_is_another() {
    let (mut vm, place) = (Vm::new(), Place::new());
    vm.write(1);
    save(place.fd(), &vm.freeze(), 1, None, &mut go_on).expect("written");
    let state = place.path.join("state");
    let mut bytes = std::fs::read(&state).expect("there");
    bytes[8] = 9;
    std::fs::write(&state, &bytes).expect("ours");
    let before = place.names();
    let image = vm.freeze();
    for at in [Step::Seal, Step::Name, Step::SyncNames, Step::Commit] {
        let mut stop = |progress: Progress| match progress.step == at {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        // Another VM, and the same one, whose layer is there already and is replaced by its like.
        for image in [&Vm::new().freeze(), &image] {
            save(place.fd(), image, 2, None, &mut stop).expect_err("stopped");
            assert_eq!(place.names(), before, "{at:?}");
        }
    }
    save(place.fd(), &image, 1, None, &mut go_on).expect("written");
    check(&place.open().expect("readable"), 1);
    assert_eq!(place.names(), before);
    save(place.fd(), &Vm::new().freeze(), 0, None, &mut go_on).expect("written");
    check(&place.open().expect("readable"), 0);
    assert_eq!(place.names().len(), 2);
}

/// `cargo test -p vmm --release -- --ignored --nocapture time_of`
#[test]
#[ignore = "measures, asserts nothing"]
fn time_of_writing_and_opening() {
    for mib in [128, 512, 1024] {
        let place = Place::new();
        let mut vm = Vm { ram: GuestRam::create(mib).expect("memory") };
        let page: Vec<u64> = (0..512).collect();
        for number in 0..u64::from(mib) << 8 {
            let at = GuestAddress(number * PAGE_BYTES);
            page.iter().take(8).enumerate().for_each(|(n, word)| {
                vm.ram.memory().write_obj(word ^ number, GuestAddress(at.0 + 8 * n as u64)).expect("in memory");
            });
        }
        let image = vm.freeze();
        let start = std::time::Instant::now();
        save(place.fd(), &image, 1, None, &mut go_on).expect("written");
        let written = start.elapsed();
        let start = std::time::Instant::now();
        let snapshot = place.open().expect("readable");
        let ram = GuestRam::restore(&snapshot.image).expect("room");
        let opened = start.elapsed();
        drop(ram);
        let start = std::time::Instant::now();
        snapshot.verify(|_| ControlFlow::Continue(())).expect("intact");
        let verified = start.elapsed();
        eprintln!("{mib} MiB, all touched: written {written:?}, opened and restored {opened:?}, verified {verified:?}");
    }
}
