//! `cargo xtask guest`: what a virtual machine boots, made on this machine.
//!
//! In:  the recipe in `vmhost/guest/`, Debian's packaged kernel sources, a C compiler.
//! Out: `vmlinux`, `bzImage` and an initramfs with `guest-init` as its `/init`,
//!      in the user's cache, each in a folder named after what it was made from.

pub mod cpio;
mod initramfs;
pub mod kernel;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;

use crate::packages;
use crate::process::duration;
use crate::repo::Repo;
use kernel::Kernel;

/// Make the guest's kernel and its first initramfs; print where they are
///
/// The kernel is compiled once a recipe: some minutes on two cores, then it comes
/// from the cache. The initramfs follows `vmhost/guest/init`.
#[derive(Args)]
pub struct Guest {}

/// What boots.
pub struct Images {
    /// The kernel as a stripped ELF file with a PVH entry.
    pub vmlinux: PathBuf,
    /// The same kernel, compressed, with the old boot protocol.
    pub bzimage: PathBuf,
    /// A newc archive with `/init`.
    pub initramfs: PathBuf,
}

impl Guest {
    pub fn run(&self, repo: &Repo) -> anyhow::Result<ExitCode> {
        let start = Instant::now();
        let (vmlinux, bzimage) = kernel(repo)?;
        let kernel_time = start.elapsed();
        let start = Instant::now();
        let initramfs = initramfs::obtain(repo)?;
        for (what, path, time) in [
            ("vmlinux", &vmlinux, Some(kernel_time)),
            ("bzImage", &bzimage, None),
            ("initramfs", &initramfs, Some(start.elapsed())),
        ] {
            println!("{}", row(what, path, time)?);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// All of it, made if need be.
///
/// # Errors
/// Names the step that failed and the remedy.
pub fn obtain(repo: &Repo) -> anyhow::Result<Images> {
    let (vmlinux, bzimage) = kernel(repo)?;
    Ok(Images { vmlinux, bzimage, initramfs: initramfs::obtain(repo)? })
}

fn kernel(repo: &Repo) -> anyhow::Result<(PathBuf, PathBuf)> {
    packages::obtain(&packages::KERNEL)?;
    let folder = kernel::obtain(repo, Kernel::Guest)?;
    Ok((folder.join("vmlinux"), folder.join("bzImage")))
}

fn row(what: &str, path: &Path, time: Option<Duration>) -> anyhow::Result<String> {
    let bytes = path.metadata().with_context(|| format!("can't look at {}", path.display()))?.len();
    let time = time.map(duration).unwrap_or_default();
    Ok(format!("{what:<10}{:>8.2} MiB  {time:>7}  {}", bytes as f64 / f64::from(1 << 20), path.display()))
}
