//! From the start of a process to a guest that goes on from a snapshot.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::json;
use vmm_control::{Inherited, SnapshotKind};

use super::ours::{self, Machine};
use super::place::Place;
use super::qemu::{self, Qmp};
use super::samples::{Samples, Table};
use super::watch::Watched;

/// Sizes of guests, and how much of each its own process has filled.
const SIZES: [(usize, usize); 3] = [(128, 64), (512, 400), (1024, 850)];
/// Of which size the peer's guest is, too.
const COMPARED: usize = 512;
/// The guest answers on its console, too.
const WORDS: &str = "quiet sandglass.serial=1";
const POLL: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Times {
    ready: Samples,
    vsock: Samples,
    console: Samples,
}

/// Each size; of one of them QEMU, too, in turns.
pub fn run(place: &Place, runs: usize, table: &mut Table) -> anyhow::Result<()> {
    for (mib, filled) in SIZES {
        let snapshot = snapshot(place, mib, filled)?;
        let peer = (mib == COMPARED).then(|| Peer::save(place, mib, filled)).transpose()?;
        let (mut ours, mut theirs) = (Times::default(), Times::default());
        for run in 0..=runs {
            if run == 1 {
                (ours, theirs) = Default::default();
            }
            restore(place, &snapshot, true, &mut ours)?;
            if let Some(peer) = &peer {
                restore(place, &snapshot, false, &mut ours)?;
                peer.restore(place, mib, &mut theirs)?;
            }
        }
        let what = format!("restore, {mib} MiB ({filled} filled): process start to");
        if peer.is_some() {
            // The console's reply was asked for in half of our runs.
            table.compare(format!("{what} guest runs"), "ms", ours.ready, theirs.ready);
            table.compare(format!("{what} console reply"), "ms", ours.console, theirs.console);
        } else {
            table.alone(format!("{what} guest runs"), "ms", ours.ready);
        }
        table.alone(format!("{what} vsock reply"), "ms", ours.vsock);
        fs::remove_dir_all(&snapshot).context("a snapshot")?;
        if let Some(peer) = peer {
            fs::remove_dir_all(peer.folder).context("QEMU's state")?;
        }
    }
    table.remark(
        "restore: files are in memory; theirs is -incoming with \
         memory-backend-file share=off and x-ignore-shared, its fastest, to its RESUME event",
    );
    Ok(())
}

/// Boots a guest, fills its memory and writes a snapshot.
fn snapshot(place: &Place, mib: usize, filled: usize) -> anyhow::Result<PathBuf> {
    let mut machine = Machine::boot(place, mib, WORDS)?;
    machine.ask(&format!("mem-fill {filled} 7"))?;
    let directory = place.folder()?;
    let opened: OwnedFd = File::open(&directory).context("a snapshot's folder")?.into();
    machine.client().snapshot(opened, SnapshotKind::Full, false, Vec::new())?;
    Ok(directory)
}

/// One restore, to its first reply over vsock or on the console.
fn restore(place: &Place, snapshot: &Path, vsock: bool, times: &mut Times) -> anyhow::Result<()> {
    let folder = place.folder()?;
    let (mut near, far) = UnixStream::pair().context("a socket pair")?;
    let far = OwnedFd::from(far);
    let mut command = Command::new(&place.vmm);
    command.arg("restore").arg(snapshot).arg("--control").arg(folder.join("control.sock"));
    command.args(["--console", "stdio", "--ready-fd", &far.as_raw_fd().to_string()]);
    Inherited::pass(&mut command, &[far.as_fd()]);
    let start = Instant::now();
    let mut machine = Watched::start(&mut command)?;
    drop(far);
    let mut byte = [0];
    if near.read(&mut byte).context("the machine's word")? == 0 {
        bail!("the restored machine isn't ready");
    }
    times.ready.add(milliseconds(start));
    if vsock {
        ours::first_reply(&folder)?;
        times.vsock.add(milliseconds(start));
    } else {
        machine.say("ping")?;
        machine.wait_for("ok pong")?;
        times.console.add(milliseconds(start));
    }
    Ok(())
}

/// Leaves memory where it is, in its file.
fn keep_memory(qmp: &mut Qmp) -> anyhow::Result<()> {
    let capability = json!({ "capability": "x-ignore-shared", "state": true });
    qmp.call("migrate-set-capabilities", &json!({ "capabilities": [capability] })).map(|_| ())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// A saved machine of QEMU's.
struct Peer {
    folder: PathBuf,
}

impl Peer {
    fn save(place: &Place, mib: usize, filled: usize) -> anyhow::Result<Self> {
        let peer = Self { folder: place.folder()? };
        let (listener, mut command) = peer.command(place, mib, "on")?;
        let mut machine = Watched::start(&mut command)?;
        let mut qmp = Qmp::accept(&listener)?;
        machine.wait_for("sandglass-init: serving")?;
        machine.say(&format!("mem-fill {filled} 7"))?;
        machine.wait_for("ok bytes=")?;
        keep_memory(&mut qmp)?;
        qmp.call("migrate", &json!({ "uri": format!("exec:cat > {}", peer.state().display()) }))?;
        loop {
            match qmp.call("query-migrate", &json!({}))?["status"].as_str() {
                Some("completed") => return Ok(peer),
                Some("failed") => bail!("QEMU can't save its machine"),
                _ => thread::sleep(POLL),
            }
        }
    }

    fn restore(&self, place: &Place, mib: usize, times: &mut Times) -> anyhow::Result<()> {
        let (listener, mut command) = self.command(place, mib, "off")?;
        let state: OwnedFd = File::open(self.state()).context("QEMU's state")?.into();
        command.args(["-incoming", "defer"]);
        Inherited::pass(&mut command, &[state.as_fd()]);
        let start = Instant::now();
        let mut machine = Watched::start(&mut command)?;
        let mut qmp = Qmp::accept(&listener)?;
        keep_memory(&mut qmp)?;
        qmp.call("migrate-incoming", &json!({ "uri": format!("fd:{}", state.as_raw_fd()) }))?;
        qmp.running()?;
        times.ready.add(milliseconds(start));
        machine.say("ping")?;
        machine.wait_for("ok pong")?;
        times.console.add(milliseconds(start));
        Ok(())
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn command(&self, place: &Place, mib: usize, share: &str) -> anyhow::Result<(UnixListener, Command)> {
        let socket = place.folder()?.join("qmp");
        let listener = UnixListener::bind(&socket).context("a socket for QEMU")?;
        let mut command = qemu::command(place, mib, WORDS, ",memory-backend=ram")?;
        let memory = self.folder.join("memory");
        let backend = format!("memory-backend-file,id=ram,size={mib}M,mem-path={},share={share}", memory.display());
        command.args(["-object", &backend]);
        qemu::monitor(&mut command, &socket);
        Ok((listener, command))
    }
}
