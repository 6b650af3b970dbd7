//! The registers that the first vCPU starts with.
//!
//! PVH wants flat 32-bit protected mode without paging and EBX at the start
//! info (Xen's `docs/misc/pvh.pandoc`); a bzImage's 64-bit entry wants long
//! mode, identity-mapped, and RSI at the zero page (Linux' `boot.rst`). The
//! other vCPUs wait for the guest's INIT and SIPI.

use kvm_bindings::{kvm_dtable, kvm_segment};
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

/// Sets registers of a vCPU that hasn't run.
///
/// # Errors
/// Those of the ioctls.
pub fn set(vcpu: &VcpuFd, entry: Entry) -> Result<(), kvm_ioctls::Error> {
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
