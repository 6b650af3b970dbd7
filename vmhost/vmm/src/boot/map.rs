//! The memory map, and the start info that PVH hands it over in.

use linux_loader::loader::elf::start_info::{hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryBackend as _, GuestMemoryRegion as _};

use super::{Initramfs, LoadError};
use crate::cpu::start::Entry;
use crate::memory::GuestMemory;
use crate::memory::layout::{ACPI, ACPI_END, BOOT_INFO, COMMAND_LINE, KERNEL};

const MAGIC: u32 = 0x336E_C578;
const VERSION: u32 = 1;
/// The same numbers in E820 and in PVH's table.
const RAM: u32 = 1;
const RESERVED: u32 = 2;
/// A PC's video memory and ROMs start here; kernels believe so whatever the map says.
const LOW_END: u64 = 0xA_0000;

const MODULES: u64 = BOOT_INFO + 0x100;
const MAP: u64 = BOOT_INFO + 0x200;
const _: () = assert!(MAP + 0x200 < COMMAND_LINE);

/// A stretch of guest memory.
pub(super) struct MapEntry {
    pub(super) start: u64,
    pub(super) size: u64,
    pub(super) kind: u32,
}

/// What lies where, for the kernel.
pub(super) fn memory_map(memory: &GuestMemory) -> Vec<MapEntry> {
    let mut map = vec![
        MapEntry { start: 0, size: LOW_END, kind: RAM },
        MapEntry { start: ACPI, size: ACPI_END - ACPI, kind: RESERVED },
    ];
    for region in memory.iter() {
        let end = region.start_addr().0 + region.len();
        let start = region.start_addr().0.max(KERNEL);
        if end > start {
            map.push(MapEntry { start, size: end - start, kind: RAM });
        }
    }
    map
}

pub(super) fn write_start_info(
    memory: &GuestMemory,
    entry: u64,
    initramfs: Option<Initramfs>,
    rsdp: u64,
) -> Result<Entry, LoadError> {
    let map = memory_map(memory);
    for (slot, part) in (0..).zip(&map) {
        let record = hvm_memmap_table_entry { addr: part.start, size: part.size, type_: part.kind, reserved: 0 };
        memory.write_obj(record, GuestAddress(MAP + slot * size_of::<hvm_memmap_table_entry>() as u64))?;
    }
    if let Some(Initramfs { address, size }) = initramfs {
        let module = hvm_modlist_entry { paddr: address, size, ..hvm_modlist_entry::default() };
        memory.write_obj(module, GuestAddress(MODULES))?;
    }
    let info = hvm_start_info {
        magic: MAGIC,
        version: VERSION,
        nr_modules: u32::from(initramfs.is_some()),
        modlist_paddr: if initramfs.is_some() { MODULES } else { 0 },
        cmdline_paddr: COMMAND_LINE,
        rsdp_paddr: rsdp,
        memmap_paddr: MAP,
        // Four at most.
        memmap_entries: map.len() as u32,
        ..hvm_start_info::default()
    };
    memory.write_obj(info, GuestAddress(BOOT_INFO))?;
    Ok(Entry::Pvh { address: entry, start_info: BOOT_INFO })
}
