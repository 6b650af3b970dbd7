//! The ways for a guest to end, orderly or not.

use std::fs;

use crate::sys::{kernel, process};
use crate::{console, server};

/// How a guest ends, after the reply that announced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By the kernel's power-off, which ACPI carries out.
    PowerOff,
    /// By the kernel's restart, in the way that its `reboot=` says.
    Restart,
    /// The kernel loads an empty interrupt table and traps, so that the processor shuts down.
    TripleFault,
    /// The kernel panics.
    Panic,
    /// Every processor spins in user mode and nothing else runs, though interrupts are taken.
    Hang,
}

impl End {
    /// Makes it happen. Returns only if the kernel refused, which the console then tells.
    pub(crate) fn happen(self) {
        let error = match self {
            Self::PowerOff => kernel::power_off(),
            Self::Restart => kernel::restart(),
            // Only the kernel can load an interrupt table; this way of restarting is the one that does.
            Self::TripleFault => match fs::write("/sys/kernel/reboot/type", "triple") {
                Ok(()) => kernel::restart(),
                Err(error) => error,
            },
            Self::Panic => {
                // Without the trigger, the end of PID 1 does it.
                let _ = fs::write("/proc/sysrq-trigger", "c");
                std::process::exit(1)
            }
            Self::Hang => hang(),
        };
        console::say(&format!("{self:?}: error {error}"));
    }
}

fn hang() -> ! {
    // Otherwise the kernel keeps 5% for the rest, and a slow guest isn't a hanging one.
    let _ = fs::write("/proc/sys/kernel/sched_rt_runtime_us", "-1");
    for _ in 1..kernel::online_processors() {
        let _ = server::spawn("hang", || spin());
    }
    spin()
}

fn spin() -> ! {
    let _ = process::run_first();
    loop {
        std::hint::spin_loop();
    }
}
