//! What damaged or foreign files give: an error that says where and what to do.

use super::super::container::{self, encode};
use super::*;

/// A good state file, and its sections.
fn good() -> Vec<u8> {
    let (mut vm, place) = (Vm::new(), Place::new());
    vm.write(1);
    save(place.fd(), &vm.freeze(), 1, None, &mut go_on).expect("written");
    std::fs::read(place.path.join("state")).expect("there")
}

fn error_of(state: &[u8]) -> String {
    StateFile::decode(state).err().map_or_else(|| "none".into(), |error| error.to_string())
}

/// Puts sections together again after `change`, with right digests.
#[track_caller]
fn check_sections(change: impl FnOnce(&mut Vec<(Tag, u16, bool, Vec<u8>)>), expected: &str) {
    let file = good();
    let sections = container::decode(&file).expect("good");
    let mut sections = sections.into_iter().map(|s| (s.tag, s.version, s.required, s.bytes.to_vec())).collect();
    change(&mut sections);
    let borrowed: Vec<_> = sections.iter().map(|(t, v, r, bytes)| (*t, *v, *r, bytes.as_slice())).collect();
    let error = error_of(&encode(&borrowed));
    assert!(error.contains(expected), "{error:?} doesn't contain {expected:?}");
}

#[track_caller]
fn check_bytes(change: impl FnOnce(&mut Vec<u8>), expected: &str) {
    let mut file = good();
    change(&mut file);
    let error = error_of(&file);
    assert!(error.contains(expected), "{error:?} doesn't contain {expected:?}");
}

#[test]
fn damage_is_told_by_offset() {
    check_bytes(|_| {}, "none");
    check_bytes(Vec::clear, "ends at byte 0, within the header at offset 0");
    check_bytes(|file| file.truncate(5), "ends at byte 5, within the header");
    check_bytes(|file| file.truncate(100), "ends at byte 100, within the section table at offset 16: cut short");
    check_bytes(|file| file.truncate(310), "within a section at offset 296");
    check_bytes(|file| file.truncate(file.len() - 1), "within the digest of the file");
    check_bytes(|file| file[0] = b'v', "not a snapshot's state");
    check_bytes(|file| file[8] = 2, "format 2.0 at offset 8, this program reads 1.*: use the version of vmm");
    check_bytes(|file| file[15] = 1, "table at offset 12 is invalid: too many sections");
    check_bytes(|file| file[24] ^= 1, "table at offset 24 is invalid: a section doesn't follow");
    check_bytes(|file| file[22] = 2, "table at offset 22 is invalid: a flag of a newer version");
    check_bytes(|file| file[39] = 0xFF, "within a section at offset 296");
    check_bytes(|file| file[300] ^= 1, "digest of section META at offset 296 is wrong");
    check_bytes(|file| *file.last_mut().expect("bytes") ^= 1, "digest of the file at offset 0 is wrong");
    check_bytes(|file| file.push(0), "bytes past the end");
}

#[test]
fn sections_are_checked_though_their_digest_is_right() {
    let add = |sections: &mut Vec<(Tag, u16, bool, Vec<u8>)>, required| {
        sections.push((Tag(*b"NEWS"), 7, required, b"something".to_vec()));
    };
    check_sections(|sections| add(sections, false), "none");
    check_sections(|sections| add(sections, true), "section NEWS at offset");
    check_sections(|sections| sections.reverse(), "none");
    check_sections(|sections| sections.truncate(4), "no section DISK");
    check_sections(|sections| sections[3].0 = sections[2].0, "is there twice");
    check_sections(|sections| sections[2].1 = 2, "section MACH at offset");
    check_sections(|sections| sections[0].3.clear(), "section META at offset");
    check_sections(|sections| sections[0].3.push(0), "bytes after its end");
    check_sections(|sections| sections[1].3.truncate(9), "section CONF at offset");
    check_sections(|sections| sections[3].3.truncate(20), "section MEMO at offset");
    check_sections(|sections| sections[4].3 = vec![0xFF; 9], "section DISK at offset");
    check_sections(
        |sections| {
            let mut meta: Meta = crate::state::decode("meta", &sections[0].3).expect("good");
            meta.memory_bytes = 1;
            sections[0].3 = crate::state::encode(&meta);
        },
        "1 bytes of memory, 33554432 in MEMO",
    );
    let memory = |change: fn(&mut MemorySection)| {
        move |sections: &mut Vec<(Tag, u16, bool, Vec<u8>)>| {
            let mut memory: MemorySection = crate::state::decode("memory", &sections[3].3).expect("good");
            change(&mut memory);
            sections[3].3 = crate::state::encode(&memory);
        }
    };
    check_sections(memory(|memory| memory.files[0].bytes += 4096), "33554432 bytes by its runs, 33558528 by its file");
    check_sections(memory(|memory| memory.files.clear()), "0 files for 1 layers");
    check_sections(memory(|memory| memory.index.layers.clear()), "first layer isn't the whole of RAM");
    check_sections(memory(|memory| memory.index.layers[0].runs[0].count = u64::MAX), "isn't the whole of RAM");
}

