//! What the lab machine is made of, from packages and our recipe; its parts are kept in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::machine::Ingredients;
use crate::guest::cpio::Archive;
use crate::guest::kernel::{self, Kernel};
use crate::packages;
use crate::process::{ask, run};
use crate::repo::{Repo, cache};
use crate::steps::{Inputs, read, write};

const INIT: &str = include_str!("init.sh");
const JOB: &str = include_str!("job.sh");
/// How QEMU is told to build the machine: another one can't resume a template.
const MACHINE: &str = include_str!("machine.rs");

/// The disk's size. It takes no room until something is written.
const DISK: &str = "8G";

/// The parts, and where a template made of them goes.
///
/// # Errors
/// Names the part that can't be made, and the remedy.
pub fn obtain(repo: &Repo, memory_mib: u32, cpus: u32) -> anyhow::Result<(Ingredients, PathBuf)> {
    packages::obtain(&packages::KERNEL)?;
    packages::obtain(&packages::LAB)?;
    let kernel = kernel::obtain(repo, Kernel::Lab)?.join("vmlinux");
    let qemu = ask(Command::new("qemu-system-x86_64").arg("--version")).context("QEMU doesn't say its version")?;
    let busybox = busybox()?;
    let mut archive = Archive::default();
    for folder in ["bin", "dev", "proc", "sys"] {
        archive.folder(folder);
    }
    archive.program("bin/busybox", &busybox);
    archive.program("init", INIT.as_bytes());
    archive.program("job.sh", JOB.as_bytes());
    let archive = archive.finish();
    let key = Inputs::default()
        .text(&kernel.to_string_lossy())
        .text(&qemu)
        .text(&crate::steps::hash(&archive))
        .text(MACHINE)
        .text(DISK)
        // A counter of another rate would spoil the template's clock.
        .text(&processor())
        .key();
    let folder = cache("lab")?.join(&key[..16]);
    let initramfs = folder.join("initramfs.cpio");
    let disk = folder.join("disk.ext4");
    once(&initramfs, |path| write(path, &archive))?;
    once(&disk, |path| {
        let mut mke2fs = Command::new("mke2fs");
        mke2fs.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
        mke2fs.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", "nodiscard,lazy_itable_init=1"]);
        run("make the lab machine's disk", mke2fs.arg(path).arg(DISK)).map(|_| ())
    })?;
    let template = folder.join(format!("{memory_mib}-{cpus}"));
    Ok((Ingredients { kernel, initramfs, disk, memory_mib, cpus }, template))
}

/// Makes a file unless it is there, and never half of it.
fn once(path: &Path, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    if path.is_file() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    }
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    make(&partial)?;
    fs::rename(&partial, path).with_context(|| format!("can't make {}", path.display()))
}

fn busybox() -> anyhow::Result<Vec<u8>> {
    let path = packages::program("busybox").context("busybox isn't there. remedy: `apt-get install busybox-static`")?;
    let bytes = read(&path)?;
    if bytes.windows(9).any(|window| window == b"/ld-linux") {
        bail!("{} needs libraries. remedy: `apt-get install busybox-static`", path.display());
    }
    Ok(bytes)
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines().find(|line| line.starts_with("model name")).unwrap_or_default().to_owned()
}
