//! ACPI tables of a machine with reduced hardware (ACPI 6.5, 4.1): no PIC, PM
//! timer or fixed events, just what is listed here.
//!
//! In:  the number of vCPUs and devices.
//! Out: RSDP, XSDT, FADT, MADT and DSDT in the reserved area; the RSDP's address.
//!
//! All that this says is also all that a kernel probes for: no RTC, no VGA, no
//! keyboard controller. Few exits depend on it.

use acpi_tables::Aml;
use acpi_tables::fadt::{FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use acpi_tables::madt::{EnabledStatus, IoApic, LocalInterruptController, MADT, ProcessorLocalApic};
use acpi_tables::rsdp::Rsdp;
use acpi_tables::xsdt::XSDT;
use vm_memory::{Bytes as _, GuestAddress};

use super::LoadError;
use crate::generation::GENERATION;
use crate::legacy::ports;
use crate::memory::GuestMemory;
use crate::memory::layout::{ACPI, IO_APIC, LOCAL_APIC};

mod dsdt;

const OEM: [u8; 6] = *b"MICROV";
const TABLE: [u8; 8] = *b"MICROVM ";
const REVISION: u32 = 1;
/// IA-PC boot flags: no VGA, no MSI (there is no PCI), no ASPM, no CMOS clock; and neither legacy devices nor 8042.
const BOOT_FLAGS: u16 = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5;

/// What the tables list.
#[derive(Debug, Clone, Copy)]
pub struct Contents {
    /// 1 and up.
    pub vcpus: u8,
    /// Virtio devices.
    pub devices: usize,
}

/// Writes all tables.
///
/// # Errors
/// When guest memory doesn't reach up to them.
pub fn write(memory: &GuestMemory, contents: Contents) -> Result<u64, LoadError> {
    let mut tables = Tables { memory, next: ACPI + 64 };
    let dsdt = tables.put(dsdt::bytes(contents.devices).as_slice())?;
    let fadt = tables.put(&bytes(&fadt(dsdt)))?;
    let madt = tables.put(&bytes(&madt(contents.vcpus)))?;
    let mut xsdt = XSDT::new(OEM, TABLE, REVISION);
    xsdt.add_entry(fadt);
    xsdt.add_entry(madt);
    let xsdt = tables.put(&bytes(&xsdt))?;
    memory.write_slice(&bytes(&Rsdp::new(OEM, xsdt)), GuestAddress(ACPI))?;
    Ok(ACPI)
}

struct Tables<'a> {
    memory: &'a GuestMemory,
    next: u64,
}

impl Tables<'_> {
    fn put(&mut self, table: &[u8]) -> Result<u64, LoadError> {
        let address = self.next;
        self.next = (address + table.len() as u64).next_multiple_of(16);
        // The tables' sizes are ours: 17 devices and 32 vCPUs take some 4 KiB.
        debug_assert!(self.next <= GENERATION, "the tables reach into the generation id");
        self.memory.write_slice(table, GuestAddress(address))?;
        Ok(address)
    }
}

fn bytes(table: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

fn fadt(dsdt: u64) -> impl Aml {
    let port = |address| GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, address);
    let mut fadt = FADTBuilder::new(OEM, TABLE, REVISION)
        .dsdt_64(dsdt)
        .flag(Flags::Wbinvd)
        .flag(Flags::HwReducedAcpi)
        .flag(Flags::ResetRegSup)
        .flag(Flags::PwrButton)
        .flag(Flags::SlpButton);
    fadt.iapc_boot_arch = BOOT_FLAGS.into();
    fadt.reset_reg = port(ports::RESET);
    fadt.reset_value = ports::RESET_VALUE;
    fadt.sleep_control_reg = port(ports::SLEEP_CONTROL);
    fadt.sleep_status_reg = port(ports::SLEEP_STATUS);
    fadt.hypervisor_vendor_identity = u64::from_le_bytes(*b"MICROVM\0").into();
    fadt.finalize()
}

fn madt(vcpus: u8) -> impl Aml {
    let address = |address: u64| u32::try_from(address).expect("both APICs lie below 4 GiB");
    let mut madt = MADT::new(OEM, TABLE, REVISION, LocalInterruptController::Address(address(LOCAL_APIC)));
    for id in 0..vcpus {
        madt.add_structure(ProcessorLocalApic::new(id, id, EnabledStatus::Enabled));
    }
    madt.add_structure(IoApic::new(0, address(IO_APIC), 0));
    madt
}

#[cfg(test)]
mod tests {
    use vm_memory::GuestMemoryBackend as _;

    use super::*;
    use crate::memory::GuestRam;

    fn read(memory: &GuestMemory, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        memory.read_slice(&mut bytes, GuestAddress(address)).expect("inside memory");
        bytes
    }

    fn table(memory: &GuestMemory, address: u64) -> Vec<u8> {
        let length: u32 = memory.read_obj(GuestAddress(address + 4)).expect("inside memory");
        let table = read(memory, address, length as usize);
        assert_eq!(table.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)), 0, "checksum");
        table
    }

    #[test]
    fn tables_are_linked_and_checked_up_to_the_largest_machine() {
        for (vcpus, devices) in [(1, 0), (32, 17)] {
            let ram = GuestRam::create(32).expect("32 MiB");
            let memory = ram.memory();
            let rsdp = write(memory, Contents { vcpus, devices }).expect("they fit");
            assert_eq!(read(memory, rsdp, 8), b"RSD PTR ");
            let xsdt = table(memory, memory.read_obj(GuestAddress(rsdp + 24)).expect("inside memory"));
            let entries: Vec<_> =
                xsdt[36..].chunks(8).map(|entry| u64::from_le_bytes(entry.try_into().expect("8"))).collect();
            let tables: Vec<_> = entries.iter().map(|address| table(memory, *address)).collect();
            assert_eq!(tables.iter().map(|table| &table[..4]).collect::<Vec<_>>(), [b"FACP", b"APIC"]);
            assert_eq!(tables[1].len(), 44 + 8 * usize::from(vcpus) + 12);
            let dsdt = u64::from_le_bytes(tables[0][140..148].try_into().expect("8"));
            assert_eq!(&table(memory, dsdt)[..4], b"DSDT");
            assert!(memory.num_regions() == 1 && dsdt > ACPI);
        }
    }
}
