//! Loads a bzImage and writes what Linux' 64-bit boot protocol wants
//! (`Documentation/arch/x86/boot.rst`): zero page, page tables, descriptor table.

use std::fs::File;

use linux_loader::loader::bootparam::{boot_e820_entry, boot_params, setup_header};
use vm_memory::{ByteValued, Bytes as _, GuestAddress};

use super::{Initramfs, Kernel, KernelEntry, LoadError, MOST_EXPECTED, check_place, copy, length, map, read_at};
use crate::cpu::start::{Entry, GDT};
use crate::memory::layout::{BOOT_INFO, COMMAND_LINE};
use crate::memory::{GuestMemory, GuestRam};

/// Zero page, then the tables, all below the kernel and its command line.
const ZERO_PAGE: u64 = BOOT_INFO;
const GDT_ADDRESS: u64 = BOOT_INFO + 0x1000;
const PAGE_TABLES: u64 = BOOT_INFO + 0x2000;
/// The 64-bit entry, from the start of the protected-mode code.
const ENTRY_64: u64 = 0x200;
const HEADER_AT: u64 = 0x1F1;
const HDRS: u32 = 0x5372_6448;
/// `XLF_KERNEL_64`.
const HAS_64_BIT_ENTRY: u16 = 1;
const PRESENT_WRITABLE: u64 = 3;
const LARGE: u64 = 1 << 7;

/// The header, and where the kernel lies.
pub struct Header {
    setup: setup_header,
    load_address: u64,
}

pub(super) fn load(ram: &GuestRam, file: &File) -> Result<Kernel, LoadError> {
    let memory = ram.memory();
    let setup = read_header(file)?;
    let sectors = if setup.setup_sects == 0 { 4 } else { u64::from(setup.setup_sects) };
    let offset = (sectors + 1) * 512;
    let size = length(file, "kernel")?.checked_sub(offset).ok_or(LoadError::BzImage("it ends before its code"))?;
    let load_address = setup.pref_address;
    // The kernel unpacks itself in place and needs `init_size` for it.
    let end = check_place(memory, load_address, size.max(u64::from(setup.init_size)))?;
    ram.expect_use(load_address, end.min(load_address + MOST_EXPECTED));
    copy(memory, file, "kernel", offset, load_address, size)?;
    Ok(Kernel { entry: KernelEntry::Linux64(Box::new(Header { setup, load_address })), end })
}

fn read_header(file: &File) -> Result<setup_header, LoadError> {
    let mut bytes = [0; size_of::<setup_header>()];
    read_at(file, &mut bytes, HEADER_AT).map_err(|_| LoadError::NotAKernel)?;
    let setup = *setup_header::from_slice(&bytes).ok_or(LoadError::NotAKernel)?;
    if { setup.header } != HDRS {
        return Err(LoadError::NotAKernel);
    }
    if { setup.version } < 0x20C {
        return Err(LoadError::BzImage("its boot protocol is older than 2.12"));
    }
    if { setup.xloadflags } & HAS_64_BIT_ENTRY == 0 {
        return Err(LoadError::BzImage("it has no 64-bit entry"));
    }
    Ok(setup)
}

pub(super) fn write_zero_page(
    memory: &GuestMemory,
    header: &Header,
    initramfs: Option<Initramfs>,
    command_line_length: usize,
    rsdp: u64,
) -> Result<Entry, LoadError> {
    if command_line_length > header.setup.cmdline_size as usize {
        return Err(LoadError::CommandLine(command_line_length));
    }
    let mut page = boot_params { hdr: header.setup, acpi_rsdp_addr: rsdp, ..boot_params::default() };
    // "Undefined loader" in both fields.
    page.hdr.type_of_loader = 0xFF;
    page.hdr.cmd_line_ptr = low_32(COMMAND_LINE);
    if let Some(Initramfs { address, size }) = initramfs {
        page.hdr.ramdisk_image = low_32(address);
        page.hdr.ramdisk_size = low_32(size);
    }
    let map = map::memory_map(memory);
    for (slot, entry) in page.e820_table.iter_mut().zip(&map) {
        *slot = boot_e820_entry { addr: entry.start, size: entry.size, r#type: entry.kind };
    }
    page.e820_entries = u8::try_from(map.len().min(page.e820_table.len())).unwrap_or(u8::MAX);
    memory.write_obj(page, GuestAddress(ZERO_PAGE))?;
    memory.write_slice(GDT.map(u64::to_le_bytes).as_flattened(), GuestAddress(GDT_ADDRESS))?;
    write_page_tables(memory)?;
    Ok(Entry::Linux64 {
        address: header.load_address + ENTRY_64,
        zero_page: ZERO_PAGE,
        page_tables: PAGE_TABLES,
        gdt: GDT_ADDRESS,
    })
}

/// The first GiB, in pages of 2 MiB; the kernel maps the rest itself.
fn write_page_tables(memory: &GuestMemory) -> Result<(), LoadError> {
    let (level_3, level_2) = (PAGE_TABLES + 0x1000, PAGE_TABLES + 0x2000);
    memory.write_obj(level_3 | PRESENT_WRITABLE, GuestAddress(PAGE_TABLES))?;
    memory.write_obj(level_2 | PRESENT_WRITABLE, GuestAddress(level_3))?;
    for entry in 0..512 {
        memory.write_obj(entry << 21 | PRESENT_WRITABLE | LARGE, GuestAddress(level_2 + 8 * entry))?;
    }
    Ok(())
}

/// All of this lies below 4 GiB, as low memory ends there.
fn low_32(address: u64) -> u32 {
    u32::try_from(address).unwrap_or(u32::MAX)
}
