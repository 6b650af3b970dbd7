//! What the program around a machine keeps: its state, its disks' files, its log.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use vm_memory::{GuestMemoryBackend as _, GuestMemoryRegion as _, MemoryRegionAddress};
use vmm_control::{DeviceInfo, EventKind, GenerationId, Info, Metrics, State, Stats, VmConfig};

use super::Frozen;
use super::devices::DiskRecord;
use super::requests::{Desk, Stop};
use super::worker::Worker;
use crate::control::Server;
use crate::events::Ready;
use crate::log::Log;
use crate::machine::{Host, Machine};
use crate::memory::DirtyPages;
use crate::metrics::Histogram;
use crate::metrics::memory::Mappings;
use crate::snapshot::SnapshotRecord;

/// The event loop's owner of the control socket.
pub const CONTROL: u32 = 0;

/// Records of snapshots, which the worker adds to.
pub type Records = Arc<Mutex<Vec<SnapshotRecord>>>;

/// What there is to a VM beside its machine.
pub struct Operator {
    pub(super) config: VmConfig,
    pub(super) state: State,
    pub(super) names: Vec<String>,
    pub(super) disks: Vec<DiskRecord>,
    pub(super) log: Log,
    pub(super) worker: Worker,
    pub(super) mappings: Mappings,
    /// The snapshot or image it came from.
    pub(super) parent: Option<String>,
    /// Snapshots that later ones can refer to.
    pub(super) records: Records,
    /// KVM's dirty log runs: memory was frozen, or restored.
    pub(super) logging: bool,
    /// Pages known as written that no image has yet, as a freeze has failed.
    pub(super) unsaved: Option<DirtyPages>,
    pub(super) pauses: Histogram,
    ran: Duration,
    running_since: Option<Instant>,
}

impl Operator {
    /// What there is to a VM that has just been made.
    pub fn new(
        config: VmConfig,
        names: Vec<String>,
        disks: Vec<DiskRecord>,
        frozen: Option<Frozen>,
        log: Log,
        worker: Worker,
        mappings: Mappings,
    ) -> Self {
        let logging = frozen.is_some();
        let (parent, record) = frozen.map_or((None, None), |frozen| (Some(frozen.id), frozen.record));
        Self {
            config,
            state: if logging { State::Paused } else { State::Created },
            names,
            disks,
            log,
            worker,
            mappings,
            parent,
            records: Arc::new(Mutex::new(record.into_iter().collect())),
            logging,
            unsaved: None,
            pauses: Histogram::default(),
            ran: Duration::ZERO,
            running_since: None,
        }
    }

    pub(super) fn resume(&mut self, machine: &mut Machine) {
        if self.state == State::Running {
            return;
        }
        let event = if self.state == State::Created { EventKind::Started } else { EventKind::Resumed };
        machine.resume();
        self.state = State::Running;
        self.running_since = Some(Instant::now());
        self.log.record(event);
    }

    pub(super) fn pause(&mut self, machine: &mut Machine) {
        if self.state == State::Running {
            self.still(machine);
            self.state = State::Paused;
            self.log.record(EventKind::Paused);
        }
    }

    /// Stops vCPUs for a moment that isn't told of as a pause.
    pub(super) fn still(&mut self, machine: &mut Machine) {
        machine.pause();
        self.ran += self.running_since.take().map_or(Duration::ZERO, |since| since.elapsed());
    }

    /// Ends such a moment.
    pub(super) fn go_on(&mut self, machine: &mut Machine) {
        machine.resume();
        self.running_since = Some(Instant::now());
    }

    pub(super) fn info(&self, machine: &Machine) -> Info {
        let id = machine.generation().unwrap_or_default();
        let device = |(name, device): (&String, &crate::virtio::Mmio)| DeviceInfo {
            name: name.clone(),
            ready: device.is_driven(),
            faulted: device.is_faulted(),
        };
        Info {
            pid: std::process::id(),
            user: rustix::process::geteuid().as_raw(),
            state: self.state,
            config: self.config.clone(),
            uptime_us: micros(self.log.uptime()),
            running_us: micros(self.running()),
            parent: self.parent.clone(),
            generation: GenerationId(id.iter().map(|byte| format!("{byte:02x}")).collect()),
            devices: self.names.iter().zip(machine.devices()).map(device).collect(),
        }
    }

    pub(super) fn stats(&mut self, machine: &Machine) -> Stats {
        let counted = |name: &str, list: Vec<(&'static str, u64)>| Metrics {
            name: name.to_owned(),
            counters: list.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
            latencies: BTreeMap::new(),
        };
        let mut vm = counted("vm", machine.metrics());
        vm.counters.extend(machine.kvm_counters());
        vm.latencies.insert("pause".into(), self.pauses.get());
        Stats {
            state: self.state,
            uptime_us: micros(self.log.uptime()),
            running_us: micros(self.running()),
            memory: self.mappings.measure(&host_ranges(machine)).unwrap_or_default(),
            devices: self.names.iter().zip(machine.devices()).map(|(n, device)| counted(n, device.metrics())).collect(),
            vm,
        }
    }

    pub(super) fn records(&self) -> MutexGuard<'_, Vec<SnapshotRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> Duration {
        self.ran + self.running_since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Where guest memory lies in the process.
fn host_ranges(machine: &Machine) -> Vec<Range<u64>> {
    let range = |region: &vm_memory::GuestRegionMmap<vm_memory::bitmap::AtomicBitmap>| {
        let start = region.get_host_address(MemoryRegionAddress(0)).ok()? as u64;
        Some(start..start + region.len())
    };
    machine.ram().memory().iter().filter_map(range).collect()
}

/// Serves the control socket beside the machine's devices.
pub struct Supervisor {
    server: Server,
    operator: Operator,
    stop: Option<Stop>,
}

impl Supervisor {
    /// Both are made when the machine is.
    pub fn new(server: Server, operator: Operator) -> Self {
        Self { server, operator, stop: None }
    }

    /// Lets the guest run.
    pub fn start(&mut self, machine: &mut Machine) {
        self.operator.resume(machine);
    }

    /// Whether a client wants the end without waiting for disks.
    pub fn is_hurried(&self) -> bool {
        self.stop == Some(Stop::AtOnce)
    }

    /// Tells clients of the end.
    pub fn finish(self) {
        self.server.finish();
    }
}

impl Host for Supervisor {
    fn on_event(&mut self, machine: &mut Machine, owner: u32, source: u32, ready: Ready) -> ControlFlow<()> {
        if owner == CONTROL {
            let mut desk = Desk { machine, operator: &mut self.operator, stop: &mut self.stop };
            self.server.on_event(source, ready, &mut desk);
        }
        if self.stop.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn on_booted(&mut self, _machine: &mut Machine, _microseconds: u64) {
        self.operator.log.record(EventKind::BootMarker { value: crate::legacy::ports::BOOTED });
    }

    fn on_fault(&mut self, device: usize, reason: String) {
        let device = self.operator.names.get(device).cloned().unwrap_or_default();
        self.operator.log.record(EventKind::DeviceFault { device, reason });
    }
}
