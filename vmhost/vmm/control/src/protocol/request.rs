//! What may be asked of a VM, and when.

use serde::{Deserialize, Serialize};

use super::{Code, ControlError, State};
use crate::RateLimit;

/// Everything that may be asked of a VM.
///
/// States: `Created` –start→ `Running` ⇄ pause/resume `Paused`; stop and the
/// guest's own end lead to `Stopping` from any of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// What the VM is and does. Always legal. Answer: `Info`.
    Info,
    /// Lets vCPUs run for the first time. Legal in `Created`. Answer: `Unit`.
    Start,
    /// Stops all vCPUs. Legal in `Running` and `Paused` (nothing changes). Answer: `Unit`, once none runs.
    Pause,
    /// Lets vCPUs go on. Legal in `Paused` and `Running` (nothing changes). Answer: `Unit`.
    Resume,
    /// Writes a snapshot into a directory. Legal in `Running` and `Paused`.
    /// Descriptors: the directory, then those of `overlays` in order.
    /// Answer: `Snapshot`, when it is complete on disk; the guest may run long before.
    Snapshot {
        /// All memory, or what changed.
        kind: SnapshotKind,
        /// Whether the guest runs on as soon as it may; else the VM stays paused.
        resume: bool,
        /// One for each writable disk: takes its writes from now on.
        #[serde(default)]
        overlays: Vec<NewOverlay>,
    },
    /// Freezes memory and disks for children and lets the guest go on. Legal in `Running` and `Paused`.
    /// Descriptors: those of `overlays` in order. Answer: `Cloned`.
    Clone {
        /// One for each writable disk: takes its writes from now on.
        #[serde(default)]
        overlays: Vec<NewOverlay>,
    },
    /// Asks the guest to give up so much memory. Legal in `Running` and `Paused`. Answer: `Unit`; giving takes time.
    Balloon {
        /// What it shall give up in all, in MiB.
        target_mib: u32,
    },
    /// What the guest says of its memory. Legal in `Running`. Answer: `Balloon`.
    BalloonStats,
    /// A disk's file has another size now; the guest is told. Legal in `Running` and `Paused`. Answer: `Unit`.
    Resize {
        /// Which disk.
        disk: String,
    },
    /// Other limits from now on. Legal before `Stopping`. Answer: `Unit`.
    SetRate {
        /// Of what.
        target: RateTarget,
        /// Absent parts are without limit.
        rate: RateLimit,
    },
    /// Counters and latencies. Always legal. Answer: `Stats`.
    Stats,
    /// Gives the guest a new generation id, as after a restore: it reseeds and forgets connections.
    /// Legal in `Paused`. Answer: `Generation`.
    Generation,
    /// Ends the VM. Always legal. Answer: `Unit`, when it is on its way.
    Stop {
        /// Without waiting until disks have what the guest has written. The guest isn't asked either way.
        force: bool,
    },
    /// Waits for the end. Always legal. Answer: `Ended`. Answered by the server itself.
    Wait,
    /// Events from now on, on this connection. Always legal. Answer: `Unit`, then events. Answered by the server itself.
    Events {
        /// Sends those that happened before, too, as far as they are kept.
        #[serde(default)]
        replay: bool,
    },
}

/// How much memory a snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotKind {
    /// All of it.
    Full,
    /// Pages written since another one, which stays necessary.
    Dirty {
        /// That one's id.
        parent: String,
    },
}

/// A fresh overlay that comes as a descriptor: an empty file, opened for reading and writing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOverlay {
    /// The disk whose writes it takes.
    pub disk: String,
    /// Where it lies on the host, for whoever reads the configuration later; never opened by the VM.
    pub path: std::path::PathBuf,
}

/// What a rate limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateTarget {
    /// Reads and writes of a disk.
    Disk(String),
    /// What the guest sends on a network.
    Send(String),
    /// What the guest receives on a network.
    Receive(String),
}

impl Request {
    /// Its name in messages and on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Snapshot { .. } => "snapshot",
            Self::Clone { .. } => "clone",
            Self::Balloon { .. } => "balloon",
            Self::BalloonStats => "balloon-stats",
            Self::Resize { .. } => "resize",
            Self::SetRate { .. } => "set-rate",
            Self::Stats => "stats",
            Self::Generation => "generation",
            Self::Stop { .. } => "stop",
            Self::Wait => "wait",
            Self::Events { .. } => "events",
        }
    }

    /// In which states it may be asked.
    pub fn legal_in(&self) -> &'static [State] {
        use State::{Created, Paused, Running, Stopping};
        match self {
            Self::Info | Self::Stats | Self::Stop { .. } | Self::Wait | Self::Events { .. } => {
                &[Created, Running, Paused, Stopping]
            }
            Self::Start => &[Created],
            Self::Pause
            | Self::Resume
            | Self::Snapshot { .. }
            | Self::Clone { .. }
            | Self::Balloon { .. }
            | Self::Resize { .. } => &[Running, Paused],
            Self::BalloonStats => &[Running],
            Self::SetRate { .. } => &[Created, Running, Paused],
            Self::Generation => &[Paused],
        }
    }

    /// How many descriptors must come with it.
    pub fn descriptors(&self) -> usize {
        match self {
            Self::Snapshot { overlays, .. } => 1 + overlays.len(),
            Self::Clone { overlays } => overlays.len(),
            _ => 0,
        }
    }

    /// Whether it may be asked now, with so many descriptors.
    ///
    /// # Errors
    /// Which state or which descriptors it needs.
    pub fn check(&self, state: State, descriptors: usize) -> Result<(), ControlError> {
        let legal = self.legal_in();
        if !legal.contains(&state) {
            let states: Vec<&str> = legal.iter().map(|state| state.name()).collect();
            let message =
                format!("`{}` needs a VM that is {}; this one is {}", self.name(), states.join(" or "), state.name());
            let error = ControlError::new(Code::WrongState, message);
            return Err(match (state, legal) {
                (State::Created, _) => error.remedy("start it first"),
                (State::Running, [State::Paused]) => error.remedy("pause it first"),
                (State::Paused, [State::Running]) => error.remedy("resume it first"),
                _ => error,
            });
        }
        if self.descriptors() != descriptors {
            let message =
                format!("`{}` needs {} descriptors, {descriptors} came with it", self.name(), self.descriptors());
            return Err(ControlError::new(Code::Descriptors, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(request: &Request, state: State, descriptors: usize, expected: &str) {
        let found = request.check(state, descriptors).map_or_else(|error| error.to_string(), |()| "fine".into());
        assert_eq!(found, expected, "{request:?} in {state:?}");
    }

    #[test]
    fn states_and_descriptors_decide() {
        check(&Request::Start, State::Created, 0, "fine");
        check(&Request::Start, State::Running, 0, "`start` needs a VM that is created; this one is running");
        check(
            &Request::Pause,
            State::Created,
            0,
            "`pause` needs a VM that is running or paused; this one is created (remedy: start it first)",
        );
        check(
            &Request::Generation,
            State::Running,
            0,
            "`generation` needs a VM that is paused; this one is running (remedy: pause it first)",
        );
        check(&Request::Stop { force: false }, State::Stopping, 0, "fine");
        let snapshot = Request::Snapshot { kind: SnapshotKind::Full, resume: true, overlays: vec![] };
        check(&snapshot, State::Running, 1, "fine");
        check(&snapshot, State::Running, 0, "`snapshot` needs 1 descriptors, 0 came with it");
        check(&Request::Info, State::Running, 2, "`info` needs 0 descriptors, 2 came with it");
    }
}
