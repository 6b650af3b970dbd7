//! The virtio-mmio transport (virtio 1.2, 4.2): between a driver's register accesses and a device.
//!
//! In:  reads and writes of one register window by vCPU threads; events on the device thread.
//! Out: calls of one `Device` under one lock; interrupts.
//!
//! Notifications don't come through here: KVM turns a write of `QueueNotify` into
//! an eventfd. The device thread also does the start, so that `DRIVER_OK` costs a
//! vCPU nothing. Before `start` and after a fault the device sees queues that give
//! nothing, whatever the rings in memory say.

mod registers;
mod status;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::io;
use std::os::fd::AsRawFd as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use virtio_bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::virtio_ring::{VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::{Device, Fault, Interrupt, Io, Kind, Queue, QueueState};
use crate::events::{Interest, Poll, Ready};
use crate::memory::GuestMemory;
use crate::state::StateError;
use status::{DRIVER_OK, FEATURES_OK, NEEDS_RESET};

/// Sources from here up are the transport's own: queue n was notified.
const NOTIFIED: u32 = 0x8000_0000;
/// The driver has set `DRIVER_OK`.
const START: u32 = u32::MAX;

/// What the transport and the queues add to a device's features.
const TRANSPORT_FEATURES: u64 =
    1 << VIRTIO_F_VERSION_1 | 1 << VIRTIO_RING_F_INDIRECT_DESC | 1 << VIRTIO_RING_F_EVENT_IDX;

/// A device behind its registers.
pub struct Mmio {
    kind: Kind,
    /// All that is offered to the driver.
    offered: u64,
    memory: GuestMemory,
    interrupt: Interrupt,
    notified: Vec<EventFd>,
    start: EventFd,
    inner: Mutex<Inner>,
}

/// What a lock guards: the device and all registers but those of interrupts.
struct Inner {
    device: Box<dyn Device>,
    queues: Vec<Queue>,
    /// Never ready: what the device sees while the driver isn't.
    idle: Vec<Queue>,
    status: u32,
    /// `start` was called for this `DRIVER_OK`.
    started: bool,
    accepted: u64,
    offered_select: u32,
    accepted_select: u32,
    queue_select: u32,
    faults: u64,
    last_fault: Option<String>,
}

/// A device and its registers, as kept in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MmioState {
    /// The device's number.
    pub kind: u32,
    /// Feature bits that the driver has accepted.
    pub features: u64,
    /// Register `Status`.
    pub status: u32,
    /// Register `DeviceFeaturesSel`.
    pub offered_select: u32,
    /// Register `DriverFeaturesSel`.
    pub accepted_select: u32,
    /// Register `QueueSel`.
    pub queue_select: u32,
    /// Register `InterruptStatus`.
    pub interrupt: u32,
    /// Register `ConfigGeneration`.
    pub generation: u32,
    /// All queues.
    pub queues: Vec<QueueState>,
    /// What the device keeps.
    pub device: Vec<u8>,
}

impl Mmio {
    /// A device that waits for its driver. Queue notifications, `start` and the
    /// device's own events are registered with `poll`; interrupts go to `line`.
    ///
    /// # Errors
    /// When the host has no descriptors left.
    pub fn new(mut device: Box<dyn Device>, memory: GuestMemory, line: EventFd, poll: Poll) -> io::Result<Self> {
        let queues: Vec<_> = device.queue_sizes().iter().map(|max| Queue::new(*max)).collect();
        let mut notified = Vec::new();
        for (source, _) in (NOTIFIED..).zip(&queues) {
            let event = EventFd::new(EFD_NONBLOCK)?;
            poll.add(event.as_raw_fd(), source, Interest::Read)?;
            notified.push(event);
        }
        let start = EventFd::new(EFD_NONBLOCK)?;
        poll.add(start.as_raw_fd(), START, Interest::Read)?;
        device.attach(poll)?;
        Ok(Self {
            kind: device.kind(),
            offered: device.features() | TRANSPORT_FEATURES,
            memory,
            interrupt: Interrupt::new(line),
            notified,
            start,
            inner: Mutex::new(Inner {
                device,
                idle: queues.clone(),
                queues,
                status: 0,
                started: false,
                accepted: 0,
                offered_select: 0,
                accepted_select: 0,
                queue_select: 0,
                faults: 0,
                last_fault: None,
            }),
        })
    }