#[test]
fn every_flipped_byte_and_every_truncation_is_noticed() {
    let file = good();
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        // A newer minor version is one that can be read; the file's digest still covers it.
        assert_ne!(error_of(&damaged), "none", "byte {at}");
        assert_ne!(error_of(&file[..at]), "none", "cut at {at}");
    }
}

#[test]
fn hostile_bytes_are_an_error_at_worst() {
    let file = good();
    let mut random = 1u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        usize::try_from(random >> 33).expect("small") % below
    };
    for _ in 0..3000 {
        let start = next(file.len());
        let mut data = file[start..start + next(file.len() - start)].to_vec();
        for _ in 0..next(4) {
            let at = next(data.len().max(1));
            if let Some(byte) = data.get_mut(at) {
                *byte = u8::try_from(next(256)).expect("a byte");
            }
        }
        fuzz_snapshot(&data);
    }
}

/// Changes a snapshot's memory file, and says what opening and verifying it gives then.
#[track_caller]
fn check_file(change: impl FnOnce(&Path), opened: &str, verified: &str) {
    let (mut vm, place) = (Vm::new(), Place::new());
    vm.write(1);
    save(place.fd(), &vm.freeze(), 1, None, &mut go_on).expect("written");
    change(&place.memory_files()[0]);
    let result = place.open();
    let error = result.as_ref().err().map_or_else(|| "none".into(), ToString::to_string);
    assert!(error.contains(opened), "{error:?} doesn't contain {opened:?}");
    if let Ok(snapshot) = result {
        let error = snapshot.verify(|_| ControlFlow::Continue(())).expect_err("damaged").to_string();
        assert!(error.contains(verified), "{error:?} doesn't contain {verified:?}");
    }
}

#[test]
fn memory_files_are_checked() {
    let set_len = |path: &Path, length| File::options().write(true).open(path).and_then(|f| f.set_len(length));
    check_file(|path| set_len(path, 5000).expect("ours"), "5000 bytes instead of 33554432", "");
    check_file(|path| set_len(path, 64 << 20).expect("ours"), "67108864 bytes instead of 33554432", "");
    check_file(|path| std::fs::remove_file(path).expect("ours"), "the snapshot is incomplete, restore the file", "");
    check_file(
        |path| {
            std::fs::rename(path, path.with_extension("x")).expect("ours");
            std::os::unix::fs::symlink(path.with_extension("x"), path).expect("ours");
        },
        "Too many levels of symbolic links",
        "",
    );
    check_file(
        |path| {
            std::fs::remove_file(path).expect("ours");
            std::fs::create_dir(path).expect("ours");
        },
        "not a regular file",
        "",
    );
    check_file(
        |path| {
            use std::os::unix::fs::FileExt as _;
            let file = File::options().write(true).open(path).expect("ours");
            file.write_all_at(b"x", 5000 * 4096).expect("ours");
        },
        "none",
        "content is not what was written",
    );
}

#[test]
fn a_directory_without_a_snapshot_says_so() {
    let error = Place::new().open().expect_err("empty").to_string();
    assert!(error.contains("its file `state` is missing"), "{error}");
}
