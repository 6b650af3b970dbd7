//! A vCPU's thread.
//!
//! In:  commands to run, to pause, to end.
//! Out: accesses on the buses; the reason to end the machine.
//!
//! A vCPU looks at commands only when `KVM_RUN` returns `EINTR`, which it also
//! does after it has completed the last access: a paused vCPU has none open.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::thread::{self, JoinHandle};

use kvm_ioctls::{VcpuExit, VcpuFd};
use vmm_sys_util::signal::{Killable as _, SIGRTMIN, register_signal_handler};

use super::exit::{Exit, ExitRequest};
use super::kvm_stats::KvmStats;
use super::run_page::{self, RunPage};
use crate::bus::Bus;

/// Called once in each vCPU's thread before it enters the guest: where the thread shuts itself in.
pub type ThreadStart = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// What all vCPUs share.
pub struct Shared {
    /// Memory-mapped registers.
    pub mmio: Bus,
    /// I/O ports.
    pub ports: Bus,
    /// Where to say that the machine ends.
    pub exits: Arc<ExitRequest>,
    /// What a thread does first.
    pub thread_start: Option<ThreadStart>,
    /// How often a guest was left for an access.
    pub counts: Counts,
}

/// How often guests were left, by what for.
#[derive(Default)]
pub struct Counts {
    /// Reads and writes of memory-mapped registers.
    pub mmio: AtomicU64,
    /// Reads and writes of I/O ports.
    pub ports: AtomicU64,
}

/// One vCPU and its thread, which starts paused.
pub struct Vcpu {
    fd: Arc<Mutex<VcpuFd>>,
    control: Arc<Control>,
    thread: Option<JoinHandle<()>>,
    /// Older kernels have none.
    stats: Option<KvmStats>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Pause,
    Run,
    End,
}

struct Phase {
    command: Command,
    running: bool,
}

struct Control {
    phase: Mutex<Phase>,
    changed: Condvar,
    page: RunPage,
}

impl Vcpu {
    /// Starts the thread of vCPU `id`.
    ///
    /// # Errors
    /// When the host has no thread left, or no signal.
    pub fn new(id: u8, fd: VcpuFd, shared: Arc<Shared>) -> io::Result<Self> {
        install_signal()?;
        let control = Arc::new(Control {
            phase: Mutex::new(Phase { command: Command::Pause, running: false }),
            changed: Condvar::new(),
            page: RunPage::new(&fd)?,
        });
        let stats = KvmStats::of(&fd).ok();
        let fd = Arc::new(Mutex::new(fd));
        let context = Context { id, fd: Arc::clone(&fd), control: Arc::clone(&control), shared };
        let thread = thread::Builder::new().name(format!("vcpu{id}")).spawn(move || context.main())?;
        Ok(Self { fd, control, thread: Some(thread), stats })
    }

    /// What KVM counts of it; it may run.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.stats.as_ref().map(KvmStats::read).unwrap_or_default()
    }

    /// Lets it run.
    pub fn resume(&self) {
        let mut phase = self.control.lock();
        phase.command = Command::Run;
        phase.running = true;
        self.control.changed.notify_all();
    }

    /// Asks it to leave the guest; `wait_paused` says when it has.
    pub fn pause(&self) {
        self.stop(Command::Pause);
    }

    /// Waits until it has left the guest and completed its last access.
    pub fn wait_paused(&self) {
        let mut phase = self.control.lock();
        while phase.running {
            phase = self.control.changed.wait(phase).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The vCPU, which must be paused: else this waits until it is.
    pub fn fd(&self) -> MutexGuard<'_, VcpuFd> {
        self.fd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self, command: Command) {
        let mut phase = self.control.lock();
        phase.command = command;
        self.control.changed.notify_all();
        if phase.running {
            // The flag for a thread that is about to enter the guest, the signal for one that is in it.
            self.control.page.set_immediate_exit(true);
            if let Some(thread) = &self.thread {
                // It fails for a thread that has ended only, which runs no guest.
                let _ = thread.kill(SIGRTMIN());
            }
        }
    }
}

