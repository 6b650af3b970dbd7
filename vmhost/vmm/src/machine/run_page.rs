//! The page that a vCPU shares with KVM, as far as other threads touch it.
//!
//! A vCPU is called out of the guest by a signal; one that comes just before
//! `KVM_RUN` would be lost, so that the flag here is set first: then KVM
//! doesn't enter the guest at all.
#![allow(unsafe_code, reason = "a mapping that is shared with the kernel, and a union that it fills")]

use std::io;
use std::mem::offset_of;
use std::os::fd::AsRawFd as _;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};

use kvm_bindings::kvm_run;
use kvm_ioctls::VcpuFd;

/// Our own mapping of the page's start.
pub struct RunPage(NonNull<u8>);

// SAFETY: it is a pointer to memory of the process, which any thread may use.
unsafe impl Send for RunPage {}
// SAFETY: all access through it is atomic.
unsafe impl Sync for RunPage {}

const SIZE: usize = crate::memory::PAGE;
const _: () = assert!(offset_of!(kvm_run, immediate_exit) < SIZE);

impl RunPage {
    /// Maps the page of a vCPU.
    ///
    /// # Errors
    /// When the host has no room.
    pub fn new(vcpu: &VcpuFd) -> io::Result<Self> {
        // SAFETY: a new mapping, of a descriptor that has at least this page; nothing else lies there.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                vcpu.as_raw_fd(),
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(page.cast()).map(Self).ok_or_else(|| io::Error::other("mapped at zero"))
    }

    /// Makes `KVM_RUN` return at once, until it is cleared.
    pub fn set_immediate_exit(&self, set: bool) {
        // SAFETY: the byte lies in the mapping, which lives as long as `self`, and the kernel only reads it.
        let flag = unsafe { AtomicU8::from_ptr(self.0.as_ptr().add(offset_of!(kvm_run, immediate_exit))) };
        flag.store(u8::from(set), Ordering::SeqCst);
    }
}

impl Drop for RunPage {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, of this size, and no reference into it is left.
        unsafe { libc::munmap(self.0.as_ptr().cast(), SIZE) };
    }
}

/// What KVM says of an internal error that `KVM_RUN` has just returned with.
pub fn internal_error(vcpu: &mut VcpuFd) -> (u32, Vec<u64>) {
    // SAFETY: all bits are valid for these integers, and the kernel fills them for this kind of exit.
    let error = unsafe { vcpu.get_kvm_run().__bindgen_anon_1.internal };
    let count = usize::try_from(error.ndata).unwrap_or(0);
    (error.suberror, error.data.iter().take(count).copied().collect())
}
