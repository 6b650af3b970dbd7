//! Whether a CPU that was saved elsewhere can go on here.
//!
//! In:  the CPUID table of a saved vCPU and what this host offers.
//! Out: nothing, or what is missing, by name.

use kvm_bindings::kvm_cpuid_entry2;
use serde::{Deserialize, Serialize};
use vmm_control::CpuTemplate;

use super::template::{Register, WORDS};

/// Which CPU a machine was started on, as far as its guest could tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuModel {
    /// `GenuineIntel`, `AuthenticAMD`.
    pub vendor: String,
    /// Display family.
    pub family: u32,
    /// Display model.
    pub model: u32,
    /// Stepping.
    pub stepping: u32,
    /// What was let pass.
    pub template: CpuTemplate,
    /// The feature words that the guest saw, in the order of the table `WORDS`.
    pub features: Vec<u32>,
}

/// Why a saved CPU can't go on here.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CpuMismatch {
    /// Another vendor's.
    #[error("the snapshot needs a CPU of {wanted}, this host has one of {found}")]
    Vendor {
        /// The snapshot's.
        wanted: String,
        /// This host's.
        found: String,
    },
    /// Another model, and the template passes the host's peculiarities.
    #[error(
        "the snapshot was taken on CPU family {} model {} stepping {} with template `host`, this host has family {} \
         model {} stepping {}: start machines that must move with template `portable`",
        wanted.0, wanted.1, wanted.2, found.0, found.1, found.2
    )]
    Signature {
        /// Family, model, stepping of the snapshot.
        wanted: (u32, u32, u32),
        /// Those of this host.
        found: (u32, u32, u32),
    },
    /// The guest may rely on features that aren't here.
    #[error("this host's CPU or KVM lacks what the snapshot's guest was promised: {}", some(.0))]
    Features(Vec<String>),
    /// The snapshot's list of features is of another version.
    #[error("the snapshot records {0} feature words, this build knows {known}", known = WORDS.len())]
    Words(usize),
}

impl CpuModel {
    /// Reads it from a table that a template was applied to.
    pub fn of(template: CpuTemplate, entries: &[kvm_cpuid_entry2]) -> Self {
        let signature = find(entries, 1, 0).map_or(0, |entry| entry.eax);
        let family = signature >> 8 & 0xF;
        let extended = if family == 0xF { signature >> 20 & 0xFF } else { 0 };
        let high_model = if family == 0xF || family == 6 { signature >> 12 & 0xF0 } else { 0 };
        Self {
            vendor: find(entries, 0, 0).map(vendor).unwrap_or_default(),
            family: family + extended,
            model: signature >> 4 & 0xF | high_model,
            stepping: signature & 0xF,
            template,
            features: WORDS
                .iter()
                .map(|word| find(entries, word.leaf, word.index).map_or(0, |entry| word.register.of(entry)))
                .collect(),
        }
    }

    /// Whether a guest of this CPU can go on where `host` is what the same template gives.
    ///
    /// # Errors
    /// What differs.
    pub fn runs_on(&self, host: &Self) -> Result<(), CpuMismatch> {
        if self.vendor != host.vendor {
            return Err(CpuMismatch::Vendor { wanted: self.vendor.clone(), found: host.vendor.clone() });
        }
        if self.features.len() != host.features.len() {
            return Err(CpuMismatch::Words(self.features.len()));
        }
        let missing = self.missing_on(host);
        if !missing.is_empty() {
            return Err(CpuMismatch::Features(missing));
        }
        let signature = |model: &Self| (model.family, model.model, model.stepping);
        if self.template == CpuTemplate::Host && signature(self) != signature(host) {
            return Err(CpuMismatch::Signature { wanted: signature(self), found: signature(host) });
        }
        Ok(())
    }

    fn missing_on(&self, host: &Self) -> Vec<String> {
        let mut names = Vec::new();
        for (word, (wanted, found)) in WORDS.iter().zip(self.features.iter().zip(&host.features)) {
            let missing = wanted & !found;
            for bit in (0..32).filter(|bit| missing >> bit & 1 == 1) {
                names.push(name(word.leaf, word.index, word.register, bit));
            }
        }
        // A CPU of another kind lacks so many that those people have heard of should come first.
        names.sort_by_key(|name| name.starts_with(NAMELESS));
        names
    }
}

/// As many names as one can read.
fn some(names: &[String]) -> String {
    const MOST: usize = 12;
    match names.get(..MOST) {
        Some(first) if names.len() > MOST => format!("{} and {} more", first.join(", "), names.len() - MOST),
        _ => names.join(", "),
    }
}

fn find(entries: &[kvm_cpuid_entry2], leaf: u32, index: u32) -> Option<&kvm_cpuid_entry2> {
    entries.iter().find(|entry| (entry.function, entry.index) == (leaf, index))
}

fn vendor(entry: &kvm_cpuid_entry2) -> String {
    let bytes = [entry.ebx, entry.edx, entry.ecx].map(u32::to_le_bytes);
    String::from_utf8_lossy(bytes.as_flattened()).into_owned()
}

fn name(leaf: u32, index: u32, register: Register, bit: u32) -> String {
    let known = NAMES.iter().find(|(place, _)| *place == (leaf, index, register, bit)).map(|(_, name)| *name);
    let place = format!("{NAMELESS} {leaf:#x}.{index} {register:?} bit {bit}").replace(" E", " e");
    known.map_or(place.clone(), |name| format!("{name} ({place})"))
}

