//! Puts a kernel into guest memory and says how the first vCPU enters it.
//!
//! In:  kernel, initramfs and command line from the user, fresh guest memory.
//! Out: an `Entry`; guest memory that holds the kernel, its boot information
//!      and ACPI tables, none of which overlap.
//!
//! Kernels and initramfs are untrusted: whatever their headers say, this
//! writes inside the guest's memory or gives an error.

pub mod acpi;
pub mod bzimage;
pub mod elf;
mod map;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use vm_memory::{Bytes as _, GuestAddress, GuestMemoryBackend as _};

use crate::cpu::start::Entry;
use crate::memory::layout::{COMMAND_LINE, COMMAND_LINE_SIZE, KERNEL, LOW_RAM_END};
use crate::memory::{GuestMemory, GuestRam};

const PAGE: u64 = crate::memory::PAGE as u64;

/// What a kernel takes early beside the table of pages, in bytes.
const EARLY_MEMORY: u64 = 4 << 20;
/// Most of a kernel that huge pages are asked for: its headers may claim all memory.
const MOST_EXPECTED: u64 = 64 << 20;

/// Why a kernel can't be booted.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is neither kind of kernel.
    #[error("the kernel is neither an ELF nor a bzImage: give an uncompressed `vmlinux` with CONFIG_PVH, or a bzImage")]
    NotAKernel,
    /// An ELF that isn't for this machine.
    #[error("the kernel is an ELF, but {0}: give a 64-bit x86 `vmlinux`")]
    Elf(&'static str),
    /// An ELF without the entry point that is needed.
    #[error("the kernel is an ELF without a PVH entry point: build it with CONFIG_PVH=y")]
    NoPvh,
    /// A bzImage that can't be entered.
    #[error("the kernel is a bzImage, but {0}: give one with a 64-bit entry (boot protocol 2.12 or later)")]
    BzImage(&'static str),
    /// A part of the kernel would lie where it can't.
    #[error(
        "the kernel wants to lie at {start:#x} to {end:#x}, guest memory for it is {first:#x} to {limit:#x}: give the machine more memory or another kernel"
    )]
    Place {
        /// Its first byte.
        start: u64,
        /// The byte after its last.
        end: u64,
        /// The first address it may use.
        first: u64,
        /// The end of memory.
        limit: u64,
    },
    /// No room left after the kernel.
    #[error(
        "the initramfs of {size} bytes has no room above the kernel's end {kernel_end:#x}: give the machine more memory"
    )]
    InitramfsSize {
        /// Its size.
        size: u64,
        /// Where the kernel ends.
        kernel_end: u64,
    },
    /// Kernels refuse longer ones.
    #[error("the command line has {0} bytes, the limit is {limit}", limit = COMMAND_LINE_SIZE - 1)]
    CommandLine(usize),
    /// It would end at the zero.
    #[error("the command line has a zero byte")]
    CommandLineZero,
    /// A file can't be read.
    #[error("cannot read the {file}: {source}")]
    Read {
        /// Which of them.
        file: &'static str,
        /// What the host says.
        source: io::Error,
    },
    /// The guest has less memory than boot structures need.
    #[error("guest memory can't take the boot structures: {0}")]
    Memory(#[from] vm_memory::GuestMemoryError),
}

/// Where things were put.
struct Kernel {
    entry: KernelEntry,
    /// The byte after its last, also of what it clears or unpacks itself into.
    end: u64,
}

enum KernelEntry {
    Pvh(u64),
    Linux64(Box<bzimage::Header>),
}

/// An initramfs in guest memory.
#[derive(Debug, Clone, Copy)]
struct Initramfs {
    address: u64,
    size: u64,
}

