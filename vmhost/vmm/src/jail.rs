//! Shuts the VM's process in, so that a guest that takes it over has gained nothing.
//!
//! In:  a process that has opened all it will ever need, and has one thread.
//! Out: the same process without paths, privileges, a network or other processes' memory.
//!
//! From the outside in: control group limits, namespaces, an empty root (with
//! the VM's own run directory as all there is in it), no capabilities, a user
//! of its own, nothing to be gained by exec. Then, one list a kind of thread,
//! the system calls it may make: `seccomp`. Namespaces for processes are left
//! out: the process never forks, and can signal nobody.

mod cgroup;
mod identity;
mod root;
pub mod seccomp;

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::UnshareFlags;

pub use cgroup::Limits;
pub use identity::Identity;

/// Where the run directory is, once shut in.
pub const RUN: &str = "/run";

/// Open descriptors that a VM with all its devices and connections may have.
const MAX_DESCRIPTORS: u64 = 4096;

/// How to shut a process in.
#[derive(Debug, Clone)]
pub struct Jail {
    /// The only directory it keeps: its sockets live there.
    pub run_directory: PathBuf,
    /// Whom it becomes.
    pub identity: Identity,
    /// The control group it joins.
    pub limits: Option<Limits>,
}

/// The process could not be shut in, and must not go on.
#[derive(Debug, thiserror::Error)]
#[error("can't {step}: {source}; `--no-jail` runs without confinement, for guests that you trust")]
pub struct JailError {
    step: &'static str,
    source: io::Error,
}

/// Names the step that failed.
trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, JailError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: &'static str) -> Result<T, JailError> {
        self.map_err(|source| JailError { step, source: source.into() })
    }
}

impl Jail {
    /// Shuts the calling process in. It must have no second thread: that one would stay outside.
    ///
    /// # Errors
    /// Names the step that failed; the process may be half in, and should end.
    pub fn enter(&self) -> Result<(), JailError> {
        one_heap();
        if let Some(limits) = &self.limits {
            limits.join()?;
        }
        let mut namespaces = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS | UnshareFlags::NEWNET;
        if limits_are_hidden() {
            namespaces |= UnshareFlags::NEWCGROUP;
        }
        identity::unshare(namespaces)?;
        root::empty(&self.run_directory)?;
        limit_resources()?;
        self.identity.assume()?;
        rustix::thread::set_no_new_privs(true).step("give up privileges of programs to come")
    }

    /// The path of something in the run directory, once shut in.
    ///
    /// `None` if it lies elsewhere, and can't be reached then.
    pub fn inside(&self, path: &Path) -> Option<PathBuf> {
        path.strip_prefix(&self.run_directory).ok().map(|rest| Path::new(RUN).join(rest))
    }
}

/// All threads to come share the main heap. A heap of its own would have glibc open
/// `/proc/sys/vm/overcommit_memory` when it shrinks, at any `free`: a forbidden call.
#[allow(unsafe_code, reason = "mallopt has no safe wrapper")]
fn one_heap() {
    // SAFETY: a number is set, no memory passed; there is one thread yet.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Whether this kernel has namespaces of control groups.
fn limits_are_hidden() -> bool {
    Path::new("/proc/self/ns/cgroup").exists()
}

fn limit_resources() -> Result<(), JailError> {
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    // A core file would hold the guest's memory.
    setrlimit(Resource::Core, limit(0)).step("forbid core files")?;
    setrlimit(Resource::Nofile, limit(MAX_DESCRIPTORS)).step("limit open files")
}
