//! What each request of the control socket does.

use std::os::fd::OwnedFd;

use vmm_control::{
    BalloonStats, Code, ControlError, EventKind, GenerationId, RateLimit, RateTarget, Request, Response, State,
};

use super::operator::Operator;
use crate::control::{Answer, Operations};
use crate::machine::Machine;
use crate::virtio::balloon::Balloon;
use crate::virtio::block::Block;
use crate::virtio::net::Net;

/// Where requests are dealt with, on the device thread.
pub struct Desk<'a> {
    /// The machine.
    pub machine: &'a mut Machine,
    /// All else.
    pub operator: &'a mut Operator,
    /// Set when the VM shall end.
    pub stop: &'a mut Option<Stop>,
}

/// How a VM shall end. The guest isn't asked either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Once disks have what the guest has written.
    Orderly,
    /// Without waiting for them.
    AtOnce,
}

impl Operations for Desk<'_> {
    fn handle(&mut self, request: Request, descriptors: Vec<OwnedFd>, answer: Answer) {
        if let Err(error) = request.check(self.operator.state, descriptors.len()) {
            return answer.send(Err(error));
        }
        match request {
            Request::Snapshot { kind, resume, overlays } => {
                self.snapshot(&kind, resume, &overlays, descriptors, answer);
            }
            Request::Clone { overlays } => self.clone_vm(&overlays, descriptors, answer),
            request => answer.send(self.simple(request)),
        }
    }
}

impl Desk<'_> {
    fn simple(&mut self, request: Request) -> Result<Response, ControlError> {
        match request {
            Request::Info => return Ok(Response::Info(Box::new(self.operator.info(self.machine)))),
            Request::Stats => return Ok(Response::Stats(Box::new(self.operator.stats(self.machine)))),
            Request::Start | Request::Resume => self.operator.resume(self.machine),
            Request::Pause => self.operator.pause(self.machine),
            Request::Balloon { target_mib } => self.balloon(|balloon, io| balloon.set_target_mib(io, target_mib))?,
            Request::BalloonStats => return self.balloon_stats().map(Response::Balloon),
            Request::Resize { disk } => self.resize(&disk)?,
            Request::SetRate { target, rate } => self.set_rate(&target, rate)?,
            Request::Generation => return self.generation().map(Response::Generation),
            Request::Stop { force } => {
                // There is no button that a guest could be asked by: whoever wants its programs to end
                // cleanly asks the guest's own agent first.
                self.operator.state = State::Stopping;
                *self.stop = Some(if force { Stop::AtOnce } else { Stop::Orderly });
            }
            Request::Snapshot { .. } | Request::Clone { .. } | Request::Wait | Request::Events { .. } => {
                return Err(ControlError::new(Code::Internal, "the request was dealt with elsewhere"));
            }
        }
        Ok(Response::Unit)
    }

    fn device(&self, name: &str) -> Result<usize, ControlError> {
        let missing = || ControlError::new(Code::NotFound, format!("this VM has no device `{name}`"));
        self.operator.names.iter().position(|known| known == name).ok_or_else(missing)
    }

    /// Calls a device by its name, if it is a `D`.
    pub(super) fn with<D: crate::virtio::Device, T>(
        &self,
        name: &str,
        call: impl FnOnce(&mut D, &mut crate::virtio::Io<'_>) -> T,
    ) -> Result<T, ControlError> {
        let index = self.device(name)?;
        let result = self.machine.device(index).and_then(|device| device.with(call));
        result.ok_or_else(|| ControlError::new(Code::Internal, format!("`{name}` is another kind of device")))
    }

    fn balloon<T>(&self, call: impl FnOnce(&mut Balloon, &mut crate::virtio::Io<'_>) -> T) -> Result<T, ControlError> {
        if self.operator.config.balloon.is_none() {
            return Err(ControlError::new(Code::Unsupported, "this VM was configured without a balloon"));
        }
        self.with("balloon", call)
    }

    fn balloon_stats(&self) -> Result<BalloonStats, ControlError> {
        self.balloon(|balloon, io| {
            // What is known now; news come with the next call.
            let _ = balloon.request_stats(io);
            let known = balloon.stats();
            let get = |name: &str| known.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            let reported = crate::virtio::Device::metrics(balloon);
            BalloonStats {
                target_mib: balloon.target_mib(),
                actual_mib: balloon.actual_mib(),
                reported_bytes: reported.iter().find(|(name, _)| *name == "reported_bytes").map_or(0, |(_, n)| *n),
                free: get("free_bytes"),
                total: get("total_bytes"),
                available: get("available_bytes"),
                disk_caches: get("disk_caches_bytes"),
                swap_in: get("swap_in_bytes"),
                swap_out: get("swap_out_bytes"),
                major_faults: get("major_faults"),
                minor_faults: get("minor_faults"),
            }
        })
    }

    fn resize(&self, disk: &str) -> Result<(), ControlError> {
        let resized = self.with(&format!("block:{disk}"), |block: &mut Block, io| block.resize(io))?;
        resized.map_err(|error| ControlError::host("the disk's new size", &error))
    }

    fn set_rate(&mut self, target: &RateTarget, rate: RateLimit) -> Result<(), ControlError> {
        match target {
            RateTarget::Disk(id) => {
                self.with(&format!("block:{id}"), |block: &mut Block, _| block.set_rate(rate))?;
                self.operator.config.disks.iter_mut().filter(|disk| disk.id == *id).for_each(|disk| disk.rate = rate);
            }
            RateTarget::Send(id) | RateTarget::Receive(id) => {
                let networks = &mut self.operator.config.networks;
                let unknown = || ControlError::new(Code::NotFound, format!("this VM has no network `{id}`"));
                let network = networks.iter_mut().find(|network| network.id == *id).ok_or_else(unknown)?;
                match target {
                    RateTarget::Send(_) => network.send_rate = rate,
                    _ => network.receive_rate = rate,
                }
                let (send, receive) = (network.send_rate, network.receive_rate);
                self.with(&format!("net:{id}"), |net: &mut Net, _| net.set_rates(send, receive))?;
            }
        }
        Ok(())
    }

    fn generation(&mut self) -> Result<GenerationId, ControlError> {
        let id = super::random().map_err(|error| ControlError::host("a new generation id", &error))?;
        self.machine.new_generation(id).map_err(|error| ControlError::host("the guest's generation id", &error))?;
        Ok(self.operator.info(self.machine).generation)
    }

    pub(super) fn tell(&self, event: EventKind) {
        self.operator.log.record(event);
    }
}
