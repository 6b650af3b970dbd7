//! Debian packages that making and running virtual machines needs.
//!
//! Each is known by a file that it brings, so a machine that has the file from
//! elsewhere needs no package.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::toolchain;

/// A package, and the file by which it is known: a path, or a program's name.
pub type Package = (&'static str, &'static str);

/// Kernel sources, and what compiles them.
pub const KERNEL: [Package; 9] = [
    ("linux-source-6.1", "/usr/src/linux-source-6.1.tar.xz"),
    ("xz-utils", "xz"),
    ("gcc", "gcc"),
    ("make", "make"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("libelf-dev", "/usr/include/gelf.h"),
    ("perl", "perl"),
];

/// What the lab machine is made of, and what tests use inside it.
pub const LAB: [Package; 5] = [
    ("qemu-system-x86", "qemu-system-x86_64"),
    ("busybox-static", "/usr/share/doc/busybox-static"),
    ("e2fsprogs", "mke2fs"),
    ("iproute2", "ip"),
    ("passt", "passt"),
];

/// Those of `packages` that aren't here.
pub fn missing(packages: &[Package]) -> Vec<&'static str> {
    packages.iter().filter(|(_, file)| !present(file)).map(|(name, _)| *name).collect()
}

/// Installs those that aren't here.
///
/// # Errors
/// Says what to install by hand.
pub fn obtain(packages: &[Package]) -> anyhow::Result<()> {
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(());
    }
    toolchain::install(&missing).context("virtual machines need packages that aren't here")
}

/// Where a program is, if it is here.
pub fn program(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    // A user's PATH often lacks what is for root, where Debian keeps `mke2fs`.
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&folders).chain(system).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn present(file: &str) -> bool {
    if file.starts_with('/') { Path::new(file).exists() } else { program(file).is_some() }
}
