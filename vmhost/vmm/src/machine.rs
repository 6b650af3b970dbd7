//! A machine: KVM, vCPUs, memory, devices and the loop that serves them.
//!
//! In:  a `Setup`, and a kernel to boot or a saved machine to go on with.
//! Out: a machine that is paused at first; `run` serves it until it ends.
//!
//! The thread that calls `run` is the device thread. vCPUs have threads of
//! their own, which touch registers only (`bus`).

pub mod exit;
mod host;
mod kvm_stats;
mod run_page;
pub mod setup;
pub mod state;
mod terminal;
pub mod vcpu;
pub mod vm;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use kvm_bindings::kvm_cpuid_entry2;

pub use exit::Exit;
pub use host::{Host, NoHost};
pub use setup::{MAX_VCPUS, Setup, SetupError};
pub use state::{MachineState, RestoreError, SaveError};

use crate::boot::{self, LoadError, acpi};
use crate::cpu::cpuid::{self, Topology};
use crate::cpu::model::CpuModel;
use crate::cpu::state::{StateSource, VcpuState, VcpuStateError, set_cpuid};
use crate::cpu::{start, template};
use crate::events::{Events, Interest, Poll};
use crate::generation::Generation;
use crate::legacy::console::Console;
use crate::legacy::ports::Marker;
use crate::legacy::serial::Serial;
use crate::memory::GuestRam;
use crate::memory::layout::{GED_GSI, MAX_VIRTIO_DEVICES, SERIAL_GSI};
use crate::virtio::mmio::Mmio;
use exit::ExitRequest;
use setup::{connect, host, port_bus, registers};
use terminal::Terminal;
use vcpu::{Shared, Vcpu};
use vm::{KvmError, Vm};

/// Owners of events: devices have their index.
const OWN: u32 = 0x1000;
/// Owners of the host's descriptors follow.
const HOST: u32 = 0x2000;
/// Sources of `OWN`; those below belong to the terminal.
const EXIT: u32 = 0x100;

/// A machine can't be booted.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The machine can't be made at all.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The kernel or what belongs to it can't be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// KVM refuses the vCPU.
    #[error("vCPU {id}: {source}")]
    Vcpu {
        /// Its number.
        id: u8,
        /// What failed.
        source: VcpuStateError,
    },
}

impl From<KvmError> for BootError {
    fn from(error: KvmError) -> Self {
        Self::Setup(error.into())
    }
}

/// A machine.
pub struct Machine {
    // Before all else: no vCPU may run while the rest goes.
    vcpus: Vec<Vcpu>,
    vm: Vm,
    cpu: CpuModel,
    source: StateSource,
    devices: Vec<Arc<Mmio>>,
    serial: Arc<Serial>,
    generation: Generation,
    marker: Arc<Marker>,
    shared: Arc<Shared>,
    exits: Arc<ExitRequest>,
    events: Events,
    terminal: Terminal,
    ram: GuestRam,
    running: bool,
    booted_told: bool,
}

impl Machine {
    /// Makes a machine whose first vCPU is about to enter `kernel`. It is paused.
    ///
    /// # Errors
    /// What is wrong with the setup, the host or the files.
    pub fn boot(
        setup: Setup,
        kernel: &File,
        initramfs: Option<&File>,
        command_line: &str,
        generation: [u8; 16],
    ) -> Result<Self, BootError> {
        let machine = Self::new(setup)?;
        let memory = machine.ram.memory();
        let contents = acpi::Contents { vcpus: machine.vcpu_count(), devices: machine.devices.len() };
        let rsdp = acpi::write(memory, contents)?;
        machine.generation.write(memory, generation).map_err(LoadError::from)?;
        let entry = boot::load(&machine.ram, kernel, initramfs, &machine.command_line(command_line), rsdp)?;
        let (table, topology) = machine.cpu_table()?;
        for (id, vcpu) in (0..).zip(&machine.vcpus) {
            let entries = cpuid::for_vcpu(&table, topology, id);
            set_cpuid(&vcpu.fd(), &entries).map_err(|source| BootError::Vcpu { id, source })?;
            let first = (id == 0).then_some(entry);
            start::set(&vcpu.fd(), first).map_err(|error| BootError::Vcpu {
                id,
                source: VcpuStateError { step: "first registers".into(), source: error.into() },
            })?;
        }
        Ok(machine)
    }

