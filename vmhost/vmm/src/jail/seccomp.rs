//! Which system calls each kind of thread may make.
//!
//! The lists lie in `seccomp/x86_64.json`, one a kind of thread, and are
//! compiled with this crate: nothing is parsed at run time. Any other call ends
//! the process, and says on its standard error which call it was.

#![allow(unsafe_code, reason = "a signal handler reads what the kernel tells it")]

use std::io;

use seccompiler::{BpfProgram, sock_filter};
use vmm_sys_util::signal::register_signal_handler;

/// A kind of thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thread {
    /// Runs all devices and takes commands.
    Device,
    /// Runs one vCPU.
    Vcpu,
    /// Writes snapshots.
    Worker,
}

const DEVICE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/device.bpf"));
const VCPU: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vcpu.bpf"));
const WORKER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/worker.bpf"));

/// The exit code of a process that made a call it must not make: 128 and the signal's number.
pub const REFUSED: i32 = 128 + libc::SIGSYS;

/// From here on the calling thread, and those it starts, may only make the calls of its kind.
///
/// # Errors
/// When the kernel has no seccomp.
pub fn confine(thread: Thread) -> io::Result<()> {
    let bytes = match thread {
        Thread::Device => DEVICE,
        Thread::Vcpu => VCPU,
        Thread::Worker => WORKER,
    };
    seccompiler::apply_filter(&program(bytes)).map_err(io::Error::other)
}

/// Makes a refused call end the process with a word on which it was. Once a process.
///
/// # Errors
/// When the handler can't be set.
pub fn report_refusals() -> io::Result<()> {
    register_signal_handler(libc::SIGSYS, refused).map_err(io::Error::from)
}

/// The instructions that `build.rs` wrote, eight bytes each.
fn program(bytes: &[u8]) -> BpfProgram {
    let instruction = |bytes: &[u8; 8]| {
        let &[c0, c1, jt, jf, k0, k1, k2, k3] = bytes;
        sock_filter { code: u16::from_le_bytes([c0, c1]), jt, jf, k: u32::from_le_bytes([k0, k1, k2, k3]) }
    };
    bytes.as_chunks().0.iter().map(instruction).collect()
}

/// Runs in a signal handler: it may not allocate, lock or format.
extern "C" fn refused(_signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // In `siginfo_t` of SIGSYS the call's number follows three integers, padding and an address.
    const NUMBER: usize = 6;
    // SAFETY: the kernel passes a whole `siginfo_t` of 128 bytes, aligned to four at least.
    let mut number = unsafe { info.cast::<u32>().add(NUMBER).read() };
    let mut digits = [b'0'; 10];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] += u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 || first == 0 {
            break;
        }
    }
    for part in [b"vmm: stopped, as it made the forbidden system call ".as_slice(), &digits[first..], b"\n"] {
        // SAFETY: the pointer and the length are those of one slice; `write` is safe in a signal handler.
        unsafe { libc::write(libc::STDERR_FILENO, part.as_ptr().cast(), part.len()) };
    }
    // SAFETY: `_exit` ends the process at once, and is safe in a signal handler.
    unsafe { libc::_exit(REFUSED) };
}
