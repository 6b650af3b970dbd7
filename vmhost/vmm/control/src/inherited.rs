//! Descriptors that a parent process leaves open for us, known by their number.
//!
//! Rust opens everything close-on-exec; a descriptor without that flag came
//! through `exec`, and nobody in this process owns it yet. A program takes what it
//! inherits first of all, before foreign code may open something without the flag.
#![allow(unsafe_code, reason = "a number becomes an owned descriptor, which only its origin can justify")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Mutex;

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Takes descriptors by number.
pub struct Inherited;

/// Two threads that take the same number must not both find it free.
static TAKING: Mutex<()> = Mutex::new(());

impl Inherited {
    /// Takes the descriptor with that number, once; it isn't passed on to children.
    ///
    /// # Errors
    /// When there is none, or it wasn't inherited, or it was taken before, or it is a standard stream.
    pub fn take(number: u32) -> io::Result<OwnedFd> {
        let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, format!("descriptor {number} {why}")));
        let Some(raw) = RawFd::try_from(number).ok().filter(|raw| *raw > 2) else {
            return refuse("is a standard stream or no descriptor at all");
        };
        let _guard = TAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // SAFETY: the number isn't -1. Should nobody have opened it, the call below fails with EBADF.
        let borrowed = unsafe { BorrowedFd::borrow_raw(raw) };
        match fcntl_getfd(borrowed) {
            Ok(flags) if flags.contains(FdFlags::CLOEXEC) => refuse("was not inherited, or was taken before"),
            Ok(_) => {
                fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
                // SAFETY: it is open, and it lacked close-on-exec, so it came through `exec` and nobody owned it;
                // now it has the flag, so no later call gets this far with the same number.
                Ok(unsafe { OwnedFd::from_raw_fd(raw) })
            }
            Err(_) => refuse("is not open"),
        }
    }

    /// Leaves descriptors open in the child that `command` starts, under the same numbers.
    /// The caller keeps them open until then.
    pub fn pass(command: &mut Command, descriptors: &[BorrowedFd<'_>]) {
        let numbers: Vec<RawFd> = descriptors.iter().map(|fd| fd.as_fd().as_raw_fd()).collect();
        let clear = move || {
            for number in &numbers {
                // SAFETY: `fcntl` touches no memory of ours; a number that is closed by now gives EBADF.
                if unsafe { libc::fcntl(*number, libc::F_SETFD, 0) } < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        };
        // SAFETY: between fork and exec the closure only calls `fcntl`, which is async-signal-safe, and reads
        // memory that was allocated before the fork.
        unsafe { command.pre_exec(clear) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_child_gets_what_is_passed_and_nothing_else() {
        let (near, mut far) = UnixStream::pair().expect("a pair");
        let (hidden, _hidden_far) = UnixStream::pair().expect("a pair");
        let number = near.as_raw_fd();
        let mut command = Command::new("bash");
        let script = format!("echo passed >&{number}; [ -e /proc/self/fd/{} ] && echo leaked >&{number}; exit 0", {
            hidden.as_raw_fd()
        });
        Inherited::pass(command.arg("-c").arg(script), &[near.as_fd()]);
        let mut child = command.spawn().expect("bash");
        drop(near);
        let mut text = String::new();
        far.read_to_string(&mut text).expect("text");
        assert_eq!(text, "passed\n");
        assert!(child.wait().expect("ends").success());
    }

    #[test]
    fn own_descriptors_are_not_up_for_taking() {
        let (near, _far) = UnixStream::pair().expect("a pair");
        let check = |number: u32, expected: &str| {
            assert_eq!(Inherited::take(number).expect_err("refused").to_string(), expected);
        };
        let number = u32::try_from(near.as_raw_fd()).expect("positive");
        check(number, &format!("descriptor {number} was not inherited, or was taken before"));
        check(1, "descriptor 1 is a standard stream or no descriptor at all");
        check(u32::MAX, "descriptor 4294967295 is a standard stream or no descriptor at all");
        check(1_000_000, "descriptor 1000000 is not open");
    }
}
