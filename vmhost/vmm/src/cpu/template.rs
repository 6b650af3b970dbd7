//! Which CPU features pass from the host to the guest: tables.
//!
//! Two kinds of features never pass: those whose state this VMM can't save and
//! put back (performance counters, SGX, tracing, nested virtualisation, AMX),
//! and those of the bare machine (thermal, monitor/mwait). `Portable` keeps
//! only what x86-64-v3 promises and what kernels need of any CPU of that age,
//! so that a snapshot moves between hosts of one vendor.

use kvm_bindings::kvm_cpuid_entry2;
use vmm_control::CpuTemplate;

/// A register of a CPUID answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Register {
    /// EAX.
    Eax,
    /// EBX.
    Ebx,
    /// ECX.
    Ecx,
    /// EDX.
    Edx,
}

impl Register {
    /// Its value in an answer.
    pub fn of(self, entry: &kvm_cpuid_entry2) -> u32 {
        match self {
            Self::Eax => entry.eax,
            Self::Ebx => entry.ebx,
            Self::Ecx => entry.ecx,
            Self::Edx => entry.edx,
        }
    }

    fn of_mut(self, entry: &mut kvm_cpuid_entry2) -> &mut u32 {
        match self {
            Self::Eax => &mut entry.eax,
            Self::Ebx => &mut entry.ebx,
            Self::Ecx => &mut entry.ecx,
            Self::Edx => &mut entry.edx,
        }
    }
}

/// A register that holds feature bits.
pub struct Word {
    /// CPUID leaf.
    pub leaf: u32,
    /// Its sub-leaf.
    pub index: u32,
    /// Which register.
    pub register: Register,
    /// Bits that pass in `Host`.
    host: u32,
    /// Bits that pass in `Portable`.
    portable: u32,
}

const fn word(leaf: u32, index: u32, register: Register, host: u32, portable: u32) -> Word {
    Word { leaf, index, register, host, portable }
}

const fn bits(positions: &[u32]) -> u32 {
    let mut word = 0;
    let mut at = 0;
    while at < positions.len() {
        word |= 1 << positions[at];
        at += 1;
    }
    word
}

const fn all_but(positions: &[u32]) -> u32 {
    !bits(positions)
}