    /// The device's number.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What raises the interrupt; to be made an irqfd.
    pub fn line(&self) -> &EventFd {
        self.interrupt.line()
    }

    /// What notifies each queue; to be made ioeventfds at `QueueNotify` that match the queue's number.
    pub fn queue_events(&self) -> &[EventFd] {
        &self.notified
    }

    /// Serves an event of this device's sources. Device thread.
    pub fn on_event(&self, source: u32, ready: Ready) {
        match source {
            START => {
                // An empty counter is no harm: the event may be of a former life.
                let _ = self.start.read();
                self.ensure_started(&mut self.lock());
            }
            NOTIFIED.. => {
                let queue = (source - NOTIFIED) as usize;
                let Some(event) = self.notified.get(queue) else { return };
                let _ = event.read();
                let mut inner = self.lock();
                // Before `start` there is nothing to be done: it looks at all queues.
                if inner.started {
                    self.call(&mut inner, |device, io| device.on_queue(queue, io));
                }
            }
            _ => self.call(&mut self.lock(), |device, io| device.on_event(source, ready, io)),
        }
    }

    /// Has the device finish all work in flight. Device thread; no vCPU may run.
    pub fn drain(&self) {
        self.call(&mut self.lock(), Device::drain);
    }

    /// All there is to know after `drain`.
    pub fn save(&self) -> MmioState {
        let inner = self.lock();
        MmioState {
            kind: self.kind as u32,
            features: inner.accepted,
            status: inner.status,
            offered_select: inner.offered_select,
            accepted_select: inner.accepted_select,
            queue_select: inner.queue_select,
            interrupt: self.interrupt.status(),
            generation: self.interrupt.generation(),
            queues: inner.queues.iter().map(|queue| queue.state().clone()).collect(),
            device: inner.device.save(),
        }
    }

    /// Becomes what was saved, by a device of the same kind and features; the device
    /// thread then starts it. An interrupt that was pending is raised again, so the
    /// interrupt controller must have its state back by now.
    ///
    /// # Errors
    /// When no such device could have given this state; nothing has changed then but, at worst, the device.
    pub fn restore(&self, state: &MmioState) -> Result<(), StateError> {
        let inner = &mut *self.lock();
        let queues = self.check(state, &inner.queues)?;
        inner.device.restore(&state.device)?;
        inner.queues = queues;
        (inner.status, inner.started, inner.accepted) = (state.status, false, state.features);
        (inner.offered_select, inner.accepted_select) = (state.offered_select, state.accepted_select);
        inner.queue_select = state.queue_select;
        self.interrupt.restore(state.interrupt, state.generation);
        if inner.runs() {
            self.wake_start();
        }
        Ok(())
    }

    fn check(&self, state: &MmioState, queues: &[Queue]) -> Result<Vec<Queue>, StateError> {
        let invalid = |reason: String| StateError::Invalid { part: "virtio device", reason };
        if state.kind != self.kind as u32 {
            return Err(invalid(format!("it is of device type {}, not {}", state.kind, self.kind as u32)));
        }
        let unknown = state.features & !self.offered;
        if unknown != 0 {
            return Err(invalid(format!("its driver uses features {unknown:#x}, which this device lacks")));
        }
        if !status::is_possible(state.status) || (state.status & FEATURES_OK != 0 && !self.acceptable(state.features)) {
            return Err(invalid(format!("status {:#x} with features {:#x}", state.status, state.features)));
        }
        if state.queues.len() != queues.len() {
            return Err(invalid(format!("it has {} queues, not {}", state.queues.len(), queues.len())));
        }
        if state.interrupt > 3 {
            return Err(invalid(format!("interrupt status {:#x}", state.interrupt)));
        }
        let mut restored = Vec::new();
        for (saved, now) in state.queues.iter().zip(queues) {
            let mut queue = Queue::new(now.max_size());
            *queue.state_mut() = saved.clone();
            if saved.ready {
                if state.status & FEATURES_OK == 0 || saved.event_index != event_index(state.features) {
                    return Err(invalid("a queue was set up otherwise than its features say".into()));
                }
                queue.enable(&self.memory).map_err(|fault| invalid(fault.to_string()))?;
            }
            restored.push(queue);
        }
        Ok(restored)
    }

