//! The CPUID answers of each vCPU.
//!
//! In:  what the template lets pass, the number of vCPUs, the number of this one.
//! Out: the table for `KVM_SET_CPUID2`.
//!
//! The topology is one socket of as many cores as vCPUs, a thread each; APIC
//! ids are the vCPUs' numbers.

use kvm_bindings::{KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};

const LEAF_1_ECX_TSC_DEADLINE: u32 = 1 << 24;
const LEAF_1_ECX_HYPERVISOR: u32 = 1 << 31;
const LEAF_1_EDX_HYPER_THREADING: u32 = 1 << 28;

/// What the tables of all vCPUs have in common.
#[derive(Debug, Clone, Copy)]
pub struct Topology {
    /// How many vCPUs there are, 1 and up.
    pub vcpus: u8,
    /// The host's KVM has timers that fire at a TSC value.
    pub tsc_deadline: bool,
}

/// The table of vCPU `id`, from what a template has let pass.
pub fn for_vcpu(template: &[kvm_cpuid_entry2], topology: Topology, id: u8) -> Vec<kvm_cpuid_entry2> {
    let mut entries: Vec<_> = template.iter().filter(|entry| entry.function != 0xB).copied().collect();
    for entry in &mut entries {
        patch(entry, topology, u32::from(id));
    }
    // Every CPU that KVM runs on has leaf 0xB or gets along with it.
    entries.extend(extended_topology(topology, u32::from(id)));
    entries.sort_by_key(|entry| (entry.function, entry.index));
    entries
}

fn patch(entry: &mut kvm_cpuid_entry2, topology: Topology, id: u32) {
    let vcpus = u32::from(topology.vcpus);
    match entry.function {
        1 => {
            entry.ebx = entry.ebx & 0xFFFF | vcpus << 16 | id << 24;
            entry.ecx |= LEAF_1_ECX_HYPERVISOR;
            if topology.tsc_deadline {
                entry.ecx |= LEAF_1_ECX_TSC_DEADLINE;
            } else {
                entry.ecx &= !LEAF_1_ECX_TSC_DEADLINE;
            }
            if vcpus > 1 {
                entry.edx |= LEAF_1_EDX_HYPER_THREADING;
            } else {
                entry.edx &= !LEAF_1_EDX_HYPER_THREADING;
            }
        }
        // Intel's caches: bits 31-26 cores in the socket, 25-14 threads that share the cache, both less one.
        4 if entry.eax & 0x1F != 0 => entry.eax = entry.eax & 0x3FFF | shared(entry.eax, vcpus) | cores(vcpus) << 26,
        // AMD: number of cores less one, and how many bits of the APIC id they take.
        0x8000_0008 => entry.ecx = (vcpus - 1) | id_bits(vcpus) << 12,
        // AMD's caches, as in leaf 4.
        0x8000_001D if entry.eax & 0x1F != 0 => entry.eax = entry.eax & 0x3FFF | shared(entry.eax, vcpus),
        // AMD: APIC id, core id with one thread a core, one node.
        0x8000_001E => {
            entry.eax = id;
            entry.ebx = id;
            entry.ecx = 0;
        }
        _ => {}
    }
}

/// Caches of the first two levels belong to a core, those above to all.
fn shared(cache: u32, vcpus: u32) -> u32 {
    let level = cache >> 5 & 7;
    if level <= 2 { 0 } else { ((1 << id_bits(vcpus)) - 1) << 14 }
}

/// The field has six bits.
fn cores(vcpus: u32) -> u32 {
    ((1 << id_bits(vcpus)) - 1) & 0x3F
}

/// How many bits of the APIC id number the cores.
fn id_bits(vcpus: u32) -> u32 {
    vcpus.next_power_of_two().trailing_zeros()
}

fn extended_topology(topology: Topology, id: u32) -> [kvm_cpuid_entry2; 3] {
    let vcpus = u32::from(topology.vcpus);
    let level = |index: u32, shift, processors, kind: u32| kvm_cpuid_entry2 {
        function: 0xB,
        index,
        flags: KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
        eax: shift,
        ebx: processors,
        ecx: index | kind << 8,
        edx: id,
        ..kvm_cpuid_entry2::default()
    };
    [level(0, 0, 1, 1), level(1, id_bits(vcpus), vcpus, 2), level(2, 0, 0, 0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(vcpus: u8, id: u8) -> Vec<kvm_cpuid_entry2> {
        let entry = |function, eax| kvm_cpuid_entry2 { function, eax, ..kvm_cpuid_entry2::default() };
        // A level-3 cache in leaf 4 and 0x8000001D, as hosts have them.
        let host = [entry(1, 0), entry(4, 0xFC01_C163), entry(0x8000_0008, 0), entry(0x8000_001D, 0xFFFF_C163)];
        for_vcpu(&host, Topology { vcpus, tsc_deadline: true }, id)
    }

    fn leaf(table: &[kvm_cpuid_entry2], function: u32, index: u32) -> kvm_cpuid_entry2 {
        *table.iter().find(|entry| (entry.function, entry.index) == (function, index)).expect("the leaf is there")
    }

    #[test]
    fn topology_is_one_thread_a_core() {
        for (vcpus, bits) in [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (32, 5)] {
            let table = table(vcpus, vcpus - 1);
            let id = u32::from(vcpus) - 1;
            assert_eq!(leaf(&table, 1, 0).ebx, u32::from(vcpus) << 16 | id << 24);
            assert_eq!(leaf(&table, 0xB, 1).eax, bits, "{vcpus} vCPUs");
            assert_eq!(leaf(&table, 0xB, 1).edx, id);
            assert_eq!(leaf(&table, 0x8000_0008, 0).ecx, id | bits << 12);
            assert_eq!(leaf(&table, 4, 0).eax >> 14 & 0xFFF, (1 << bits) - 1);
            assert_eq!(leaf(&table, 0x8000_001D, 0).eax >> 14 & 0xFFF, (1 << bits) - 1);
        }
    }
}
