//! Compiles kernels: the guest's, and the one of the lab machine.
//!
//! In:  Debian's packaged sources, `vmhost/guest/base.config` and one fragment more.
//! Out: a folder in the cache with `vmlinux` (and `bzImage` of the guest's).
//!
//! Both kernels come from one object tree: the second one compiles only what
//! differs. For that, a few hidden options that KVM would switch on in headers that
//! everything includes are on in both, see [`SHARED`].

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context as _, bail};

use crate::process::{ask, run};
use crate::repo::{Repo, cache};
use crate::steps::{Inputs, ensure, read, write};

/// The package with the sources.
const PACKAGE: &str = "linux-source-6.1";

/// What of the sources isn't needed: two thirds of them. Kconfig files stay, as each names others.
const UNNEEDED: [&str; 6] = [
    "Documentation/[a-z]*",
    "drivers/gpu/*.[ch]",
    "drivers/media/*.[ch]",
    "drivers/net/*/*.[ch]",
    "sound/*.[ch]",
    "tools/testing",
];

/// Options of ours, as Kconfig text. None of the six does anything until something registers with it.
const SHARED: &str = "
config SANDGLASS_SHARED
	def_bool y
	select PREEMPT_NOTIFIERS
	select MMU_NOTIFIER
	select USER_RETURN_NOTIFIER
	select SCHED_INFO
	select GUEST_PERF_EVENTS
	select KVM_XFER_TO_GUEST_WORK
";

/// Goes into each kernel in place of who built it and when, so that equal recipes give equal bytes.
const IDENTITY: [(&str, &str); 4] = [
    ("KBUILD_BUILD_TIMESTAMP", "2024-01-01"),
    ("KBUILD_BUILD_USER", "sandglass"),
    ("KBUILD_BUILD_HOST", "sandglass"),
    ("KBUILD_BUILD_VERSION", "1"),
];

/// Which kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// What sandboxes boot.
    Guest,
    /// What runs virtual machines inside the emulated machine that tests use.
    Lab,
}

impl Kernel {
    fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Lab => "lab",
        }
    }

    fn makes(self) -> &'static [&'static str] {
        match self {
            Self::Guest => &["vmlinux", "bzImage"],
            Self::Lab => &["vmlinux"],
        }
    }

    fn config(self, repo: &Repo) -> anyhow::Result<Vec<u8>> {
        let mut config = read(&repo.at("vmhost/guest/base.config"))?;
        config.extend(read(&repo.at(&format!("vmhost/guest/{}.config", self.name())))?);
        Ok(config)
    }
}

/// The folder with a kernel's files, after compiling it if need be.
///
/// # Errors
/// Names the step that failed, with the end of what it said.
pub fn obtain(repo: &Repo, kernel: Kernel) -> anyhow::Result<PathBuf> {
    let config = kernel.config(repo)?;
    let version = version()?;
    let compiler = ask(Command::new("gcc").arg("--version")).context("`gcc --version` says nothing")?;
    let key = Inputs::default()
        .text(SHARED)
        .text(&format!("{IDENTITY:?}"))
        .text(&version)
        .text(&compiler)
        .text(&String::from_utf8_lossy(&config))
        .key();
    let folder = cache("kernel")?.join(format!("{}-{}", kernel.name(), &key[..16]));
    if folder.is_dir() {
        return Ok(folder);
    }
    let tree = Tree::lock(repo)?;
    tree.unpack(repo, &version)?;
    tree.compile(kernel, &config)?;
    tree.keep(kernel, &folder)?;
    Ok(folder)
}

fn version() -> anyhow::Result<String> {
    ask(Command::new("dpkg-query").args(["--show", "--showformat=${Version}", PACKAGE]))
        .with_context(|| format!("{PACKAGE} isn't installed. remedy: `apt-get install {PACKAGE}`"))
}

/// Sources and objects, for one build at a time.
struct Tree {
    sources: PathBuf,
    objects: PathBuf,
    /// Held while it lives.
    _lock: File,
}

impl Tree {
    fn lock(repo: &Repo) -> anyhow::Result<Self> {
        let folder = repo.state("kernel");
        fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
        let lock = File::create(folder.join("lock")).context("can't make the lock of the kernel's tree")?;
        lock.lock().context("can't lock the kernel's tree")?;
        Ok(Self { sources: folder.join("sources"), objects: folder.join("objects"), _lock: lock })
    }

    fn unpack(&self, repo: &Repo, version: &str) -> anyhow::Result<()> {
        let inputs = Inputs::default().text(version).text(SHARED).text(&format!("{UNNEEDED:?}"));
        let kconfig = self.sources.join("arch/x86/Kconfig");
        ensure(repo, "kernel-sources", inputs, &[&kconfig], || {
            for folder in [&self.sources, &self.objects] {
                let _ = fs::remove_dir_all(folder);
                fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
            }
            let mut tar = Command::new("tar");
            tar.arg("--extract").arg("--file").arg(format!("/usr/src/{PACKAGE}.tar.xz"));
            tar.arg("--strip-components=1").arg("--directory").arg(&self.sources);
            tar.args(UNNEEDED.map(|pattern| format!("--exclude={PACKAGE}/{pattern}")));
            run("unpack the kernel's sources", &mut tar)?;
            let mut text = read(&kconfig)?;
            text.extend(SHARED.as_bytes());
            write(&kconfig, &text)
        })
    }