/// How a feature is called that has no name.
const NAMELESS: &str = "CPUID";

type Place = (u32, u32, Register, u32);

/// Names of the features that hosts differ in most.
const NAMES: &[(Place, &str)] = &[
    ((1, 0, Register::Ecx, 12), "fma"),
    ((1, 0, Register::Ecx, 20), "sse4.2"),
    ((1, 0, Register::Ecx, 21), "x2apic"),
    ((1, 0, Register::Ecx, 24), "tsc-deadline"),
    ((1, 0, Register::Ecx, 25), "aes"),
    ((1, 0, Register::Ecx, 26), "xsave"),
    ((1, 0, Register::Ecx, 28), "avx"),
    ((1, 0, Register::Ecx, 30), "rdrand"),
    ((7, 0, Register::Ebx, 3), "bmi1"),
    ((7, 0, Register::Ebx, 5), "avx2"),
    ((7, 0, Register::Ebx, 8), "bmi2"),
    ((7, 0, Register::Ebx, 16), "avx512f"),
    ((7, 0, Register::Ebx, 18), "rdseed"),
    ((7, 0, Register::Ebx, 19), "adx"),
    ((7, 0, Register::Ebx, 20), "smap"),
    ((7, 0, Register::Ebx, 29), "sha"),
    ((7, 0, Register::Ecx, 3), "pku"),
    ((7, 0, Register::Ecx, 8), "gfni"),
    ((7, 0, Register::Ecx, 9), "vaes"),
    ((7, 0, Register::Ecx, 22), "rdpid"),
    ((7, 0, Register::Edx, 4), "fsrm"),
    ((0xD, 0, Register::Eax, 2), "avx state"),
    ((0xD, 0, Register::Eax, 5), "avx512 state"),
    ((0xD, 0, Register::Eax, 9), "pku state"),
    ((0xD, 1, Register::Eax, 1), "xsavec"),
    ((0xD, 1, Register::Eax, 3), "xsaves"),
    ((0x4000_0001, 0, Register::Eax, 3), "kvmclock"),
    ((0x8000_0001, 0, Register::Edx, 26), "1 GiB pages"),
    ((0x8000_0007, 0, Register::Edx, 8), "invariant tsc"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn host(template: CpuTemplate) -> CpuModel {
        CpuModel {
            vendor: "AuthenticAMD".into(),
            family: 25,
            model: 17,
            stepping: 1,
            template,
            features: vec![0xFFFF_FFFF; WORDS.len()],
        }
    }

    fn without(template: CpuTemplate, leaf: u32, register: Register, bit: u32) -> CpuModel {
        let mut model = host(template);
        let word = WORDS.iter().position(|word| (word.leaf, word.register) == (leaf, register)).expect("it's a word");
        model.features[word] &= !(1 << bit);
        model
    }

    #[test]
    fn a_mismatch_names_what_is_missing() {
        let check = |wanted: CpuModel, found: CpuModel, expected: &str| {
            let result = wanted.runs_on(&found).map_err(|error| error.to_string());
            assert_eq!(result, if expected.is_empty() { Ok(()) } else { Err(expected.to_owned()) });
        };
        let portable = || host(CpuTemplate::Portable);
        check(portable(), portable(), "");
        check(
            portable(),
            without(CpuTemplate::Portable, 7, Register::Ebx, 5),
            "this host's CPU or KVM lacks what the snapshot's guest was promised: avx2 (CPUID 0x7.0 ebx bit 5)",
        );
        check(without(CpuTemplate::Portable, 7, Register::Ebx, 5), portable(), "");
        let mut lacking = portable();
        lacking.features[0] = 0;
        check(
            portable(),
            lacking,
            "this host's CPU or KVM lacks what the snapshot's guest was promised: \
             fma (CPUID 0x1.0 ecx bit 12), sse4.2 (CPUID 0x1.0 ecx bit 20), x2apic (CPUID 0x1.0 ecx bit 21), \
             tsc-deadline (CPUID 0x1.0 ecx bit 24), aes (CPUID 0x1.0 ecx bit 25), xsave (CPUID 0x1.0 ecx bit 26), \
             avx (CPUID 0x1.0 ecx bit 28), rdrand (CPUID 0x1.0 ecx bit 30), CPUID 0x1.0 ecx bit 0, \
             CPUID 0x1.0 ecx bit 1, CPUID 0x1.0 ecx bit 2, CPUID 0x1.0 ecx bit 3 and 20 more",
        );
        check(portable(), CpuModel { model: 1, ..portable() }, "");
        check(
            host(CpuTemplate::Host),
            CpuModel { model: 1, ..host(CpuTemplate::Host) },
            "the snapshot was taken on CPU family 25 model 17 stepping 1 with template `host`, this host has family 25 \
             model 1 stepping 1: start machines that must move with template `portable`",
        );
        check(
            portable(),
            CpuModel { vendor: "GenuineIntel".into(), ..portable() },
            "the snapshot needs a CPU of AuthenticAMD, this host has one of GenuineIntel",
        );
        check(
            CpuModel { features: vec![], ..portable() },
            portable(),
            &format!("the snapshot records 0 feature words, this build knows {}", WORDS.len()),
        );
    }
}
