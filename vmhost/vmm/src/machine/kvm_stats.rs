//! What KVM itself counts of a vCPU: exits by kind, most of which never reach this program.
//!
//! In:  a vCPU's descriptor.
//! Out: names and numbers, as the kernel has them (`KVM_GET_STATS_FD`, Linux 5.14; its documentation in
//!      `virt/kvm/api.rst`, 4.133, gives the layout).

#![allow(unsafe_code, reason = "kvm-ioctls has no call for the descriptor of statistics")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd as _};
use std::os::unix::fs::FileExt as _;

use vmm_sys_util::ioctl::ioctl;
use vmm_sys_util::ioctl_io_nr;

ioctl_io_nr!(KVM_GET_STATS_FD, kvm_bindings::KVMIO, 0xce);

/// Six numbers of 32 bits: flags, size of a name, count, and where id, descriptors and data are.
const HEADER: usize = 24;
/// Flags, exponent, size, offset, bucket size; then the name.
const DESCRIPTOR: usize = 16;
/// The part of a descriptor's flags that is its type; zero is a number that only grows.
const TYPE: u32 = 0xF;
/// More than any kernel has, so that nothing odd makes us allocate much.
const MAX_COUNT: usize = 1024;
const MAX_NAME: usize = 256;

/// Those that tell something; KVM has some forty.
const NAMES: [&str; 8] =
    ["exits", "io_exits", "mmio_exits", "halt_exits", "irq_exits", "pf_taken", "insn_emulation", "irq_injections"];

/// The counters of one vCPU.
pub struct KvmStats {
    file: File,
    /// Each one's name, and where its value is in the file.
    counters: Vec<(&'static str, u64)>,
}

impl KvmStats {
    /// Asks KVM for them.
    ///
    /// # Errors
    /// When the kernel has none.
    pub fn of(vcpu: &impl AsRawFd) -> io::Result<Self> {
        // SAFETY: the call takes no argument and touches no memory of ours.
        let fd = unsafe { ioctl(vcpu, KVM_GET_STATS_FD()) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us.
        let file = unsafe { File::from_raw_fd(fd) };
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, 0)?;
        let [name, count, descriptors, data] = [4, 8, 16, 20].map(|at| u32_at(&header, at));
        let (name, count) = (name as usize, count as usize);
        if name > MAX_NAME || count > MAX_COUNT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "KVM's statistics have another layout"));
        }
        let mut table = vec![0; count * (DESCRIPTOR + name)];
        file.read_exact_at(&mut table, u64::from(descriptors))?;
        let counters = table.chunks_exact(DESCRIPTOR + name).filter_map(|bytes| counter(bytes, data)).collect();
        Ok(Self { file, counters })
    }

    /// Those of `NAMES` that this kernel has.
    pub fn read(&self) -> Vec<(&'static str, u64)> {
        let value = |(name, at): &(&'static str, u64)| {
            let mut bytes = [0; 8];
            self.file.read_exact_at(&mut bytes, *at).ok()?;
            Some((*name, u64::from_ne_bytes(bytes)))
        };
        self.counters.iter().filter_map(value).collect()
    }
}

/// A descriptor's name, and where in the file its value is; `data` is where values begin.
fn counter(descriptor: &[u8], data: u32) -> Option<(&'static str, u64)> {
    let (head, name) = descriptor.split_at_checked(DESCRIPTOR)?;
    if u32_at(head, 0) & TYPE != 0 || head.get(6..8)? != 1_u16.to_ne_bytes() {
        return None;
    }
    let name = name.split(|byte| *byte == 0).next()?;
    let name = NAMES.into_iter().find(|known| known.as_bytes() == name)?;
    Some((name, u64::from(data) + u64::from(u32_at(head, 8))))
}

/// A number of a header whose length was checked; zero beyond it.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk()).copied();
    u32::from_ne_bytes(bytes.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(flags: u32, size: u16, offset: u32, name: &[u8]) -> Vec<u8> {
        let head = [&flags.to_ne_bytes()[..], &[0; 2], &size.to_ne_bytes(), &offset.to_ne_bytes(), &[0; 4]].concat();
        [&head, name, &[0; 4]].concat()
    }

    #[test]
    fn single_growing_numbers_are_counters() {
        let check = |descriptor: &[u8], expected: Option<(&str, u64)>| {
            assert_eq!(counter(descriptor, 1000), expected, "{descriptor:?}");
        };
        check(&descriptor(0, 1, 24, b"exits"), Some(("exits", 1024)));
        check(&descriptor(0x10, 1, 0, b"io_exits"), Some(("io_exits", 1000)));
        check(&descriptor(1, 1, 24, b"exits"), None);
        check(&descriptor(0, 8, 24, b"exits"), None);
        check(&descriptor(0, 1, 24, b"unheard_of"), None);
        check(&[0; 8], None);
    }

    #[test]
    fn a_vcpu_has_a_counter_of_exits() {
        let vm = kvm_ioctls::Kvm::new().and_then(|kvm| kvm.create_vm()).expect("a machine");
        let vcpu = vm.create_vcpu(0).expect("a vCPU");
        let stats = KvmStats::of(&vcpu).expect("Linux 5.14 or newer");
        assert_eq!(stats.read().iter().find(|(name, _)| *name == "exits"), Some(&("exits", 0)));
    }
}
