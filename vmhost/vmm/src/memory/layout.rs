//! Guest physical addresses and interrupts: constants that boot, ACPI tables and devices agree on.

/// End of memory below the 32-bit gap; more memory continues at `HIGH_RAM`.
pub const LOW_RAM_END: u64 = 0xC000_0000;
/// Start of memory above the gap.
pub const HIGH_RAM: u64 = 0x1_0000_0000;

/// First virtio-mmio window; device n has `VIRTIO_MMIO + n * VIRTIO_MMIO_SIZE`.
pub const VIRTIO_MMIO: u64 = 0xD000_0000;
/// Size of one virtio-mmio window, in bytes.
pub const VIRTIO_MMIO_SIZE: u64 = 0x1000;
/// The interrupt of virtio device 0; device n has `VIRTIO_GSI + n`.
pub const VIRTIO_GSI: u32 = 6;
/// As many as the I/O APIC has pins left.
pub const MAX_VIRTIO_DEVICES: usize = 17;

/// The serial port's interrupt.
pub const SERIAL_GSI: u32 = 4;
/// The interrupt of ACPI's generic event device.
pub const GED_GSI: u32 = 5;

/// I/O APIC, as KVM places it.
pub const IO_APIC: u64 = 0xFEC0_0000;
/// Local APICs, as KVM places them.
pub const LOCAL_APIC: u64 = 0xFEE0_0000;
/// Three pages that KVM needs on Intel; inside the gap.
pub const KVM_TSS: u64 = 0xFFFB_D000;
/// One page that KVM needs on Intel; inside the gap.
pub const KVM_IDENTITY_MAP: u64 = 0xFFFB_C000;

/// Boot information and the structures it points to: below the kernel and below `ACPI`.
pub const BOOT_INFO: u64 = 0x7000;
/// The kernel's command line.
pub const COMMAND_LINE: u64 = 0x2_0000;
/// Longest command line, with its closing zero, in bytes.
pub const COMMAND_LINE_SIZE: usize = 4096;
/// ACPI tables, RSDP first; reserved in the memory map.
pub const ACPI: u64 = 0xE_0000;
/// End of the ACPI area.
pub const ACPI_END: u64 = 0x10_0000;
/// Where kernels are loaded from.
pub const KERNEL: u64 = 0x10_0000;

/// Start and length of each stretch of memory, in bytes.
pub fn ram(size: u64) -> Vec<(u64, u64)> {
    if size <= LOW_RAM_END { vec![(0, size)] } else { vec![(0, LOW_RAM_END), (HIGH_RAM, size - LOW_RAM_END)] }
}