    /// Tells the device that the machine goes on as another one. Device thread, before vCPUs run.
    pub fn new_generation(&self) {
        let mut inner = self.lock();
        self.ensure_started(&mut inner);
        self.call(&mut inner, Device::on_new_generation);
    }

    /// Calls the device if it is a `D`. Device thread.
    pub fn with<D: Device, T>(&self, call: impl FnOnce(&mut D, &mut Io<'_>) -> T) -> Option<T> {
        let mut inner = self.lock();
        let (device, mut io) = self.parts(&mut inner);
        let device: &mut dyn Any = device;
        device.downcast_mut().map(|device| call(device, &mut io))
    }

    /// Counters of the device, and how often its guest has broken the protocol.
    pub fn metrics(&self) -> Vec<(&'static str, u64)> {
        let inner = self.lock();
        let mut metrics = inner.device.metrics();
        metrics.push(("faults", inner.faults));
        metrics
    }

    /// Whether a driver has taken it into use, and no fault has stopped it.
    pub fn is_driven(&self) -> bool {
        let inner = self.lock();
        inner.runs() && inner.status & NEEDS_RESET == 0
    }

    /// Whether a fault has stopped it, and its driver hasn't reset it since.
    pub fn is_faulted(&self) -> bool {
        self.lock().status & NEEDS_RESET != 0
    }

    /// What stopped the device last, for the event log; gives it once.
    pub fn take_fault(&self) -> Option<String> {
        self.lock().last_fault.take()
    }

    /// A device that panicked leaves no half-done registers behind: none spans a call.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parts<'a>(&'a self, inner: &'a mut Inner) -> (&'a mut dyn Device, Io<'a>) {
        let queues = if inner.started { &mut inner.queues } else { &mut inner.idle };
        let io = Io { memory: &self.memory, features: inner.accepted, queues, interrupt: &self.interrupt };
        (inner.device.as_mut(), io)
    }

    fn call(&self, inner: &mut Inner, call: impl FnOnce(&mut dyn Device, &mut Io<'_>) -> Result<(), Fault>) {
        let (device, mut io) = self.parts(inner);
        if let Err(fault) = call(device, &mut io) {
            self.stop(inner, &fault);
        }
    }

    fn ensure_started(&self, inner: &mut Inner) {
        if inner.runs() && !inner.started {
            inner.started = true;
            self.call(inner, Device::start);
        }
    }

    /// Nothing is served any more until the driver resets the device (2.1.1, 2.1.2).
    fn stop(&self, inner: &mut Inner, fault: &Fault) {
        inner.started = false;
        inner.device.reset();
        inner.faults += 1;
        inner.last_fault = Some(fault.to_string());
        inner.status |= NEEDS_RESET;
        if inner.status & DRIVER_OK != 0 {
            self.interrupt.config();
        }
    }

    fn acceptable(&self, features: u64) -> bool {
        features & !self.offered == 0 && features >> VIRTIO_F_VERSION_1 & 1 == 1
    }

    fn wake_start(&self) {
        // Only a full counter could make this fail, and then the event is pending already.
        let _ = self.start.write(1);
    }
}

impl Inner {
    /// Driver and device agree to work.
    fn runs(&self) -> bool {
        status::runs(self.status)
    }
}

fn event_index(features: u64) -> bool {
    features >> VIRTIO_RING_F_EVENT_IDX & 1 == 1
}
