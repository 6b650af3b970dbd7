//! The registers that the first vCPU starts with.
//!
//! PVH wants flat 32-bit protected mode without paging and EBX at the start
//! info (Xen's `docs/misc/pvh.pandoc`); a bzImage's 64-bit entry wants long
//! mode, identity-mapped, and RSI at the zero page (Linux' `boot.rst`). The
//! other vCPUs wait for the guest's INIT and SIPI; of all, firmware would have
//! set a few model-specific registers.

use kvm_bindings::{Msrs, kvm_dtable, kvm_msr_entry, kvm_segment};
use kvm_ioctls::VcpuFd;

/// How a kernel wants to be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// By the PVH protocol.
    Pvh {
        /// Where it starts.
        address: u64,
        /// Where `hvm_start_info` is.
        start_info: u64,
    },
    /// By Linux' 64-bit protocol.
    Linux64 {
        /// Where it starts.
        address: u64,
        /// Where `boot_params` are.
        zero_page: u64,
        /// The page table's root.
        page_tables: u64,
        /// The descriptor table, of `GDT`'s entries.
        gdt: u64,
    },
}

/// Null, unused, 64-bit code, data: `CODE` and `DATA` select the last two.
pub const GDT: [u64; 4] = [0, 0, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF];
const CODE: u16 = 0x10;
const DATA: u16 = 0x18;

const CR0_PE: u64 = 1;
const CR0_ET: u64 = 1 << 4;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
/// Bit 1 is always set.
const RFLAGS: u64 = 2;

/// `IA32_MISC_ENABLE`, bit 0: string instructions are fast. Without it Linux on Intel copies memory slowly.
const MISC_ENABLE: (u32, u64) = (0x1A0, 1);
/// `IA32_MTRR_DEF_TYPE`: enabled, memory is write-back by default. Without it Linux distrusts its page attributes.
const MTRR_DEF_TYPE: (u32, u64) = (0x2FF, 1 << 11 | 6);

/// Does what firmware would have done to each vCPU.
fn set_msrs(vcpu: &VcpuFd) -> Result<(), kvm_ioctls::Error> {
    for (index, set) in [MISC_ENABLE, MTRR_DEF_TYPE] {
        let msrs = |data| Msrs::from_entries(&[kvm_msr_entry { index, data, ..Default::default() }]);
        let invalid = |_| kvm_ioctls::Error::new(libc::EINVAL);
        let mut now = msrs(0).map_err(invalid)?;
        // Some hosts' KVM has one or the other not at all, and shows the guest none.
        if vcpu.get_msrs(&mut now)? == 1 {
            let data = now.as_slice().first().map_or(0, |entry| entry.data);
            vcpu.set_msrs(&msrs(data | set).map_err(invalid)?)?;
        }
    }
    Ok(())
}

/// Sets registers of a vCPU that has its CPUID and hasn't run; without an `entry` it waits to be started.
///
/// # Errors
/// Those of the ioctls.
pub fn set(vcpu: &VcpuFd, entry: Option<Entry>) -> Result<(), kvm_ioctls::Error> {
    set_msrs(vcpu)?;
    let Some(entry) = entry else { return Ok(()) };
    let mut sregs = vcpu.get_sregs()?;
    let mut regs = kvm_bindings::kvm_regs { rflags: RFLAGS, ..Default::default() };
    let long = matches!(entry, Entry::Linux64 { .. });
    sregs.cs = segment(CODE, 0xB, long);
    let data = segment(DATA, 3, false);
    (sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss) = (data, data, data, data, data);
    // A busy TSS of 32 or 64 bits, as entering a guest checks for one.
    sregs.tr = kvm_segment { limit: 0x67, selector: 0, s: 0, g: 0, db: 0, ..segment(0, 0xB, false) };
    match entry {
        Entry::Pvh { address, start_info } => {
            sregs.cr0 = CR0_PE | CR0_ET;
            regs.rip = address;
            regs.rbx = start_info;
        }
        Entry::Linux64 { address, zero_page, page_tables, gdt } => {
            sregs.gdt = kvm_dtable { base: gdt, limit: 8 * 4 - 1, ..Default::default() };
            sregs.cr0 = CR0_PE | CR0_ET | CR0_PG;
            sregs.cr3 = page_tables;
            sregs.cr4 = CR4_PAE;
            sregs.efer = EFER_LME | EFER_LMA;
            regs.rip = address;
            regs.rsi = zero_page;
        }
    }
    vcpu.set_sregs(&sregs)?;
    vcpu.set_regs(&regs)
}

/// A flat segment of 4 GiB.
fn segment(selector: u16, kind: u8, long: bool) -> kvm_segment {
    kvm_segment {
        base: 0,
        limit: 0xFFFF_FFFF,
        selector,
        type_: kind,
        present: 1,
        dpl: 0,
        db: u8::from(!long),
        s: 1,
        l: u8::from(long),
        g: 1,
        ..kvm_segment::default()
    }
}