    /// Makes a machine that goes on where another was saved. It is paused.
    ///
    /// `setup` has the same parts as the saved one, with its memory as it was.
    ///
    /// # Errors
    /// What differs, what this host lacks, or what of the state is invalid.
    pub fn restore(setup: Setup, state: &MachineState) -> Result<Self, RestoreError> {
        let machine = Self::new(setup)?;
        state::same(&state.vcpus.len(), &machine.vcpus.len(), |count| format!("{count} vCPUs"))?;
        state::same(&state.cpu.template, &machine.cpu.template, |template| format!("CPU template {template:?}"))?;
        let regions = state::regions(machine.ram.memory());
        state::same(&state.memory, &regions, |regions| format!("memory {regions:x?}"))?;
        let kinds: Vec<_> = machine.devices.iter().map(|device| device.kind() as u32).collect();
        let saved_kinds = state.devices.iter().map(|(kind, _)| *kind).collect();
        state::same(&saved_kinds, &kinds, |kinds| format!("devices {kinds:?}"))?;
        state.cpu.runs_on(&machine.cpu)?;
        for (id, (vcpu, state)) in machine.vcpus.iter().zip(&state.vcpus).enumerate() {
            state.restore(&vcpu.fd(), &machine.source).map_err(|source| RestoreError::Vcpu { id, source })?;
        }
        machine.vm.restore(&state.vm)?;
        // Now that interrupt controllers are as they were, lines may be raised.
        machine.serial.restore(&state.serial)?;
        for (device, (_, state)) in machine.devices.iter().zip(&state.devices) {
            device.restore(state)?;
        }
        Ok(machine)
    }

    fn new(setup: Setup) -> Result<Self, SetupError> {
        let start = Instant::now();
        if setup.vcpus == 0 || setup.vcpus > MAX_VCPUS {
            return Err(SetupError::Vcpus(setup.vcpus));
        }
        if setup.devices.len() > MAX_VIRTIO_DEVICES {
            return Err(SetupError::Devices(setup.devices.len()));
        }
        let vm = Vm::new(setup.kvm, setup.ram.memory().clone())?;
        let events = Events::new().map_err(host("an event loop"))?;
        let exits = Arc::new(ExitRequest::new().map_err(host("an event"))?);
        let own = events.poll(OWN);
        own.add(exits.event().as_raw_fd(), EXIT, Interest::Read).map_err(host("an event"))?;

        let console = Arc::new(Console::new(setup.console_limit).map_err(host("a console"))?);
        let serial = Arc::new(Serial::new(console).map_err(host("a serial port"))?);
        vm.connect_line(serial.line(), SERIAL_GSI)?;
        let terminal = Terminal::new(&serial, setup.console, setup.console_input, &own).map_err(host("a console"))?;
        let generation = Generation::new().map_err(host("a generation device"))?;
        vm.connect_line(generation.line(), GED_GSI)?;
        let marker = Arc::new(Marker::new(start, Arc::clone(&exits)));
        let devices = connect(&vm, &events, setup.devices, &setup.ram)?;

        let shared = Arc::new(Shared {
            mmio: registers(&devices)?,
            ports: port_bus(&serial, &marker, &exits)?,
            exits: Arc::clone(&exits),
            thread_start: setup.thread_start,
            counts: vcpu::Counts::default(),
        });
        let vcpus = (0..setup.vcpus)
            .map(|id| Vcpu::new(id, vm.create_vcpu(id)?, Arc::clone(&shared)).map_err(host("a vCPU's thread")))
            .collect::<Result<_, SetupError>>()?;
        let source = vm.state_source()?;
        let mut machine = Self {
            vcpus,
            cpu: CpuModel::of(setup.cpu, &[]),
            vm,
            source,
            devices,
            serial,
            generation,
            marker,
            shared,
            exits,
            events,
            terminal,
            ram: setup.ram,
            running: false,
            booted_told: false,
        };
        let (table, topology) = machine.cpu_table()?;
        machine.cpu = CpuModel::of(setup.cpu, &cpuid::for_vcpu(&table, topology, 0));
        Ok(machine)
    }

