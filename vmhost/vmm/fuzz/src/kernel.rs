//! Kernels and initramfs with headers that say anything.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::OnceLock;

use vm_memory::{Bytes as _, GuestAddress};
use vmm::boot;
use vmm::cpu::start::Entry;
use vmm::memory::layout::{ACPI, ACPI_END, COMMAND_LINE, COMMAND_LINE_SIZE};
use vmm::memory::{GuestRam, memfd};

use crate::script::Script;

const MEMORY_MIB: u32 = 3;
const MEMORY: u64 = (MEMORY_MIB as u64) << 20;
const MARK: u8 = 0xA5;

/// Loads a kernel that the bytes describe, nearly right, or that they are.
///
/// # Panics
/// When anything but a kernel's place is written, or the entry lies outside of memory.
pub fn load(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let kernel = match script.below(3) {
        0 => elf(&mut script),
        1 => bz_image(&mut script),
        _ => script.bytes(4096).to_vec(),
    };
    let initramfs = script.any::<bool>().then(|| file(&vec![1; 64 * script.below(256)]));
    let command_line = "a".repeat(if script.once_in(8) { script.any::<u16>().into() } else { script.below(64) });
    let ram = ram();
    let memory = ram.memory();
    let acpi = usize::try_from(ACPI_END - ACPI).expect("128 KiB");
    memory.write_slice(&vec![MARK; acpi], GuestAddress(ACPI)).expect("in memory");
    let found = boot::load(ram, &file(&kernel), initramfs.as_ref(), &command_line, ACPI);
    let mut after = vec![0; acpi];
    memory.read_slice(&mut after, GuestAddress(ACPI)).expect("in memory");
    assert!(after.iter().all(|byte| *byte == MARK), "a kernel was put over ACPI's tables");
    let Ok(entry) = found else { return };
    if let Entry::Pvh { address, .. } = entry {
        assert!(address < MEMORY, "the entry at {address:#x} isn't in memory");
    }
    assert!(command_line.len() < COMMAND_LINE_SIZE);
    let last: u8 = memory.read_obj(GuestAddress(COMMAND_LINE + command_line.len() as u64)).expect("in memory");
    assert_eq!(last, 0, "the command line has no end");
}

fn ram() -> &'static GuestRam {
    static MAPPED: OnceLock<GuestRam> = OnceLock::new();
    MAPPED.get_or_init(|| GuestRam::create(MEMORY_MIB).expect("the host has 3 MiB"))
}

fn file(bytes: &[u8]) -> File {
    let file = memfd::create("file", 0, false).expect("the host has a memory file");
    file.write_all_at(bytes, 0).expect("a short file");
    file
}

fn place(script: &mut Script<'_>) -> u64 {
    let near = u64::from(script.any::<u8>());
    match script.below(8) {
        0..=2 => 0x10_0000 + near * 16,
        3 => near * 0x1000,
        4 => MEMORY - near,
        5 => 0x10_0000 - near,
        6 => u64::MAX - near,
        _ => script.any(),
    }
}

fn size(script: &mut Script<'_>) -> u64 {
    match script.below(8) {
        0..=4 => script.any::<u8>().into(),
        5 => script.any::<u16>().into(),
        6 => u64::MAX - u64::from(script.any::<u8>()),
        _ => script.any(),
    }
}

/// An ELF with few program headers (generic ABI, figures 4-3 and 5-1).
fn elf(script: &mut Script<'_>) -> Vec<u8> {
    let count = script.any::<u16>() % 6;
    let mut bytes = b"\x7FELF\x02\x01\x01".to_vec();
    bytes.resize(64, 0);
    bytes[18] = 62;
    bytes[32] = 64;
    bytes[54] = 56;
    bytes[56..58].copy_from_slice(&count.to_le_bytes());
    let notes = 64 + 56 * u64::from(count);
    for number in 0..count {
        let kind: u32 = if number == 0 { 4 } else { script.pick(&[1, 1, 1, 4, 2]) };
        let offset = if script.once_in(8) { script.any() } else { notes };
        let in_file = size(script);
        let in_memory = if script.any() { in_file } else { size(script) };
        bytes.extend(kind.to_le_bytes());
        bytes.extend(7_u32.to_le_bytes());
        for value in [offset, 0, place(script), in_file, in_memory, 4096] {
            bytes.extend(value.to_le_bytes());
        }
    }
    let entry = u32::try_from(place(script) & 0xFFFF_FFFF).expect("masked");
    for value in [4, if script.once_in(8) { script.any() } else { 4 }, 18_u32] {
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(b"Xen\0");
    bytes.extend(entry.to_le_bytes());
    bytes.resize(bytes.len() + usize::from(script.any::<u8>()) * 4, 0x90);
    if script.once_in(4) {
        let at = usize::from(script.any::<u16>()) % bytes.len();
        bytes[at] = script.any();
    }
    bytes
}

/// A bzImage's setup header (Linux, Documentation/arch/x86/boot.rst).
fn bz_image(script: &mut Script<'_>) -> Vec<u8> {
    let mut bytes = vec![0; 0x400];
    bytes[0x1F1] = script.any::<u8>() % 3;
    bytes[0x202..0x206].copy_from_slice(b"HdrS");
    bytes[0x206..0x208].copy_from_slice(&if script.once_in(8) { script.any() } else { 0x20F_u16 }.to_le_bytes());
    bytes[0x236] = u8::from(!script.once_in(8));
    bytes[0x238..0x23C].copy_from_slice(&script.pick(&[2047_u32, 0, 16, u32::MAX]).to_le_bytes());
    bytes[0x258..0x260].copy_from_slice(&place(script).to_le_bytes());
    bytes[0x260..0x264].copy_from_slice(&script.pick(&[0x1000_u32, 0, 0x10_0000, u32::MAX]).to_le_bytes());
    bytes.resize(0x400 + 16 * script.below(256), 0x90);
    bytes
}
