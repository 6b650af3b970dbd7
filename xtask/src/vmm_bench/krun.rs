//! libkrun, as the Python package `microsandbox` brings it: the only binary of it in a package registry.
//!
//! Its way from a command to a guest can't be taken apart: it includes a data base
//! of sandboxes, a second process, libkrun, its own kernel (6.12), virtio-fs and an
//! agent in the guest that runs a command. So its row is beside ours, not equal to it.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::ours;
use super::place::{Place, copy};
use super::samples::{Samples, Table};
use super::watch::{UP, Watched};
use crate::process::{self, ask};
use crate::repo::Repo;

const PACKAGE: &str = "microsandbox==0.7.11";
/// Where the package has the program and libkrun.
const BUNDLED: &str = "microsandbox/_bundled";
/// Tells the lab where the package is, or why it isn't there.
const FOLDER: &str = "SANDGLASS_MICROSANDBOX";
const MIB: usize = 512;
const WORD: &str = "the guest's first word";

/// Gets the package, or the reason why it can't be had, into the lab's environment.
pub fn offer(repo: &Repo, lab: &mut Command) {
    lab.env(FOLDER, obtain(repo).map_or_else(|error| format!("!{error:#}").into(), PathBuf::into_os_string));
}

fn obtain(repo: &Repo) -> anyhow::Result<PathBuf> {
    let folder = repo.state("microsandbox");
    if !folder.join(BUNDLED).is_dir() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"]).arg(&folder).arg(PACKAGE);
        process::run("fetch libkrun", &mut pip)?;
    }
    Ok(folder.join(BUNDLED))
}

/// Both in turns.
pub fn run(place: &Place, runs: usize, table: &mut Table) -> anyhow::Result<()> {
    let bundled = env::var(FOLDER).unwrap_or_else(|_| "!it wasn't looked for".into());
    if let Some(reason) = bundled.strip_prefix('!') {
        table.remark(format!("libkrun: not compared: {reason}"));
        return Ok(());
    }
    let peer = match Peer::prepare(place, Path::new(&bundled)).and_then(|peer| peer.start().map(|_| peer)) {
        Ok(peer) => peer,
        Err(error) => {
            table.remark(format!("libkrun: not compared, as it doesn't run here: {error:#}"));
            return Ok(());
        }
    };
    let (mut own, mut theirs) = (Samples::default(), Samples::default());
    for _ in 0..runs {
        let mut machine =
            Watched::start(&mut ours::command(place, &place.folder()?, MIB, "quiet sandglass.do=poweroff"))?;
        own.add(machine.wait_for(UP)?.0.as_secs_f64() * 1e3);
        machine.end()?;
        theirs.add(peer.start()?);
    }
    table.compare("libkrun: command to the guest's first word", "ms", own, theirs);
    table.remark(format!(
        "libkrun: `msb run` of {PACKAGE}, a folder as root, {MIB} MiB, its own kernel; its whole path, with its data \
         base, helper process, file system and agent; ours as in `boot`, with {MIB} MiB"
    ));
    Ok(())
}

struct Peer {
    program: PathBuf,
    root: PathBuf,
}

impl Peer {
    fn prepare(place: &Place, bundled: &Path) -> anyhow::Result<Self> {
        let own = place.folder()?;
        for part in ["bin", "lib"] {
            fs::create_dir_all(own.join(part)).context("a folder")?;
            for entry in fs::read_dir(bundled.join(part)).context("microsandbox")?.flatten() {
                copy(&entry.path(), &own.join(part))?;
            }
        }
        // Its root wants extended attributes, which files in memory don't have; the home of the lab does.
        let root = PathBuf::from(env::var_os("HOME").context("there is no home")?).join("root");
        for folder in ["bin", "etc", "tmp", "proc", "sys", "dev", "root"] {
            fs::create_dir_all(root.join(folder)).context("a root for the guest")?;
        }
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).is_file());
        copy(Path::new(busybox.context("busybox isn't installed")?), &root.join("bin"))?;
        symlink("busybox", root.join("bin/sh")).context("a root for the guest")?;
        fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").context("a root for the guest")?;
        Ok(Self { program: own.join("bin/msb"), root })
    }

    /// Milliseconds to the guest's word.
    fn start(&self) -> anyhow::Result<f64> {
        let mut command = Command::new(&self.program);
        command.args(["run", "--no-tty", "--no-stdin"]).arg(&self.root);
        command.args(["--", "/bin/busybox", "echo", WORD]);
        command.env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt");
        let mut machine = Watched::start(&mut command)?;
        let seen = machine.wait_for(WORD);
        let Ok((time, _)) = seen else {
            let said = ask(Command::new(&self.program).args(["logs", "--source", "system"])).unwrap_or_default();
            bail!("{:#}{said}", seen.err().context("it says nothing")?);
        };
        machine.end()?;
        Ok(time.as_secs_f64() * 1e3)
    }
}
