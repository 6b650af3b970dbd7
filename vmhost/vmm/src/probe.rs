//! Whether this host's KVM can run a stock guest.
//!
//! In:  `/dev/kvm`. Out: yes or no, with reasons and remedies.
//!
//! Some hosts have a KVM that makes VMs and runs toys, but interprets every
//! instruction, or lacks those that any Linux uses. So a small guest is run: it
//! counts, which measures speed, and saves its extended state, which such hosts
//! can't. It has a deadline, as a broken KVM may never come back.
#![allow(unsafe_code, reason = "KVM is given a piece of our memory")]

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES, kvm_regs, kvm_userspace_memory_region};
use kvm_ioctls::{Cap, Kvm, VcpuExit, VcpuFd, VmFd};
use serde::Serialize;
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryBackend as _};

use crate::memory::{GuestMemory, GuestRam};

/// After so long the answer is no.
const DEADLINE: Duration = Duration::from_millis(800);
/// How long to measure speed.
const MEASURE: Duration = Duration::from_millis(40);
/// Interpreting KVMs were measured at 0.5 million, nested ones at tens of millions.
const SLOWEST: u64 = 5_000_000;

const CODE: u64 = 0x1000;
/// `XSAVE` needs 64 bytes' alignment; the area takes less than a page with AVX.
const SAVE_AREA: u64 = 0x2000;
const COUNTED: u64 = 0x10;
const SAVED: u16 = 0x11;
/// Passes of the inner loop between two exits: long enough that exits don't count.
const PASSES: u16 = 10_000;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// A stock guest would run.
    pub usable: bool,
    /// Why not, each with what to do; empty if it would.
    pub reasons: Vec<String>,
    /// How fast guests run.
    pub instructions_per_second: Option<u64>,
    /// Most vCPUs that one VM may have.
    pub max_vcpus: Option<usize>,
    /// How long this took.
    pub took_us: u64,
}

/// Runs the small guest.
pub fn probe() -> Report {
    let start = Instant::now();
    let (sender, receiver) = mpsc::channel();
    // A thread that KVM never gives back ends with the process.
    thread::spawn(move || sender.send(examine()));
    let mut report = receiver.recv_timeout(DEADLINE).unwrap_or_else(|_| {
        let reason =
            "the guest did not come back in time: this KVM is not fit for use; run guests by emulation instead";
        Report {
            usable: false,
            reasons: vec![reason.into()],
            instructions_per_second: None,
            max_vcpus: None,
            took_us: 0,
        }
    });
    report.took_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    report
}

fn examine() -> Report {
    let mut report =
        Report { usable: false, reasons: Vec::new(), instructions_per_second: None, max_vcpus: None, took_us: 0 };
    let kvm = match Kvm::new() {
        Ok(kvm) => kvm,
        Err(error) => {
            let remedy = match error.errno() {
                libc::ENOENT => "load the module kvm_intel or kvm_amd, or enable nesting in the host above",
                libc::EACCES | libc::EPERM => "join the group that owns /dev/kvm",
                _ => "see the kernel's log",
            };
            report.reasons.push(format!("/dev/kvm can't be opened: {error}; {remedy}"));
            return report;
        }
    };
    report.max_vcpus = Some(kvm.get_max_vcpus());
    for (capability, name) in [
        (Cap::UserMemory, "user memory"),
        (Cap::Irqchip, "in-kernel interrupt controllers"),
        (Cap::Irqfd, "irqfd"),
        (Cap::Ioeventfd, "ioeventfd"),
        (Cap::ImmediateExit, "immediate exit"),
    ] {
        if !kvm.check_extension(capability) {
            report.reasons.push(format!("this KVM has no {name}; use a newer kernel"));
        }
    }
    if report.reasons.is_empty() {
        match run(&kvm) {
            Ok(speed) => report.instructions_per_second = Some(speed),
            Err(reason) => report.reasons.push(reason),
        }
    }
    if let Some(speed) = report.instructions_per_second.filter(|speed| *speed < SLOWEST) {
        report.reasons.push(format!(
            "guests run at {speed} instructions a second: this KVM interprets them; run guests by emulation instead"
        ));
    }
    report.usable = report.reasons.is_empty();
    report
}

