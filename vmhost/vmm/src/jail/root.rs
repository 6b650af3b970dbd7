//! An empty root: a read-only file system in memory that holds one directory.

use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_change, mount_remount,
    move_mount, open_tree, unmount,
};
use rustix::process::{chdir, fchdir, pivot_root};

use super::{JailError, RUN, Step as _};

/// Makes everything but `keep` unreachable by path. The caller is in a mount namespace of its own.
pub(super) fn empty(keep: &Path) -> Result<(), JailError> {
    // Nothing that happens here may reach the host's own mounts.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .step("part from the host's mounts")?;
    let kept = open_tree(rustix::fs::CWD, keep, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
        .step("keep the run directory")?;
    // Any directory could carry the new root; this one is there for sure.
    mount("none", keep, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, c"size=4k,mode=755")
        .step("mount an empty root")?;
    let root = open(keep, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).step("open the root")?;
    fchdir(&root).step("enter the root")?;
    let name = RUN.trim_start_matches('/');
    rustix::fs::mkdir(name, Mode::from_raw_mode(0o755)).step("make a place for the run directory")?;
    move_mount(kept.as_fd(), "", root.as_fd(), name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .step("mount the run directory")?;
    mount_remount(name, MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, c"")
        .step("forbid programs in the run directory")?;
    // The old root lands on top of the new one, and goes.
    pivot_root(".", ".").step("change the root")?;
    unmount(".", UnmountFlags::DETACH).step("let go of the old root")?;
    chdir("/").step("enter the new root")?;
    mount_remount("/", MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, c"")
        .step("write-protect the root")
}
