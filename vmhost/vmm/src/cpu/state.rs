//! The state of one vCPU: taken from KVM, and given back.
//!
//! In:  a vCPU that is out of `KVM_RUN` with its last I/O completed.
//! Out: plain data; and the way back into a vCPU that hasn't run yet.
//!
//! The order in both directions is KVM's: see `save` and `restore`.

use kvm_bindings::{
    CpuId, Msrs, kvm_cpuid_entry2, kvm_debugregs, kvm_lapic_state, kvm_mp_state, kvm_msr_entry, kvm_regs, kvm_sregs,
    kvm_vcpu_events, kvm_xcrs,
};
use kvm_ioctls::{Error as Errno, VcpuFd};
use serde::{Deserialize, Serialize};

use super::xsave;

/// KVM takes so many MSRs in one call, and so many CPUID entries at all.
const BATCH: usize = 256;
/// More than any host has; it bounds what a damaged file can make us do.
const MAX_MSRS: usize = 4096;

/// All that a vCPU is.
#[derive(Clone, Serialize, Deserialize)]
pub struct VcpuState {
    /// Its CPUID table.
    pub cpuid: Vec<kvm_cpuid_entry2>,
    mp_state: kvm_mp_state,
    regs: kvm_regs,
    sregs: kvm_sregs,
    xsave: Vec<u32>,
    xcrs: kvm_xcrs,
    debugregs: kvm_debugregs,
    lapic: kvm_lapic_state,
    msrs: Vec<kvm_msr_entry>,
    /// MSRs that KVM lists but doesn't give; kept to explain what a guest misses.
    pub unread_msrs: Vec<u32>,
    events: kvm_vcpu_events,
    /// In kHz; absent where the host's TSC is unstable.
    tsc_khz: Option<u32>,
}

/// An ioctl on a vCPU has failed.
#[derive(Debug, thiserror::Error)]
#[error("vCPU state: {step}: {source}")]
pub struct VcpuStateError {
    /// Which ioctl, and on what.
    pub step: String,
    /// What the kernel says.
    pub source: std::io::Error,
}

fn failed(step: impl Into<String>) -> impl FnOnce(Errno) -> VcpuStateError {
    move |error| VcpuStateError { step: step.into(), source: error.into() }
}

/// What of the host is needed to move a vCPU's state.
#[derive(Debug, Clone)]
pub struct StateSource {
    /// From `xsave::size`.
    pub xsave_words: usize,
    /// From `KVM_GET_MSR_INDEX_LIST`.
    pub msrs: Vec<u32>,
}

impl VcpuState {
    /// Reads all of a vCPU.
    ///
    /// # Errors
    /// The ioctl that failed, by name.
    pub fn save(vcpu: &VcpuFd, source: &StateSource) -> Result<Self, VcpuStateError> {
        // First: it makes KVM take INIT and SIPI that are pending, which changes registers.
        let mp_state = vcpu.get_mp_state().map_err(failed("KVM_GET_MP_STATE"))?;
        let (msrs, unread_msrs) = read_msrs(vcpu, &source.msrs)?;
        Ok(Self {
            mp_state,
            cpuid: vcpu.get_cpuid2(BATCH).map_err(failed("KVM_GET_CPUID2"))?.as_slice().to_vec(),
            regs: vcpu.get_regs().map_err(failed("KVM_GET_REGS"))?,
            sregs: vcpu.get_sregs().map_err(failed("KVM_GET_SREGS"))?,
            xsave: xsave::get(vcpu, source.xsave_words).map_err(failed("KVM_GET_XSAVE2"))?,
            xcrs: vcpu.get_xcrs().map_err(failed("KVM_GET_XCRS"))?,
            debugregs: vcpu.get_debug_regs().map_err(failed("KVM_GET_DEBUGREGS"))?,
            lapic: vcpu.get_lapic().map_err(failed("KVM_GET_LAPIC"))?,
            msrs,
            unread_msrs,
            // Last, as the calls above may still queue an exception.
            events: vcpu.get_vcpu_events().map_err(failed("KVM_GET_VCPU_EVENTS"))?,
            tsc_khz: vcpu.get_tsc_khz().ok(),
        })
    }

