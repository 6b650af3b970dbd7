//! Memory of the VMM beside its guest's.

use super::place::Place;
use super::qemu;
use super::samples::{Samples, Table};
use super::watch::Watched;
use crate::vmm_bench::ours::Machine;

const MIB: usize = 128;
/// What must hold.
const MOST_KIB: f64 = 5.0 * 1024.0;

/// Both sides with a booted, idle guest.
pub fn run(place: &Place, runs: usize, table: &mut Table) -> anyhow::Result<()> {
    let (mut private, mut resident) = (Samples::default(), Samples::default());
    let (mut their_private, mut their_resident) = (Samples::default(), Samples::default());
    // A footprint hardly varies.
    for _ in 0..runs.min(3) {
        let mut machine = Machine::boot(place, MIB, "quiet")?;
        let memory = machine.client().stats()?.memory;
        private.add(memory.vmm_private_kib as f64);
        resident.add(memory.vmm_resident_kib as f64);
        drop(machine);
        let mut machine = Watched::start(&mut qemu::command(place, MIB, "quiet", "")?)?;
        machine.wait_for("sandglass-init: serving")?;
        let (private, resident) = qemu::beside_guest(machine.id(), MIB)?;
        their_private.add(private);
        their_resident.add(resident);
    }
    let holds = private.median() < MOST_KIB;
    table.compare("memory beside the guest's, private", "KiB", private, their_private);
    table.compare("memory beside the guest's, resident", "KiB", resident, their_resident);
    table.remark(format!("memory: less than 5 MiB private: {}", if holds { "holds" } else { "does NOT hold" }));
    Ok(())
}
