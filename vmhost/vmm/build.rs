//! Compiles the lists of allowed system calls, so that a mistake in them is a mistake of the build.

use std::fs;
use std::path::PathBuf;

use seccompiler::{BpfProgram, TargetArch};

const LISTS: &str = "seccomp/x86_64.json";

fn main() {
    println!("cargo::rerun-if-changed={LISTS}");
    let text = fs::read(LISTS).expect("the lists lie beside this script");
    let programs = seccompiler::compile_from_json(text.as_slice(), TargetArch::x86_64).expect("the lists are valid");
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    for (thread, program) in programs {
        fs::write(folder.join(format!("{thread}.bpf")), bytes(&program)).expect("the folder is writable");
    }
}

fn bytes(program: &BpfProgram) -> Vec<u8> {
    let instruction = |filter: &seccompiler::sock_filter| {
        let ([c0, c1], [k0, k1, k2, k3]) = (filter.code.to_le_bytes(), filter.k.to_le_bytes());
        [c0, c1, filter.jt, filter.jf, k0, k1, k2, k3]
    };
    program.iter().flat_map(instruction).collect()
}
