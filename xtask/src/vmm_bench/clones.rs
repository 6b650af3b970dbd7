//! From the request for clones to the last child's reply.

use std::fs;
use std::time::Instant;

use anyhow::Context as _;
use vmm_control::Console;
use vmm_control::spawn::{ChildOptions, Launch, Vm, clone_vm};

use super::ours::{self, Machine};
use super::place::Place;
use super::samples::{Samples, Table};

const MIB: usize = 256;
const FILLED: usize = 128;
const COUNTS: [usize; 3] = [1, 10, 100];

/// Children that end with us.
struct Children(Vec<Vm>);

impl Drop for Children {
    fn drop(&mut self) {
        for vm in &mut self.0 {
            // It may have ended already.
            let _ = vm.child.kill();
            let _ = vm.child.wait();
        }
    }
}

#[derive(Default)]
struct Numbers {
    all: Samples,
    each: Samples,
    guest_kib: Samples,
    vmm_kib: Samples,
}

/// Ours alone: no peer clones a running machine.
pub fn run(place: &Place, runs: usize, table: &mut Table) -> anyhow::Result<()> {
    let mut parent = Machine::boot(place, MIB, "quiet")?;
    parent.ask(&format!("mem-fill {FILLED} 7"))?;
    // The first freeze differs from those after it: it warms up.
    clones(place, &mut parent, 1, &mut Numbers::default())?;
    for count in COUNTS {
        // A hundred take long, and are a sample of a hundred already.
        let runs = if count >= 100 { runs.min(3) } else { runs };
        let mut numbers = Numbers::default();
        (0..runs).try_for_each(|_| clones(place, &mut parent, count, &mut numbers))?;
        let what = format!("clone ×{count}, {MIB} MiB ({FILLED} filled):");
        table.alone(format!("{what} request to all replied"), "ms", numbers.all);
        table.alone(format!("{what} that by child"), "ms", numbers.each);
        table.alone(format!("{what} guest's private, a child"), "KiB", numbers.guest_kib);
        table.alone(format!("{what} VMM's private, a child"), "KiB", numbers.vmm_kib);
    }
    let stats = parent.client().stats()?;
    if let Some(pause) = stats.vm.latencies.get("pause") {
        let mean = pause.sum_us as f64 / pause.count.max(1) as f64 / 1e3;
        table.remark(format!(
            "clone: the parent stood still for {mean:.1} ms in the mean, {:.1} ms at most",
            pause.max_us as f64 / 1e3
        ));
    }
    Ok(())
}

fn clones(place: &Place, parent: &mut Machine, count: usize, numbers: &mut Numbers) -> anyhow::Result<()> {
    let folder = place.folder()?;
    let option = |number: usize| {
        let run_directory = folder.join(number.to_string());
        let mut launch = Launch::new(&place.vmm, &run_directory.join("control.sock"));
        launch.timeout = super::PATIENCE;
        ChildOptions { run_directory, launch, vsock: None, networks: Vec::new(), console: Console::Off }
    };
    let options: Vec<ChildOptions> = (0..count).map(option).collect();
    let start = Instant::now();
    let mut children = Children(clone_vm(parent.client(), &folder, &options)?);
    for vm in &mut children.0 {
        vm.client.set_timeout(Some(super::PATIENCE)).context("a child's control socket")?;
        vm.client.resume()?;
    }
    for child in &options {
        ours::first_reply(&child.run_directory)?;
    }
    let all = start.elapsed().as_secs_f64() * 1e3;
    numbers.all.add(all);
    numbers.each.add(all / count as f64);
    for vm in &mut children.0 {
        let memory = vm.client.stats()?.memory;
        numbers.guest_kib.add(memory.guest_private_kib as f64);
        numbers.vmm_kib.add(memory.vmm_private_kib as f64);
    }
    drop(children);
    fs::remove_dir_all(&folder).context("a folder of clones")
}