    /// Makes a fresh vCPU this one.
    ///
    /// # Errors
    /// The ioctl that failed, by name.
    pub fn restore(&self, vcpu: &VcpuFd, source: &StateSource) -> Result<(), VcpuStateError> {
        set_cpuid(vcpu, &self.cpuid)?;
        self.restore_tsc_rate(vcpu)?;
        vcpu.set_mp_state(self.mp_state).map_err(failed("KVM_SET_MP_STATE"))?;
        vcpu.set_regs(&self.regs).map_err(failed("KVM_SET_REGS"))?;
        // Before the local APIC, whose mode (x2APIC) comes from here.
        vcpu.set_sregs(&self.sregs).map_err(failed("KVM_SET_SREGS"))?;
        // Before XSAVE's area: KVM refuses parts that XCR0 doesn't have.
        vcpu.set_xcrs(&self.xcrs).map_err(failed("KVM_SET_XCRS"))?;
        xsave::set(vcpu, source.xsave_words, &self.xsave).map_err(failed("KVM_SET_XSAVE"))?;
        vcpu.set_debug_regs(&self.debugregs).map_err(failed("KVM_SET_DEBUGREGS"))?;
        // Before the MSRs: the deadline of the timer counts only in the timer mode that is set here.
        vcpu.set_lapic(&self.lapic).map_err(failed("KVM_SET_LAPIC"))?;
        write_msrs(vcpu, &self.msrs)?;
        vcpu.set_vcpu_events(&self.events).map_err(failed("KVM_SET_VCPU_EVENTS"))
    }

    /// A TSC of another rate needs the host's help; where the rates are the same nothing is asked for.
    fn restore_tsc_rate(&self, vcpu: &VcpuFd) -> Result<(), VcpuStateError> {
        let Some(wanted) = self.tsc_khz else { return Ok(()) };
        let found = vcpu.get_tsc_khz().unwrap_or(0);
        // The rate is measured anew at each start of a host: 250 ppm is what clock discipline makes up for.
        if wanted.abs_diff(found) <= wanted / 4000 {
            return Ok(());
        }
        vcpu.set_tsc_khz(wanted).map_err(failed(format!("KVM_SET_TSC_KHZ from {found} to {wanted} kHz")))
    }
}

/// Gives a vCPU its CPUID table.
///
/// # Errors
/// When KVM refuses it.
pub fn set_cpuid(vcpu: &VcpuFd, entries: &[kvm_cpuid_entry2]) -> Result<(), VcpuStateError> {
    let step = || format!("KVM_SET_CPUID2 of {} entries", entries.len());
    let table = CpuId::from_entries(entries).map_err(|_| failed(step())(Errno::new(libc::E2BIG)))?;
    vcpu.set_cpuid2(&table).map_err(failed(step()))
}

/// Reads what can be read; KVM lists some MSRs that it then refuses.
fn read_msrs(vcpu: &VcpuFd, indices: &[u32]) -> Result<(Vec<kvm_msr_entry>, Vec<u32>), VcpuStateError> {
    let (mut read, mut refused) = (Vec::with_capacity(indices.len()), Vec::new());
    let mut rest = indices;
    while !rest.is_empty() {
        let batch: Vec<_> =
            rest.iter().take(BATCH).map(|&index| kvm_msr_entry { index, ..Default::default() }).collect();
        let mut msrs = Msrs::from_entries(&batch).map_err(|_| failed("KVM_GET_MSRS")(Errno::new(libc::E2BIG)))?;
        let count = vcpu.get_msrs(&mut msrs).map_err(failed("KVM_GET_MSRS"))?;
        read.extend(msrs.as_slice().iter().take(count));
        // It stops at the first one that it refuses.
        if let Some(stopped) = batch.get(count) {
            refused.push(stopped.index);
        }
        rest = rest.get(batch.len().min(count + 1)..).unwrap_or_default();
    }
    Ok((read, refused))
}

fn write_msrs(vcpu: &VcpuFd, entries: &[kvm_msr_entry]) -> Result<(), VcpuStateError> {
    if entries.len() > MAX_MSRS {
        return Err(failed(format!("{} MSRs", entries.len()))(Errno::new(libc::E2BIG)));
    }
    for batch in entries.chunks(BATCH) {
        let msrs = Msrs::from_entries(batch).map_err(|_| failed("KVM_SET_MSRS")(Errno::new(libc::E2BIG)))?;
        let count = vcpu.set_msrs(&msrs).map_err(failed("KVM_SET_MSRS"))?;
        if let Some(stopped) = batch.get(count) {
            let step = format!("KVM_SET_MSRS: {:#x} = {:#x}", stopped.index, stopped.data);
            return Err(failed(step)(Errno::new(libc::EINVAL)));
        }
    }
    Ok(())
}
