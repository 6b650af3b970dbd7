//! What the host's files do to a disk: clearing them, and their errors.

use std::os::unix::fs::MetadataExt as _;

use super::*;

#[allow(unsafe_code, reason = "the standard library has no seals")]
fn seal(file: &File, seals: i32) {
    // SAFETY: no memory is passed.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) }, 0);
}

#[test]
fn cleared_bytes_are_zeros_and_may_lose_their_room() {
    const SIZE: usize = 4 << 20;
    for engine in ENGINES {
        for make in [filled as fn(&[u8]) -> File, memory] {
            for (kind, flags, gives_room) in [(DISCARD, 0, true), (ZEROES, 1, true), (ZEROES, 0, false)] {
                let file = make(&pattern(SIZE, 0));
                let before = file.metadata().expect("a file").blocks();
                let mut disk = Disk::raw(&file, engine);
                assert_eq!(disk.clear(kind, 3, 6000, flags), OK);
                let mut expected = pattern(SIZE, 0);
                expected[3 * 512..6003 * 512].fill(0);
                assert!(contents(&file) == expected, "{kind} {flags}");
                assert_eq!(file.metadata().expect("a file").blocks() < before, gives_room, "{kind} {flags}");
                assert_eq!(disk.metric("errors"), 0);
            }
        }
    }
}

#[test]
fn the_hosts_errors_are_the_guests_and_the_disk_goes_on() {
    for engine in ENGINES {
        let file = memory(&pattern(1 << 20, 0));
        seal(&file, libc::F_SEAL_WRITE);
        let mut disk = Disk::raw(&file, engine);
        assert_eq!(disk.ask(WRITE, 0, &[1; 4096], 0).status, ERROR);
        assert_eq!(disk.clear(DISCARD, 0, 8, 0), ERROR);
        assert_eq!(disk.clear(ZEROES, 0, 8, 0), ERROR);
        assert_eq!(disk.read(0, 8), pattern(4096, 0));
        // A file that has become shorter than the disk: what is there is read, the rest is an error.
        let file = memory(&pattern(1 << 20, 0));
        let mut disk = Disk::raw(&file, engine);
        file.set_len(6000).expect("a file");
        assert_eq!(disk.read(0, 8), pattern(4096, 0));
        assert_eq!(disk.ask(READ, 8, &[], 4096).status, ERROR);
        assert_eq!(disk.ask(READ, 100, &[], 4096).status, ERROR);
        assert_eq!(disk.read(8, 3), pattern(6000, 0)[4096..5632]);
    }
}

#[test]
fn a_full_host_is_an_error_of_the_job() {
    for engine in ENGINES {
        let full = File::options().write(true).open("/dev/full").expect("every Linux has it");
        let mut engine = engine().expect("an engine");
        engine.begin(7, engine::Job { file: full.into(), offset: 0, length: 4096, work: engine::Work::WriteZeros });
        let done = loop {
            match engine.over().pop() {
                Some(done) => break done,
                None => engine.wait(),
            }
        };
        assert_eq!(done.result.expect_err("no room").raw_os_error(), Some(libc::ENOSPC));
        assert_eq!(done.number, 7);
    }
}

#[test]
fn a_full_overlay_is_an_error_and_what_was_there_stays() {
    for engine in ENGINES {
        let base = filled(&pattern(1 << 20, 0));
        let top = memory(&[]);
        Image::create_overlay(&top, 1 << 20).expect("an overlay");
        let mut disk = Disk::new(Image::open(base, Vec::new(), Some(copy(&top))).expect("an image"), engine);
        disk.write(8, &[7; 4096]);
        // Neither data nor bitmap can be written any more; a flush says so.
        seal(&top, libc::F_SEAL_WRITE);
        assert_eq!(disk.ask(FLUSH, 0, &[], 0).status, ERROR);
        assert_eq!(disk.ask(WRITE, 16, &[8; 4096], 0).status, ERROR);
        assert_eq!(disk.ask(WRITE, 33, &[8; 512], 0).status, ERROR);
        let mut expected = pattern(1 << 20, 0);
        expected[4096..8192].fill(7);
        assert!(disk.read(0, 64) == expected[..32768]);
        let error = disk.bench.with(|block, io| Ok(block.freeze(io, overlay(1 << 20)))).expect("no fault");
        let error = error.expect_err("it can't be synced").to_string();
        assert!(error.starts_with("cannot sync the layer to freeze: "), "{error}");
    }
}

#[test]
fn a_copy_that_shares_blocks_is_made_or_not() {
    let (from, to) = (filled(&pattern(8192, 0)), file());
    if reflink(&from, &to).expect("yes or no") {
        assert_eq!(contents(&to), pattern(8192, 0));
    } else {
        assert_eq!(to.metadata().expect("a file").len(), 0);
    }
    assert!(!reflink(&memory(&[1]), &memory(&[2])).expect("shared memory can't"));
}