    fn compile(&self, kernel: Kernel, config: &[u8]) -> anyhow::Result<()> {
        write(&self.objects.join(".config"), config)?;
        run("configure the kernel", self.make().arg("olddefconfig"))?;
        let chosen = read(&self.objects.join(".config"))?;
        let lost = lost(&String::from_utf8_lossy(config), &String::from_utf8_lossy(&chosen));
        if !lost.is_empty() {
            bail!("Kconfig doesn't take these lines of the {} kernel's recipe:\n{}", kernel.name(), lost.join("\n"));
        }
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        let what = format!("compile the {} kernel", kernel.name());
        run(&what, self.make().arg(format!("--jobs={jobs}")).args(kernel.makes()))?;
        Ok(())
    }

    fn make(&self) -> Command {
        let mut make = Command::new("make");
        make.arg("ARCH=x86_64").arg(format!("O={}", self.objects.display())).current_dir(&self.sources);
        // Cargo's own job server is not for a make that cargo didn't start.
        make.env_remove("MAKEFLAGS").env_remove("MFLAGS").env_remove("CARGO_MAKEFLAGS");
        make.envs(IDENTITY).env("LC_ALL", "C");
        make
    }

    /// Moves what was made to where it is looked for, all at once.
    fn keep(&self, kernel: Kernel, folder: &Path) -> anyhow::Result<()> {
        let partial = folder.with_extension(format!("{}.partial", std::process::id()));
        fs::create_dir_all(&partial).with_context(|| format!("can't make {}", partial.display()))?;
        let mut strip = Command::new("strip");
        run("strip the kernel", strip.arg("-o").arg(partial.join("vmlinux")).arg(self.objects.join("vmlinux")))?;
        fs::copy(self.objects.join(".config"), partial.join("config")).context("can't keep the configuration")?;
        if kernel.makes().contains(&"bzImage") {
            let image = self.objects.join("arch/x86/boot/bzImage");
            fs::copy(&image, partial.join("bzImage")).with_context(|| format!("can't copy {}", image.display()))?;
        }
        if fs::rename(&partial, folder).is_err() && folder.is_dir() {
            // Another checkout was quicker with the same.
            return fs::remove_dir_all(&partial).context("can't remove what is there already");
        }
        if folder.is_dir() { Ok(()) } else { bail!("can't make {}", folder.display()) }
    }
}

/// Lines of a fragment that the configuration made from it contradicts; the last line about an option counts.
fn lost(fragment: &str, chosen: &str) -> Vec<String> {
    let wanted: Vec<_> = fragment.lines().filter_map(setting).collect();
    let have: Vec<_> = chosen.lines().filter_map(setting).collect();
    let last = |settings: &[(&str, &str)], name: &str| {
        settings.iter().rev().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
    };
    let mut lost = Vec::new();
    for (name, _) in &wanted {
        let want = last(&wanted, name).unwrap_or_default();
        // What is off, or hidden by something that is off, isn't always written.
        let got = last(&have, name).unwrap_or_else(|| "n".to_owned());
        if want != got {
            lost.push(format!("  {name}={want}, but it is {got}"));
        }
    }
    lost.dedup();
    lost
}

/// `CONFIG_A=y` or `# CONFIG_A is not set`, as name and value.
fn setting(line: &str) -> Option<(&str, &str)> {
    if let Some(name) = line.strip_prefix("# CONFIG_") {
        return Some((name.strip_suffix(" is not set")?, "n"));
    }
    line.strip_prefix("CONFIG_")?.split_once('=')
}

#[cfg(test)]
mod tests {
    use super::lost;

    #[test]
    fn a_recipe_that_isnt_followed_is_named() {
        let check = |fragment: &str, chosen: &str, expected: &[&str]| assert_eq!(lost(fragment, chosen), expected);
        check("CONFIG_A=y\n# CONFIG_B is not set\n", "CONFIG_A=y\n", &[]);
        check("CONFIG_A=y\n", "# CONFIG_A is not set\n", &["  A=y, but it is n"]);
        check("CONFIG_A=y\n", "", &["  A=y, but it is n"]);
        check("# CONFIG_A is not set\n", "CONFIG_A=y\n", &["  A=n, but it is y"]);
        check("# CONFIG_A is not set\nCONFIG_A=y\n", "CONFIG_A=y\n", &[]);
        check("# a comment about CONFIG_A\nCONFIG_N=8\n", "CONFIG_N=8\nCONFIG_Z=y\n", &[]);
    }
}
