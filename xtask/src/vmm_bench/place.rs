//! Everything that is measured, copied into memory: the lab machine reads its host's files slowly.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, io};

use anyhow::{Context as _, bail};

use crate::process::ask;

/// In memory in the lab machine; not its `TMPDIR`, which is a disk.
const FOLDER: &str = "/dev/shm/bench";
const QEMU: &str = "/usr/bin/qemu-system-x86_64";
/// Where Debian keeps QEMU's firmware.
const FIRMWARE: [&str; 2] = ["/usr/share/qemu", "/usr/share/seabios"];

/// The copies, and room for what runs leave.
pub struct Place {
    /// `vmm`.
    pub vmm: PathBuf,
    /// The kernel as an ELF file.
    pub kernel: PathBuf,
    /// The archive with PID 1.
    pub initramfs: PathBuf,
    /// QEMU and all that it loads; `None` if it isn't installed.
    pub qemu: Option<Qemu>,
    root: PathBuf,
    number: AtomicU32,
}

/// QEMU's copy.
pub struct Qemu {
    /// The program.
    pub program: PathBuf,
    /// Shared libraries.
    pub libraries: PathBuf,
    /// Firmware.
    pub firmware: PathBuf,
}

impl Place {
    /// Copies everything.
    ///
    /// # Errors
    /// What isn't there.
    pub fn prepare() -> anyhow::Result<Self> {
        let root = PathBuf::from(FOLDER);
        make(&root)?;
        // tmpfs grows to half of memory unless told; clones of 1 GiB need more.
        let grown = Command::new("mount").args(["-o", "remount,size=90%", "/dev/shm"]).status();
        if !grown.is_ok_and(|status| status.success()) {
            bail!("can't make /dev/shm larger");
        }
        // The emulator translates a program anew wherever it lies; without this, each start pays for all of it.
        fs::write("/proc/sys/kernel/randomize_va_space", "0").context("address randomisation")?;
        let qemu = Path::new(QEMU).is_file().then(|| copy_qemu(&root)).transpose()?;
        Ok(Self {
            vmm: copy_given("SANDGLASS_VMM", &root)?,
            kernel: copy_given("SANDGLASS_GUEST_KERNEL", &root)?,
            initramfs: copy_given("SANDGLASS_GUEST_INITRAMFS", &root)?,
            qemu,
            root,
            number: AtomicU32::new(0),
        })
    }

    /// A new folder that the VM's user, too, may enter.
    ///
    /// # Errors
    /// When memory is full.
    pub fn folder(&self) -> anyhow::Result<PathBuf> {
        let path = self.root.join(format!("run-{}", self.number.fetch_add(1, Ordering::Relaxed)));
        make(&path)?;
        Ok(path)
    }

    /// A disk's image without a hole in it, so that no run pays for allocating it.
    ///
    /// # Errors
    /// When memory is full.
    pub fn disk(&self, mib: usize) -> anyhow::Result<PathBuf> {
        let path = self.folder()?.join("disk.img");
        let mut file = File::create(&path).context("a disk's image")?;
        let block = vec![0x5A; 1 << 20];
        for _ in 0..mib {
            io::Write::write_all(&mut file, &block).context("a disk's image")?;
        }
        Ok(path)
    }
}

fn make(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path).with_context(|| format!("can't make {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).with_context(|| path.display().to_string())
}

fn copy_given(variable: &str, root: &Path) -> anyhow::Result<PathBuf> {
    let from = PathBuf::from(env::var_os(variable).with_context(|| format!("{variable} isn't set"))?);
    copy(&from, root)
}

/// Copies a file into a folder.
///
/// # Errors
/// When it can't be read, or memory is full.
pub fn copy(from: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let name: OsString = from.file_name().unwrap_or_default().into();
    let to = folder.join(name);
    fs::copy(from, &to).with_context(|| format!("can't copy {}", from.display()))?;
    Ok(to)
}

fn copy_qemu(root: &Path) -> anyhow::Result<Qemu> {
    let (libraries, firmware) = (root.join("libraries"), root.join("firmware"));
    make(&libraries)?;
    make(&firmware)?;
    let listed = ask(Command::new("ldd").arg(QEMU)).context("ldd doesn't say which libraries QEMU needs")?;
    for path in listed.split_whitespace().filter(|word| word.starts_with('/')) {
        copy(Path::new(path), &libraries)?;
    }
    for folder in FIRMWARE {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_file() {
                copy(&entry.path(), &firmware)?;
            }
        }
    }
    Ok(Qemu { program: copy(Path::new(QEMU), root)?, libraries, firmware })
}