/// Runs the guest to its end; its speed in instructions a second.
fn run(kvm: &Kvm) -> Result<u64, String> {
    let ram = GuestRam::create(2).map_err(|error| format!("no memory for a guest: {error}; free some"))?;
    let words = |what: &'static str| move |error| format!("KVM can't {what}: {error}; see the kernel's log");
    let vm = kvm.create_vm().map_err(words("make a VM"))?;
    map(&vm, ram.memory())?;
    let cpuid = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(words("tell its CPU features"))?;
    let mut vcpu = vm.create_vcpu(0).map_err(words("make a vCPU"))?;
    vcpu.set_cpuid2(&cpuid).map_err(words("set CPU features"))?;
    let saves = has_xsave(&cpuid);
    enter(&vcpu, saves).map_err(words("set registers"))?;

    write(ram.memory(), &count())?;
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < MEASURE {
        match vcpu.run() {
            Ok(VcpuExit::IoOut(port, _)) if u64::from(port) == COUNTED => rounds += 1,
            other => return Err(unexpected("count", &other)),
        }
    }
    let elapsed_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
    let speed = rounds * u64::from(PASSES) * 1_000_000 / elapsed_us;

    if saves {
        // The last exit is complete only when the guest is entered again; that must not undo what comes now.
        vcpu.set_kvm_immediate_exit(1);
        let _ = vcpu.run();
        vcpu.set_kvm_immediate_exit(0);
        write(ram.memory(), &save())?;
        enter(&vcpu, true).map_err(words("set registers"))?;
        match vcpu.run() {
            Ok(VcpuExit::IoOut(SAVED, _)) => {}
            other => return Err(unexpected("save its extended state, as every Linux does", &other)),
        }
    }
    Ok(speed)
}

fn unexpected(what: &str, exit: &Result<VcpuExit<'_>, kvm_ioctls::Error>) -> String {
    let end = match exit {
        Ok(exit) => format!("{exit:?}"),
        Err(error) => error.to_string(),
    };
    format!("a guest can't {what} ({end}); run guests by emulation instead")
}

fn map(vm: &VmFd, memory: &GuestMemory) -> Result<(), String> {
    let host = memory.get_host_address(GuestAddress(0)).map_err(|error| format!("guest memory: {error}"))?;
    let region = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: 0,
        memory_size: 2 << 20,
        userspace_addr: host as u64,
    };
    // SAFETY: the region is what `memory` maps from address 0, all 2 MiB of it, and the caller drops the VM
    // with its vCPU before the memory.
    unsafe { vm.set_user_memory_region(region) }.map_err(|error| format!("KVM can't take memory: {error}"))
}

/// Real mode, all segments at zero.
fn enter(vcpu: &VcpuFd, saves: bool) -> Result<(), kvm_ioctls::Error> {
    let mut system = vcpu.get_sregs()?;
    for segment in [&mut system.cs, &mut system.ds, &mut system.es, &mut system.ss] {
        segment.base = 0;
        segment.selector = 0;
    }
    if saves {
        const OSXSAVE: u64 = 1 << 18;
        system.cr4 |= OSXSAVE;
    }
    vcpu.set_sregs(&system)?;
    vcpu.set_regs(&kvm_regs { rip: CODE, rflags: 2, rsp: 0x1000, ..kvm_regs::default() })
}

/// Leaf 1, ECX bit 26.
fn has_xsave(cpuid: &CpuId) -> bool {
    cpuid.as_slice().iter().any(|entry| entry.function == 1 && entry.ecx >> 26 & 1 == 1)
}

fn write(memory: &GuestMemory, code: &[u8]) -> Result<(), String> {
    memory.write_slice(code, GuestAddress(CODE)).map_err(|error| format!("guest memory: {error}"))
}

/// Counts down and tells, for ever.
fn count() -> Vec<u8> {
    let [low, high] = PASSES.to_le_bytes();
    vec![
        0xB9,
        low,
        high, // mov cx, PASSES
        0xE2,
        0xFE, // loop here
        0xE6,
        COUNTED as u8, // out COUNTED, al
        0xEB,
        0xF7, // jmp to the start
    ]
}

/// Saves extended state and tells.
fn save() -> Vec<u8> {
    let [low, high, ..] = SAVE_AREA.to_le_bytes();
    vec![
        0x66,
        0xB8,
        7,
        0,
        0,
        0, // mov eax, 7: x87, SSE, AVX
        0x66,
        0x31,
        0xD2, // xor edx, edx
        0x0F,
        0xAE,
        0x26,
        low,
        high, // xsave [SAVE_AREA]
        0xE6,
        SAVED as u8, // out SAVED, al
        0xF4,        // hlt
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_in_under_a_second_with_reasons_if_it_is_no() {
        let report = probe();
        assert!(report.took_us < 1_000_000, "{report:?}");
        assert_eq!(report.usable, report.reasons.is_empty(), "{report:?}");
    }
}