/// All registers with feature bits; a bit that isn't let through here is clear for the guest.
pub const WORDS: &[Word] = &[
    // Not: DTES64, MONITOR, DS-CPL, VMX, SMX, EIST, TM2, CNXT-ID, SDBG, PDCM, DCA.
    word(
        1,
        0,
        Register::Ecx,
        all_but(&[2, 3, 4, 5, 6, 7, 8, 10, 11, 15, 18]),
        bits(&[0, 1, 9, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31]),
    ),
    // Not: debug store, ACPI thermal, TM, PBE.
    word(1, 0, Register::Edx, all_but(&[21, 22, 29, 31]), all_but(&[18, 20, 21, 22, 27, 29, 30, 31])),
    // Always-running APIC timer only.
    word(6, 0, Register::Eax, bits(&[2]), bits(&[2])),
    word(6, 0, Register::Ecx, 0, 0),
    // Not: SGX, HLE, RTM, RDT monitoring and allocation, MPX, processor trace.
    word(
        7,
        0,
        Register::Ebx,
        all_but(&[2, 4, 11, 12, 14, 15, 25]),
        // FSGSBASE, TSC_ADJUST, BMI1, AVX2, SMEP, BMI2, ERMS, INVPCID, RDSEED, ADX, SMAP, CLFLUSHOPT, SHA.
        bits(&[0, 1, 3, 5, 7, 8, 9, 10, 18, 19, 20, 23, 29]),
    ),
    // Not: WAITPKG, shadow stacks, TME, bus lock detection, ENQCMD, SGX_LC, PKS.
    word(7, 0, Register::Ecx, all_but(&[5, 7, 13, 24, 29, 30, 31]), bits(&[2])),
    // Not: user interrupts, hybrid, PCONFIG, architectural LBR, IBT, AMX.
    word(7, 0, Register::Edx, all_but(&[5, 15, 18, 19, 20, 22, 24, 25]), bits(&[4, 26, 27, 29, 31])),
    // Not: LAM (26), AMX-FP16 (21), architectural PerfMon extensions (8), FRED (17), LKGS (18).
    word(7, 1, Register::Eax, all_but(&[8, 17, 18, 21, 26]), 0),
    word(7, 1, Register::Ebx, all_but(&[]), 0),
    // Not: AMX-INT8, AMX-COMPLEX, user MSR, CET-SSS, AVX10.
    word(7, 1, Register::Edx, all_but(&[4, 8, 15, 18, 19]), 0),
    word(7, 2, Register::Edx, all_but(&[]), bits(&[0, 1, 2, 3, 4])),
    // x87, SSE, AVX, AVX-512 (three), protection keys.
    word(0xD, 0, Register::Eax, bits(&[0, 1, 2, 5, 6, 7, 9]), bits(&[0, 1, 2])),
    word(0xD, 0, Register::Edx, 0, 0),
    word(0xD, 1, Register::Eax, bits(&[0, 1, 2, 3]), bits(&[0, 1, 2, 3])),
    word(0xD, 1, Register::Ecx, 0, 0),
    word(0xD, 1, Register::Edx, 0, 0),
    // Not: asynchronous page faults (events in flight get lost in a snapshot), guest page encryption, migration control.
    word(0x4000_0001, 0, Register::Eax, all_but(&[4, 10, 14, 16, 17]), all_but(&[4, 10, 14, 16, 17])),
    // Not: SVM, IBS, SKINIT, WDT, LWP, NODEID, all performance counters, MWAITX.
    word(
        0x8000_0001,
        0,
        Register::Ecx,
        all_but(&[2, 10, 12, 13, 15, 19, 23, 24, 27, 28, 29]),
        // LAHF, legacy CMP, CR8, LZCNT, PREFETCHW, TOPOEXT.
        bits(&[0, 1, 4, 5, 8, 22]),
    ),
    // Those of leaf 1 once more, SYSCALL, NX, 1 GiB pages, RDTSCP, long mode.
    word(0x8000_0001, 0, Register::Edx, all_but(&[]), 0x0183_FBFF | bits(&[11, 20, 26, 27, 29])),
    // Invariant TSC only; a portable guest may meet a TSC of another rate.
    word(0x8000_0007, 0, Register::Edx, bits(&[8]), 0),
    // Not: MCOMMIT, power management of cores, and whatever is defined later.
    word(0x8000_0008, 0, Register::Ebx, all_but(&[1, 3, 4, 5, 8]), bits(&[0, 2, 12, 14, 15, 17, 24])),
    word(0x8000_0021, 0, Register::Eax, all_but(&[]), bits(&[2, 6])),
];

/// Leaves that say nothing to the guest: counters, SGX, tracing, AMX, AVX10, SVM, IBS, LWP, memory encryption.
pub const EMPTY_LEAVES: &[u32] = &[
    5,
    0xA,
    0xF,
    0x10,
    0x12,
    0x14,
    0x17,
    0x18,
    0x19,
    0x1B,
    0x1C,
    0x1D,
    0x1E,
    0x1F,
    0x24,
    0x8000_000A,
    0x8000_001B,
    0x8000_001C,
    0x8000_001F,
    0x8000_0020,
    0x8000_0022,
    0x8000_0023,
    0x8000_0026,
];

/// Leaves that also depend on the very machine, so that a portable guest does without: frequencies.
const HOST_LEAVES: &[u32] = &[0x15, 0x16];

/// What of `supported` passes.
pub fn apply(template: CpuTemplate, supported: &[kvm_cpuid_entry2]) -> Vec<kvm_cpuid_entry2> {
    let hidden = if template == CpuTemplate::Portable { HOST_LEAVES } else { &[] };
    let passes = |entry: &&kvm_cpuid_entry2| ![EMPTY_LEAVES, hidden].concat().contains(&entry.function);
    let mut passed: Vec<_> = supported.iter().filter(passes).copied().collect();
    for entry in &mut passed {
        let place = (entry.function, entry.index);
        for word in WORDS.iter().filter(|word| (word.leaf, word.index) == place) {
            let mask = match template {
                CpuTemplate::Host => word.host,
                CpuTemplate::Portable => word.portable,
            };
            *word.register.of_mut(entry) &= mask;
        }
    }
    trim_xsave(&mut passed);
    passed
}

