//! Whom the process is: nobody, and without any capability.

use std::fs;
use std::io;

use rustix::fs::{Gid, Uid};
use rustix::process::{DumpableBehavior, getegid, geteuid, getpid, set_dumpable_behavior};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, UnshareFlags, remove_capability_from_bounding_set,
    set_capabilities, set_capabilities_secure_bits, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::{JailError, Step as _};

/// Users from here on belong to no one: one for each process number.
const FIRST_UNUSED: u32 = 700_000_000;

/// Whom the process becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Root becomes a user that no other VM and nobody else is; others stay who they are.
    Unique,
    /// This user and group.
    User {
        /// The user's number.
        uid: u32,
        /// The group's number.
        gid: u32,
    },
}

impl Identity {
    /// Becomes that user and gives up all capabilities, for good.
    pub(super) fn assume(self) -> Result<(), JailError> {
        let unique = FIRST_UNUSED.saturating_add(getpid().as_raw_nonzero().get().unsigned_abs());
        let target = match self {
            Self::User { uid, gid } => Some((uid, gid)),
            Self::Unique if geteuid().is_root() => Some((unique, unique)),
            Self::Unique => None,
        };
        for capability in CapabilitySet::all().iter() {
            match remove_capability_from_bounding_set(capability) {
                // One that this kernel doesn't know.
                Ok(()) | Err(rustix::io::Errno::INVAL) => {}
                Err(error) => return Err(error).step("give up capabilities of programs to come"),
            }
        }
        // No user number, not even root's, brings a capability back.
        set_capabilities_secure_bits(
            CapabilitiesSecureBits::NO_ROOT
                | CapabilitiesSecureBits::NO_ROOT_LOCKED
                | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
                | CapabilitiesSecureBits::KEEP_CAPS_LOCKED,
        )
        .step("forbid that a user number brings capabilities")?;
        if let Some((uid, gid)) = target {
            set_thread_groups(&[]).step("leave all groups")?;
            let (gid, uid) = (Gid::from_raw(gid), Uid::from_raw(uid));
            set_thread_res_gid(gid, gid, gid).step("change the group")?;
            set_thread_res_uid(uid, uid, uid).step("change the user")?;
        }
        let none = CapabilitySet::empty();
        set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
            .step("give up capabilities")?;
        // Its memory is the guest's memory.
        set_dumpable_behavior(DumpableBehavior::NotDumpable).step("forbid that its memory is read")
    }
}

/// Enters new namespaces; who isn't root does so as the only user of a user namespace.
#[allow(unsafe_code, reason = "`unshare` of descriptors could surprise other threads; none is unshared here")]
pub(super) fn unshare(namespaces: UnshareFlags) -> Result<(), JailError> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let own = if uid == 0 { UnshareFlags::empty() } else { UnshareFlags::NEWUSER };
    // SAFETY: the flags hold no `FILES`, so descriptors of other threads stay valid.
    unsafe { rustix::thread::unshare_unsafe(namespaces | own) }.step("enter new namespaces")?;
    if uid != 0 {
        map("setgroups", "deny").step("forbid groups in the user namespace")?;
        map("uid_map", &format!("{uid} {uid} 1")).step("map the user")?;
        map("gid_map", &format!("{gid} {gid} 1")).step("map the group")?;
    }
    Ok(())
}

fn map(file: &str, text: &str) -> io::Result<()> {
    fs::write(format!("/proc/self/{file}"), text)
}
