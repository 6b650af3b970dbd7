//! XSAVE's area, whose size only KVM knows.
#![allow(
    unsafe_code,
    reason = "the kernel writes and reads as much as it said before, past the struct of kvm-bindings"
)]

use kvm_bindings::{Xsave, kvm_xsave};
use kvm_ioctls::{Cap, VcpuFd, VmFd};

/// The least size of the area, in 32-bit words; all there is without `KVM_CAP_XSAVE2`.
const BASE_WORDS: usize = size_of::<kvm_xsave>() / 4;

/// How large the area is on this host, in 32-bit words.
///
/// It grows only by `arch_prctl` for AMX, which this VMM never asks for.
pub fn size(vm: &VmFd) -> usize {
    usize::try_from(vm.check_extension_int(Cap::Xsave2)).unwrap_or(0).div_ceil(4).max(BASE_WORDS)
}

/// Reads the area of `words` (from `size`).
///
/// # Errors
/// Those of the ioctl.
pub fn get(vcpu: &VcpuFd, words: usize) -> Result<Vec<u32>, kvm_ioctls::Error> {
    if words <= BASE_WORDS {
        return Ok(vcpu.get_xsave()?.region.to_vec());
    }
    let mut area = allocate(words)?;
    // SAFETY: the area is as large as KVM said that it writes (`size`).
    unsafe { vcpu.get_xsave2(&mut area)? };
    Ok([&area.as_fam_struct_ref().xsave.region[..], area.as_slice()].concat())
}

/// Writes the area; `saved` may be shorter than `words` (from `size`), the rest is then zeros.
///
/// # Errors
/// Those of the ioctl; `saved` that is longer is an invalid argument.
pub fn set(vcpu: &VcpuFd, words: usize, saved: &[u32]) -> Result<(), kvm_ioctls::Error> {
    if saved.len() > words {
        return Err(kvm_ioctls::Error::new(libc::EINVAL));
    }
    let mut area = allocate(words)?;
    let (base, extra) = saved.split_at(saved.len().min(BASE_WORDS));
    area.as_mut_slice()[..extra.len()].copy_from_slice(extra);
    // SAFETY: only the plain words of the region change, not the length.
    unsafe { area.as_mut_fam_struct() }.xsave.region[..base.len()].copy_from_slice(base);
    // SAFETY: the area is as large as KVM said that it reads (`size`).
    unsafe { vcpu.set_xsave2(&area) }
}

fn allocate(words: usize) -> Result<Xsave, kvm_ioctls::Error> {
    Xsave::new(words.saturating_sub(BASE_WORDS)).map_err(|_| kvm_ioctls::Error::new(libc::ENOMEM))
}
