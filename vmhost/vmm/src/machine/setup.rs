//! What a machine is made of, and how its parts are wired to KVM.

use std::fs::File;
use std::io;
use std::sync::Arc;

use kvm_ioctls::Kvm;
use vmm_control::{Bucket, CpuTemplate};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::exit::ExitRequest;
use super::vcpu::ThreadStart;
use super::vm::{KvmError, Vm};
use crate::bus::{Bus, Overlap, Registers};
use crate::events::Events;
use crate::legacy::ports::{self, Keyboard, Marker, Power};
use crate::legacy::serial::{self, Serial};
use crate::memory::GuestRam;
use crate::memory::layout::{MAX_VIRTIO_DEVICES, VIRTIO_GSI, VIRTIO_MMIO, VIRTIO_MMIO_SIZE};
use crate::virtio::Device;
use crate::virtio::mmio::Mmio;

/// Largest number of vCPUs.
pub const MAX_VCPUS: u8 = 32;
/// Register `QueueNotify` of virtio-mmio (virtio 1.2, 4.2.2).
const QUEUE_NOTIFY: u64 = 0x50;

/// What a machine is made of.
pub struct Setup {
    /// KVM, opened by the caller: a process that is shut in has no path to it.
    pub kvm: Kvm,
    /// 1 to `MAX_VCPUS`.
    pub vcpus: u8,
    /// Which CPU the guest sees.
    pub cpu: CpuTemplate,
    /// Its memory.
    pub ram: GuestRam,
    /// Its devices, in order.
    pub devices: Vec<Box<dyn Device>>,
    /// Takes the serial console's output.
    pub console: Option<File>,
    /// Gives the serial console's input: a terminal, pipe or socket.
    pub console_input: Option<File>,
    /// How much console output is let through.
    pub console_limit: Bucket,
    /// Called in each vCPU's thread before it first enters the guest.
    pub thread_start: Option<ThreadStart>,
}

/// A machine can't be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Too many, or none.
    #[error("a machine has 1 to {MAX_VCPUS} vCPUs, not {0}")]
    Vcpus(u8),
    /// More than there are interrupts.
    #[error("a machine has at most {MAX_VIRTIO_DEVICES} devices, not {0}")]
    Devices(usize),
    /// KVM can't.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// Two registers at one place.
    #[error(transparent)]
    Bus(#[from] Overlap),
    /// The host has run out of something.
    #[error("cannot make {part}: {source}")]
    Host {
        /// Of what.
        part: &'static str,
        /// What the host says.
        source: io::Error,
    },
}

pub(super) fn host(part: &'static str) -> impl FnOnce(io::Error) -> SetupError {
    move |source| SetupError::Host { part, source }
}

/// Wires each device to memory, the event loop, its interrupt and its doorbells.
pub(super) fn connect(
    vm: &Vm,
    events: &Events,
    devices: Vec<Box<dyn Device>>,
    ram: &GuestRam,
) -> Result<Vec<Arc<Mmio>>, SetupError> {
    let mut wired = Vec::with_capacity(devices.len());
    for (index, device) in (0..).zip(devices) {
        let line = EventFd::new(EFD_NONBLOCK).map_err(host("an interrupt"))?;
        let device =
            Mmio::new(device, ram.memory().clone(), line, events.poll(index)).map_err(host("a device's events"))?;
        vm.connect_line(device.line(), VIRTIO_GSI + index)?;
        for (queue, bell) in (0..).zip(device.queue_events()) {
            vm.connect_doorbell(bell, window(index) + QUEUE_NOTIFY, queue)?;
        }
        wired.push(Arc::new(device));
    }
    Ok(wired)
}

pub(super) fn window(index: u32) -> u64 {
    VIRTIO_MMIO + u64::from(index) * VIRTIO_MMIO_SIZE
}

pub(super) fn registers(devices: &[Arc<Mmio>]) -> Result<Bus, Overlap> {
    let mut bus = Bus::default();
    for (index, device) in (0..).zip(devices) {
        let registers: Arc<dyn Registers> = Arc::<Mmio>::clone(device);
        bus.insert(window(index), VIRTIO_MMIO_SIZE, registers)?;
    }
    Ok(bus)
}

pub(super) fn port_bus(serial: &Arc<Serial>, marker: &Arc<Marker>, exits: &Arc<ExitRequest>) -> Result<Bus, Overlap> {
    let mut bus = Bus::default();
    bus.insert(serial::PORT, serial::PORTS, Arc::<Serial>::clone(serial))?;
    bus.insert(ports::MARKER, 1, Arc::<Marker>::clone(marker))?;
    bus.insert(ports::KEYBOARD, 1, Arc::new(Keyboard(Arc::clone(exits))))?;
    bus.insert(ports::SLEEP_CONTROL, 3, Arc::new(Power(Arc::clone(exits))))?;
    Ok(bus)
}

impl Registers for Mmio {
    fn read(&self, offset: u64, data: &mut [u8]) {
        Self::read(self, offset, data);
    }

    fn write(&self, offset: u64, data: &[u8]) {
        Self::write(self, offset, data);
    }
}
