//! What PID 1 owes to itself and to processes that lost their parent.

#![allow(unsafe_code, reason = "signal masks, wait, descriptors and scheduling have no safe counterpart")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd};

use super::check;

/// Whether a descriptor is open.
pub(crate) fn is_open(descriptor: i32) -> bool {
    // SAFETY: this command takes no pointer and changes nothing.
    unsafe { libc::fcntl(descriptor, libc::F_GETFD) != -1 }
}

/// Makes `console` the standard input, output and error.
pub(crate) fn adopt_console(console: &OwnedFd) -> io::Result<()> {
    for standard in 0..=2 {
        // SAFETY: both are descriptors; whatever the standard one was before is closed by the
        // kernel, and nothing in this program owns it.
        check(unsafe { libc::dup2(console.as_raw_fd(), standard) })?;
    }
    Ok(())
}

/// Stops a terminal from repeating what is typed into it.
pub(crate) fn no_echo(terminal: i32) -> io::Result<()> {
    let mut settings = MaybeUninit::<libc::termios>::uninit();
    // SAFETY: `settings` is read only after the call that fills it succeeded.
    let mut settings = unsafe {
        check(libc::tcgetattr(terminal, settings.as_mut_ptr()))?;
        settings.assume_init()
    };
    settings.c_lflag &= !libc::ECHO;
    // SAFETY: `settings` is a whole termios.
    check(unsafe { libc::tcsetattr(terminal, libc::TCSANOW, &raw const settings) }).map(drop)
}

/// Allows as many open files as the kernel grants: many connections are part of the job.
pub(crate) fn raise_file_limit(limit: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: `limit` is a whole rlimit.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }).map(drop)
}

/// Makes a write to a closed connection an error instead of the end of the process.
pub(crate) fn ignore_broken_pipes() {
    // SAFETY: ignoring a signal installs no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// The ends of child processes, to be waited for by one thread.
pub(crate) struct Children(libc::sigset_t);

impl Children {
    /// Must be called before other threads start, as they inherit the mask.
    pub(crate) fn block() -> Self {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: `sigemptyset` makes `set` whole before the other calls read it, and can't fail.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
            Self(set.assume_init())
        }
    }

    /// Reaps orphans for ever.
    pub(crate) fn reap_forever(&self) -> ! {
        loop {
            // SAFETY: waits on a set that `block` made whole; then collects ended children without
            // asking for their status.
            unsafe {
                libc::sigwaitinfo(&raw const self.0, std::ptr::null_mut());
                while libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) > 0 {}
            }
        }
    }
}

/// Gives the calling thread the highest real-time priority: nothing else runs on its processor.
pub(crate) fn run_first() -> io::Result<()> {
    let highest = libc::sched_param { sched_priority: 99 };
    // SAFETY: `highest` is a whole sched_param; 0 names the calling thread.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const highest) }).map(drop)
}
