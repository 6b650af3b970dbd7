//! Limits of a control group (version 2): what the whole process may use, the guest's memory included.

use std::fs;
use std::path::PathBuf;

use super::{JailError, Step as _};

/// A control group and what it allows; absent limits are left as they are.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The group's directory, made if missing; its parent must have the controllers enabled.
    pub group: PathBuf,
    /// Most memory, in bytes.
    pub memory_max: Option<u64>,
    /// Most CPU time, in thousandths of one CPU.
    pub cpu_max_permille: Option<u32>,
    /// Most threads.
    pub threads_max: Option<u32>,
}

/// The interval that CPU time is counted in, in microseconds.
const PERIOD_US: u32 = 100_000;

impl Limits {
    /// Sets the limits, then joins.
    pub(super) fn join(&self) -> Result<(), JailError> {
        fs::create_dir_all(&self.group).step("make the control group")?;
        if let Some(bytes) = self.memory_max {
            self.set("memory.max", &bytes.to_string())?;
            // Swapping a guest out would only hide that it has too little.
            let _ = fs::write(self.group.join("memory.swap.max"), "0");
        }
        if let Some(permille) = self.cpu_max_permille {
            let quota = u64::from(permille) * u64::from(PERIOD_US) / 1000;
            self.set("cpu.max", &format!("{quota} {PERIOD_US}"))?;
        }
        if let Some(threads) = self.threads_max {
            self.set("pids.max", &threads.to_string())?;
        }
        self.set("cgroup.procs", "0")
    }

    fn set(&self, file: &str, value: &str) -> Result<(), JailError> {
        fs::write(self.group.join(file), value).step("set a limit of the control group")
    }
}
