//! Names the code that builds chunks, so that a fix never meets a chunk built without it.
//!
//! In:  the sources of the bundler and of the crates it is made of.
//! Out: `BUNDLER_SOURCES`, a hash of them: the same wherever they are compiled.

use std::path::{Path, PathBuf};

const PARTS: [&str; 4] = ["src", "transform/src", "resolve/src", "npm/src"];

fn main() {
    let mut files = Vec::new();
    for part in PARTS {
        println!("cargo::rerun-if-changed={part}");
        collect(Path::new(part), &mut files);
    }
    files.sort();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for file in files {
        let text = std::fs::read(&file).unwrap_or_else(|error| panic!("can't read {}: {error}", file.display()));
        // FNV-1a: no more is asked of it than to differ.
        for byte in file.to_string_lossy().bytes().chain([0]).chain(text) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    println!("cargo::rustc-env=BUNDLER_SOURCES={hash:016x}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("can't read {}: {error}", folder.display()));
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