/// Leaf 0xD lists the parts of XSAVE's area: without those whose feature is gone, and of the size of what is left.
fn trim_xsave(entries: &mut Vec<kvm_cpuid_entry2>) {
    let user = entries.iter().find(|entry| (entry.function, entry.index) == (0xD, 0)).map_or(0, |entry| entry.eax);
    entries
        .retain(|entry| entry.function != 0xD || entry.index < 2 || entry.index < 32 && user >> entry.index & 1 == 1);
    // The legacy area and the header, then each part: its offset in EBX, its size in EAX.
    let parts = entries.iter().filter(|entry| entry.function == 0xD && entry.index >= 2);
    let size = parts.map(|part| part.ebx.saturating_add(part.eax)).max().unwrap_or(0).max(512 + 64);
    if let Some(first) = entries.iter_mut().find(|entry| (entry.function, entry.index) == (0xD, 0)) {
        first.ecx = size;
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    /// What a host with every feature would offer, with XSAVE parts as Intel lays them out.
    fn all_features() -> Vec<kvm_cpuid_entry2> {
        let entry = |function, index, eax, ebx| kvm_cpuid_entry2 {
            function,
            index,
            eax,
            ebx,
            ecx: u32::MAX,
            edx: u32::MAX,
            ..kvm_cpuid_entry2::default()
        };
        let mut host: Vec<_> = WORDS.iter().map(|word| entry(word.leaf, word.index, u32::MAX, u32::MAX)).collect();
        host.dedup_by_key(|entry| (entry.function, entry.index));
        for (index, size, offset) in
            [(2, 0x100, 0x240), (5, 0x40, 0x440), (9, 8, 0xA80), (17, 0x40, 0xAC0), (18, 8192, 0xB00)]
        {
            host.push(entry(0xD, index, size, offset));
        }
        host.extend(EMPTY_LEAVES.iter().map(|leaf| entry(*leaf, 0, 1, 1)));
        host.push(entry(0x15, 0, 1, 1));
        host
    }

    #[test]
    fn a_template_hides_what_it_must() {
        use Register::{Eax, Ebx, Ecx, Edx};
        let check = |template, place: (u32, u32, Register, u32), expected: bool| {
            let (leaf, index, register, bit) = place;
            let passed = apply(template, &all_features());
            let entry = passed.iter().find(|entry| (entry.function, entry.index) == (leaf, index));
            let found = entry.is_some_and(|entry| register.of(entry) >> bit & 1 == 1);
            assert_eq!(found, expected, "{template:?} {place:x?}");
        };
        for (place, host, portable) in [
            // SSE4.2, AVX, AVX2, BMI2: x86-64-v3.
            ((1, 0, Ecx, 20), true, true),
            ((1, 0, Ecx, 28), true, true),
            ((7, 0, Ebx, 5), true, true),
            ((7, 0, Ebx, 8), true, true),
            ((0x8000_0001, 0, Edx, 29), true, true),
            // AVX-512 and its state, protection keys, VAES, invariant TSC, frequencies.
            ((7, 0, Ebx, 16), true, false),
            ((0xD, 0, Eax, 5), true, false),
            ((7, 0, Ecx, 3), true, false),
            ((7, 0, Ecx, 9), true, false),
            ((0x8000_0007, 0, Edx, 8), true, false),
            ((0x15, 0, Eax, 0), true, false),
            // VMX, SVM, SGX, MPX, AMX and its state, performance counters, asynchronous page faults.
            ((1, 0, Ecx, 5), false, false),
            ((0x8000_0001, 0, Ecx, 2), false, false),
            ((7, 0, Ebx, 2), false, false),
            ((7, 0, Ebx, 14), false, false),
            ((7, 0, Edx, 24), false, false),
            ((0xD, 0, Eax, 18), false, false),
            ((0xA, 0, Eax, 0), false, false),
            ((0x4000_0001, 0, Eax, 4), false, false),
        ] {
            check(CpuTemplate::Host, place, host);
            check(CpuTemplate::Portable, place, portable);
        }
    }

    #[test]
    fn xsave_shrinks_with_its_parts() {
        let check = |template, parts: &[u32], size| {
            let passed = apply(template, &all_features());
            let leaf: Vec<_> = passed.iter().filter(|entry| entry.function == 0xD).collect();
            let found: Vec<_> = leaf.iter().map(|entry| entry.index).filter(|index| *index > 1).collect();
            assert_eq!((found.as_slice(), leaf[0].ecx), (parts, size), "{template:?}");
        };
        check(CpuTemplate::Host, &[2, 5, 9], 0xA88);
        check(CpuTemplate::Portable, &[2], 0x340);
    }
}