    /// The user's words after those that this machine means for every kernel, so that the user's win.
    ///
    /// A panic ends the machine instead of leaving a dead one; there is no PCI to look for; the console is where its
    /// output goes to, and without one the kernel needn't look for a serial port.
    fn command_line(&self, user: &str) -> String {
        let console = if self.terminal.has_output() { "console=ttyS0" } else { "8250.nr_uarts=0" };
        format!("panic=-1 pci=off {console} {user}").trim_end().to_owned()
    }

    fn cpu_table(&self) -> Result<(Vec<kvm_cpuid_entry2>, Topology), KvmError> {
        let table = template::apply(self.cpu.template, &self.vm.supported_cpuid()?);
        Ok((table, Topology { vcpus: self.vcpu_count(), tsc_deadline: self.vm.has_tsc_deadline() }))
    }

    fn vcpu_count(&self) -> u8 {
        u8::try_from(self.vcpus.len()).unwrap_or(MAX_VCPUS)
    }

    /// Lets the guest run. Devices are served by `run` only.
    pub fn resume(&mut self) {
        if !self.running {
            for vcpu in &self.vcpus {
                // Tells a guest that has a kvmclock that it was stopped, so that it blames no lock-up on a task;
                // it fails for all others.
                let _ = vcpu.fd().kvmclock_ctrl();
            }
            self.vcpus.iter().for_each(Vcpu::resume);
            self.running = true;
        }
    }

    /// Takes all vCPUs out of the guest; when this returns they have completed what they were doing.
    pub fn pause(&mut self) {
        self.vcpus.iter().for_each(Vcpu::pause);
        self.vcpus.iter().for_each(Vcpu::wait_paused);
        self.running = false;
    }

    /// Whether vCPUs run.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Finishes all work of the devices and reads what the machine is. It must be paused.
    ///
    /// # Errors
    /// When it runs, or KVM doesn't give something.
    pub fn save(&mut self) -> Result<MachineState, SaveError> {
        if self.running {
            return Err(SaveError::Running);
        }
        self.drain();
        let save = |(id, vcpu): (usize, &Vcpu)| {
            VcpuState::save(&vcpu.fd(), &self.source).map_err(|source| SaveError::Vcpu { id, source })
        };
        Ok(MachineState {
            cpu: self.cpu.clone(),
            memory: state::regions(self.ram.memory()),
            vcpus: self.vcpus.iter().enumerate().map(save).collect::<Result<_, _>>()?,
            vm: self.vm.save()?,
            serial: self.serial.save(),
            devices: self.devices.iter().map(|device| (device.kind() as u32, device.save())).collect(),
        })
    }

    /// Finishes all work of the devices, and what their files have yet to be told. It must be paused.
    pub fn drain(&self) {
        self.devices.iter().for_each(|device| device.drain());
    }

    /// The guest goes on as another machine: gives it another generation id and tells devices. It must be paused.
    ///
    /// # Errors
    /// When guest memory is too small to have an id.
    pub fn new_generation(&mut self, id: [u8; 16]) -> Result<(), vm_memory::GuestMemoryError> {
        self.devices.iter().for_each(|device| device.new_generation());
        self.generation.change(self.ram.memory(), id)
    }

    /// The current generation id.
    ///
    /// # Errors
    /// When guest memory is too small to have one.
    pub fn generation(&self) -> Result<[u8; 16], vm_memory::GuestMemoryError> {
        self.generation.read(self.ram.memory())
    }