/// Loads everything; `rsdp` is where ACPI's root was put.
///
/// # Errors
/// What is wrong with which file, and what to do.
pub fn load(
    ram: &GuestRam,
    kernel: &File,
    initramfs: Option<&File>,
    command_line: &str,
    rsdp: u64,
) -> Result<Entry, LoadError> {
    let memory = ram.memory();
    write_command_line(memory, command_line)?;
    let kernel = load_kernel(ram, kernel)?;
    let initramfs = initramfs.map(|file| load_initramfs(ram, file, kernel.end)).transpose()?;
    match kernel.entry {
        KernelEntry::Pvh(address) => map::write_start_info(memory, address, initramfs, rsdp),
        KernelEntry::Linux64(header) => {
            let length = command_line.len();
            bzimage::write_zero_page(memory, &header, initramfs, length, rsdp)
        }
    }
}

fn load_kernel(ram: &GuestRam, file: &File) -> Result<Kernel, LoadError> {
    let mut magic = [0; 4];
    read_at(file, &mut magic, 0)?;
    if magic == *b"\x7FELF" { elf::load(ram, file) } else { bzimage::load(ram, file) }
}

fn write_command_line(memory: &GuestMemory, command_line: &str) -> Result<(), LoadError> {
    if command_line.len() >= COMMAND_LINE_SIZE {
        return Err(LoadError::CommandLine(command_line.len()));
    }
    if command_line.contains('\0') {
        return Err(LoadError::CommandLineZero);
    }
    memory.write_slice(command_line.as_bytes(), GuestAddress(COMMAND_LINE))?;
    Ok(memory.write_obj(0_u8, GuestAddress(COMMAND_LINE + command_line.len() as u64))?)
}

/// At the top of low memory. Below it a kernel takes its first memory from, growing downwards: tables of all pages,
/// 64 bytes each, and what it hashes into.
fn load_initramfs(ram: &GuestRam, file: &File, kernel_end: u64) -> Result<Initramfs, LoadError> {
    let memory = ram.memory();
    let size = length(file, "initramfs")?;
    let no_room = LoadError::InitramfsSize { size, kernel_end };
    let Some(start) = low_memory_end(memory).checked_sub(size) else { return Err(no_room) };
    let address = start & !(PAGE - 1);
    if address < kernel_end {
        return Err(no_room);
    }
    let early = low_memory_end(memory) / 64 + EARLY_MEMORY;
    ram.expect_use(address.saturating_sub(early).max(kernel_end), start + size);
    copy(memory, file, "initramfs", 0, address, size)?;
    Ok(Initramfs { address, size })
}

/// Where memory below the gap ends.
fn low_memory_end(memory: &GuestMemory) -> u64 {
    use vm_memory::GuestMemoryRegion as _;
    memory.iter().map(|region| region.start_addr().0 + region.len()).find(|end| *end <= LOW_RAM_END).unwrap_or(0)
}

/// Checks that `start` to `end` is memory that a kernel may lie in.
fn check_place(memory: &GuestMemory, start: u64, size: u64) -> Result<u64, LoadError> {
    let end = start.saturating_add(size);
    let limit = low_memory_end(memory);
    if start < KERNEL || end > limit {
        return Err(LoadError::Place { start, end, first: KERNEL, limit });
    }
    Ok(end)
}

fn length(file: &File, name: &'static str) -> Result<u64, LoadError> {
    Ok(file.metadata().map_err(|source| LoadError::Read { file: name, source })?.len())
}

fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> Result<(), LoadError> {
    file.read_exact_at(bytes, offset).map_err(|source| LoadError::Read { file: "kernel", source })
}

/// Reads a part of a file straight into guest memory; the file's own position moves.
fn copy(
    memory: &GuestMemory,
    mut file: &File,
    name: &'static str,
    offset: u64,
    address: u64,
    size: u64,
) -> Result<(), LoadError> {
    use std::io::Seek as _;
    let failed = |source| LoadError::Read { file: name, source };
    file.seek(io::SeekFrom::Start(offset)).map_err(failed)?;
    let count = usize::try_from(size).map_err(|error| failed(io::Error::other(error)))?;
    memory
        .read_exact_volatile_from(GuestAddress(address), &mut file, count)
        .map_err(|error| failed(io::Error::other(error)))
}