impl Drop for Vcpu {
    fn drop(&mut self) {
        self.stop(Command::End);
        if let Some(thread) = self.thread.take() {
            // A panic was printed by the thread itself.
            let _ = thread.join();
        }
    }
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the command to run; false is the command to end.
    fn wait_for_run(&self) -> bool {
        let mut phase = self.lock();
        loop {
            match phase.command {
                Command::Run => return true,
                Command::End => return false,
                Command::Pause => {
                    // It was told to run and to pause again before it noticed.
                    self.rest(&mut phase);
                    phase = self.changed.wait(phase).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Whether to go on running; if not, the thread counts as paused from here.
    fn goes_on(&self) -> bool {
        let mut phase = self.lock();
        if phase.command == Command::Run {
            return true;
        }
        self.rest(&mut phase);
        false
    }

    /// The thread runs no more until it is told to.
    fn give_up(&self) {
        let mut phase = self.lock();
        if phase.command == Command::Run {
            phase.command = Command::Pause;
        }
        self.rest(&mut phase);
    }

    fn rest(&self, phase: &mut Phase) {
        self.page.set_immediate_exit(false);
        if phase.running {
            phase.running = false;
            self.changed.notify_all();
        }
    }
}

struct Context {
    id: u8,
    fd: Arc<Mutex<VcpuFd>>,
    control: Arc<Control>,
    shared: Arc<Shared>,
}

impl Context {
    fn main(self) {
        let mut start = self.shared.thread_start.clone();
        while self.control.wait_for_run() {
            if let Some(Err(error)) = start.take().map(|start| start()) {
                self.end(Exit::VcpuFailed(format!("vCPU {}: its thread can't be confined: {error}", self.id)));
                continue;
            }
            // The lock is held all the time that the guest runs.
            let exit = self.run(&mut self.fd.lock().unwrap_or_else(PoisonError::into_inner));
            if let Some(exit) = exit {
                self.end(exit);
            }
        }
    }

    fn end(&self, exit: Exit) {
        self.control.give_up();
        self.shared.exits.request(exit);
    }

    /// Runs the guest until it is to pause (nothing), or the machine ends.
    fn run(&self, vcpu: &mut VcpuFd) -> Option<Exit> {
        loop {
            let shared = &*self.shared;
            match vcpu.run() {
                Ok(VcpuExit::MmioRead(address, data)) => {
                    shared.counts.mmio.fetch_add(1, Ordering::Relaxed);
                    shared.mmio.read(address, data);
                }
                Ok(VcpuExit::MmioWrite(address, data)) => {
                    shared.counts.mmio.fetch_add(1, Ordering::Relaxed);
                    shared.mmio.write(address, data);
                }
                Ok(VcpuExit::IoIn(port, data)) => {
                    shared.counts.ports.fetch_add(1, Ordering::Relaxed);
                    shared.ports.read(u64::from(port), data);
                }
                Ok(VcpuExit::IoOut(port, data)) => {
                    shared.counts.ports.fetch_add(1, Ordering::Relaxed);
                    shared.ports.write(u64::from(port), data);
                }
                Ok(VcpuExit::Shutdown) => return Some(Exit::TripleFault),
                Ok(VcpuExit::Intr | VcpuExit::IrqWindowOpen) => {}
                Ok(VcpuExit::InternalError) => {
                    let (suberror, data) = run_page::internal_error(vcpu);
                    return Some(self.failed(vcpu, &format!("KVM internal error {suberror}, data {data:x?}")));
                }
                Ok(VcpuExit::FailEntry(reason, cpu)) => {
                    let text = format!("the guest can't be entered, hardware reason {reason:#x} on CPU {cpu}");
                    return Some(self.failed(vcpu, &text));
                }
                Ok(other) => {
                    let text = format!("unexpected exit {other:?}");
                    return Some(self.failed(vcpu, &text));
                }
                // EAGAIN: a vCPU that waited for INIT and SIPI has got one.
                Err(error) if error.errno() == libc::EINTR || error.errno() == libc::EAGAIN => {
                    if !self.control.goes_on() {
                        return None;
                    }
                }
                Err(error) => return Some(self.failed(vcpu, &format!("KVM_RUN: {error}"))),
            }
        }
    }

    fn failed(&self, vcpu: &VcpuFd, text: &str) -> Exit {
        let registers = match (vcpu.get_regs(), vcpu.get_sregs()) {
            (Ok(regs), Ok(sregs)) => format!(
                "rip {:#x} rsp {:#x} rflags {:#x} cs {:#x} cr0 {:#x} cr2 {:#x} cr3 {:#x} cr4 {:#x} efer {:#x}",
                regs.rip,
                regs.rsp,
                regs.rflags,
                sregs.cs.selector,
                sregs.cr0,
                sregs.cr2,
                sregs.cr3,
                sregs.cr4,
                sregs.efer
            ),
            _ => "registers can't be read".into(),
        };
        Exit::VcpuFailed(format!("vCPU {}: {text}; {registers}", self.id))
    }
}

/// The signal does nothing but end `KVM_RUN`.
fn install_signal() -> io::Result<()> {
    static INSTALLED: Once = Once::new();
    let mut result = Ok(());
    INSTALLED.call_once(|| result = register_signal_handler(SIGRTMIN(), nothing).map_err(io::Error::from));
    result
}

extern "C" fn nothing(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}