    /// From now on KVM notes which pages vCPUs write.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn start_dirty_log(&self) -> Result<(), KvmError> {
        self.vm.start_dirty_log()
    }

    /// No more.
    ///
    /// # Errors
    /// When KVM refuses.
    pub fn stop_dirty_log(&self) -> Result<(), KvmError> {
        self.vm.stop_dirty_log()
    }

    /// The pages that vCPUs have written since the last call: for each region its index and a bit a page.
    /// Writes by devices are in the regions' own bitmaps.
    ///
    /// # Errors
    /// When KVM refuses: also when the log was never started.
    pub fn take_dirty_log(&self) -> Result<Vec<(usize, Vec<u64>)>, KvmError> {
        self.vm.take_dirty_log()
    }

    /// The handle on the event loop of one of the host's own descriptors; its events go to `Host::on_event`.
    pub fn poll(&self, owner: u32) -> Poll {
        self.events.poll(HOST.saturating_add(owner))
    }

    /// Device `index`, in the order of the setup.
    pub fn device(&self, index: usize) -> Option<&Mmio> {
        self.devices.get(index).map(|device| &**device)
    }

    /// All devices, in the order of the setup.
    pub fn devices(&self) -> impl Iterator<Item = &Mmio> {
        self.devices.iter().map(|device| &**device)
    }

    /// The guest's memory.
    pub fn ram(&self) -> &GuestRam {
        &self.ram
    }

    /// The guest's memory, to freeze it.
    pub fn ram_mut(&mut self) -> &mut GuestRam {
        &mut self.ram
    }

    /// The CPU that the guest sees.
    pub fn cpu(&self) -> &CpuModel {
        &self.cpu
    }

    /// When the guest said that it had booted, in microseconds from the start of `boot`.
    pub fn booted_us(&self) -> Option<u64> {
        self.marker.booted_us()
    }

    /// Counters of everything but the devices.
    pub fn metrics(&self) -> Vec<(&'static str, u64)> {
        let (written, dropped) = self.serial.console().counts();
        vec![
            ("mmio_exits", self.shared.counts.mmio.load(Ordering::Relaxed)),
            ("port_exits", self.shared.counts.ports.load(Ordering::Relaxed)),
            ("unanswered_mmio_accesses", self.shared.mmio.unanswered()),
            ("unanswered_port_accesses", self.shared.ports.unanswered()),
            ("console_written_bytes", written),
            ("console_dropped_bytes", dropped),
            ("booted_us", self.booted_us().unwrap_or(0)),
        ]
    }

    /// What KVM counts of the vCPUs, all together: exits by kind, most of which it handles itself.
    pub fn kvm_counters(&self) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for (name, count) in self.vcpus.iter().flat_map(Vcpu::counters) {
            *sums.entry(format!("kvm_{name}")).or_default() += count;
        }
        sums
    }

    /// Serves devices and `host` until the machine ends. It is paused then; vCPUs run only after `resume`.
    pub fn run(&mut self, host: &mut dyn Host) -> Exit {
        let exit = self.serve(host);
        self.pause();
        self.terminal.finish(&self.serial);
        exit
    }

    fn serve(&mut self, host: &mut dyn Host) -> Exit {
        loop {
            if let Some(exit) = self.exits.reason() {
                return exit;
            }
            let events = match self.events.wait() {
                Ok(events) => events,
                Err(error) => return Exit::VcpuFailed(format!("the event loop of the devices: {error}")),
            };
            for (owner, source, ready) in events {
                match owner {
                    OWN if source == EXIT => self.on_exit_event(host),
                    OWN => self.terminal.on_event(&self.serial, source, ready),
                    HOST.. => {
                        if host.on_event(self, owner - HOST, source, ready).is_break() {
                            return Exit::Stopped;
                        }
                    }
                    _ => {
                        if let Some(device) = self.devices.get(owner as usize) {
                            device.on_event(source, ready);
                            if let Some(reason) = device.take_fault() {
                                host.on_fault(owner as usize, reason);
                            }
                        }
                    }
                }
            }
        }
    }

    fn on_exit_event(&mut self, host: &mut dyn Host) {
        let _ = self.exits.event().read();
        if let Some(time) = self.marker.booted_us().filter(|_| !self.booted_told) {
            self.booted_told = true;
            host.on_booted(self, time);
        }
    }
}
