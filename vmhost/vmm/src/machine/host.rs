//! Who a machine's event loop asks beside its devices.

use std::ops::ControlFlow;

use super::Machine;
use crate::events::Ready;

/// The program around a machine: its control socket, its log.
pub trait Host {
    /// A descriptor that was registered with `Machine::poll(owner)` is ready. `Break` stops the machine.
    fn on_event(&mut self, machine: &mut Machine, owner: u32, source: u32, ready: Ready) -> ControlFlow<()>;

    /// The guest says that it has booted, so many microseconds after `Machine::boot` began.
    fn on_booted(&mut self, machine: &mut Machine, microseconds: u64) {
        let _ = (machine, microseconds);
    }

    /// The guest has broken the protocol of device `device`, which serves nothing until its driver resets it.
    fn on_fault(&mut self, device: usize, reason: String) {
        let _ = (device, reason);
    }
}

/// A host that waits for nothing: the machine runs until its guest ends it.
pub struct NoHost;

impl Host for NoHost {
    fn on_event(&mut self, _: &mut Machine, _: u32, _: u32, _: Ready) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
