//! From the start of the process to the first line of the guest's PID 1, as the host sees it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use vmm_control::Client;

use super::place::Place;
use super::qemu::Qmp;
use super::samples::{Samples, Table};
use super::watch::{UP, Watched};
use super::{ours, qemu};
use crate::process::{ask, spawn};

const MIB: usize = 128;
/// What both kernels are told beside what each machine needs.
const WORDS: &str = "quiet loglevel=3 sandglass.do=poweroff";

/// The same for a guest that stays.
const IDLE: &str = "quiet loglevel=3";

#[derive(Default)]
struct Times {
    seen: Samples,
    guest: Samples,
    rest: Samples,
    whole: Samples,
}

impl Times {
    fn take(&mut self, command: &mut Command) -> anyhow::Result<()> {
        let mut machine = Watched::start(command)?;
        let (seen, line) = machine.wait_for(UP)?;
        let seen = seen.as_secs_f64() * 1e3;
        let guest = line.strip_prefix(UP).and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
        let guest = guest.context("the guest doesn't say when it was up")? / 1e3;
        self.seen.add(seen);
        self.guest.add(guest);
        self.rest.add(seen - guest);
        self.whole.add(machine.end()?.as_secs_f64() * 1e3);
        Ok(())
    }
}

/// Whether the host gives huge pages to shared memory that asks for them. Private memory that asks, as the peer's
/// does, gets them by default.
const POLICY: &str = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";

/// With both policies of the host, the default last.
pub fn run(place: &Place, runs: usize, table: &mut Table) -> anyhow::Result<()> {
    let image = place.disk(16)?;
    for (policy, words) in [("advise", "huge pages for shared memory on request"), ("never", "none, Linux's default")] {
        fs::write(POLICY, policy).context(POLICY)?;
        let (ours, theirs) = turns(place, runs, &image)?;
        table.compare(format!("boot to init, process start to its line; {words}"), "ms", ours.seen, theirs.seen);
        table.compare("  of that by the guest's monotonic clock", "ms", ours.guest, theirs.guest);
        table.compare("  before that: VMM, firmware, loading, early kernel", "ms", ours.rest, theirs.rest);
        table.compare("  process start to the process's end", "ms", ours.whole, theirs.whole);
    }
    table.remark(format!(
        "boot: same kernel, initramfs and words, {MIB} MiB, 1 vCPU, serial console, entropy and one block device; \
         theirs: QEMU {} microvm with qboot, ACPI, KVM",
        version(place).unwrap_or_default()
    ));
    Ok(())
}

/// Both sides in turns; the first run of each only warms up.
fn turns(place: &Place, runs: usize, image: &Path) -> anyhow::Result<(Times, Times)> {
    let (mut ours, mut theirs) = (Times::default(), Times::default());
    for run in 0..=runs {
        if run == 1 {
            (ours, theirs) = Default::default();
        }
        let folder = place.folder()?;
        let mut command = ours::command(place, &folder, MIB, WORDS);
        command.arg("--disk").arg(format!("disk={}", image.display()));
        ours.take(&mut command)?;
        let mut command = qemu::command(place, MIB, WORDS, "")?;
        qemu::disk(&mut command, image, "threads");
        theirs.take(&mut command)?;
    }
    Ok((ours, theirs))
}

fn version(place: &Place) -> Option<String> {
    let qemu = place.qemu.as_ref()?;
    let text = ask(Command::new(&qemu.program).env("LD_LIBRARY_PATH", &qemu.libraries).arg("--version"))?;
    Some(text.split_whitespace().nth(3)?.to_owned())
}

/// Counts that don't depend on how fast anything is: system calls of a boot, of which `KVM_RUN`s are exits
/// that the kernel didn't handle.
pub fn exits(place: &Place, _runs: usize, table: &mut Table) -> anyhow::Result<()> {
    kernel_exits(place, table)?;
    if ask(Command::new("strace").arg("-V")).is_none() {
        table.remark("exits: not counted, as strace isn't installed");
        return Ok(());
    }
    let image = place.disk(16)?;
    let folder = place.folder()?;
    let mut command = ours::command(place, &folder, MIB, WORDS);
    command.arg("--disk").arg(format!("disk={}", image.display()));
    let ours = count(place, &command)?;
    let mut command = qemu::command(place, MIB, WORDS, "")?;
    qemu::disk(&mut command, &image, "threads");
    let theirs = count(place, &command)?;
    let one = |counts: &BTreeMap<&str, u64>, name| {
        std::iter::once(counts.get(name).copied().unwrap_or(0) as f64).collect::<Samples>()
    };
    for (name, words) in [
        ("KVM_RUN", "boot: exits to user space (KVM_RUN)"),
        ("ioctl", "boot: ioctls in all"),
        ("all", "boot: system calls in all"),
    ] {
        table.compare(words, "", one(&ours, name), one(&theirs, name));
    }
    Ok(())
}

/// KVM's own counters, which include exits that never reach user space.
const COUNTERS: [&str; 6] = ["exits", "io_exits", "mmio_exits", "halt_exits", "irq_exits", "pf_taken"];

/// Of a guest that has booted and waits.
fn kernel_exits(place: &Place, table: &mut Table) -> anyhow::Result<()> {
    let folder = place.folder()?;
    let socket = folder.join("qmp");
    let listener = UnixListener::bind(&socket).context("a socket for QEMU")?;
    let mut command = qemu::command(place, MIB, IDLE, "")?;
    qemu::monitor(&mut command, &socket);
    let mut machine = Watched::start(&mut command)?;
    let mut qmp = Qmp::accept(&listener)?;
    machine.wait_for("sandglass-init: serving")?;
    let theirs = qmp.counters()?;
    drop(machine);

    let mut machine = Watched::start(&mut ours::command(place, &folder, MIB, IDLE))?;
    machine.wait_for("sandglass-init: serving")?;
    let stats = Client::connect(&folder.join("control.sock"))?.stats()?;
    for name in COUNTERS {
        let theirs = theirs.as_array().and_then(|list| list.iter().find(|one| one["name"] == name));
        let theirs = theirs.and_then(|one| one["value"].as_f64());
        if let (Some(own), Some(theirs)) = (stats.vm.counters.get(&format!("kvm_{name}")), theirs) {
            let one = |value: f64| std::iter::once(value).collect::<Samples>();
            table.compare(format!("boot: KVM's count, {name}"), "", one(*own as f64), one(theirs));
        }
    }
    Ok(())
}

fn count(place: &Place, command: &Command) -> anyhow::Result<BTreeMap<&'static str, u64>> {
    let trace = place.folder()?.join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(&trace).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        strace.env(name, value.unwrap_or_default());
    }
    strace.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    spawn(&mut strace)?.wait().context("strace")?;
    let text = fs::read(&trace).context("strace's output")?;
    let text = String::from_utf8_lossy(&text);
    let calls = || text.lines().filter(|line| line.contains('(') && !line.contains("resumed>"));
    let of = |words: &str| calls().filter(|line| line.contains(words)).count() as u64;
    Ok(BTreeMap::from([("KVM_RUN", of("KVM_RUN")), ("ioctl", of(" ioctl(")), ("all", calls().count() as u64)]))
}
