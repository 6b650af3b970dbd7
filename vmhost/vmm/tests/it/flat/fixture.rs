//! Boots a flat guest through `Machine::boot` and runs it until it ends.

use std::fs::File;
use std::io::{Read as _, Write as _, pipe};
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use kvm_ioctls::Kvm;
use vm_memory::{Bytes as _, GuestMemoryBackend as _, GuestMemoryRegion};
use vmm::events::{Interest, Ready};
use vmm::legacy::console::DEFAULT_LIMIT;
use vmm::machine::{Exit, Host, Machine, MachineState, Setup};
use vmm::memory::GuestRam;
use vmm::state;
use vmm::virtio::Device;
use vmm_control::CpuTemplate;
use vmm_sys_util::timerfd::TimerFd;

/// Where the guest's bytes lie.
pub const BASE: u64 = 0x10_0000;
/// The generation id that guests boot with.
pub const GENERATION: [u8; 16] = *b"0123456789abcdef";
/// Longer than any guest takes, also one of Linux in an emulated machine.
const DEADLINE: Duration = Duration::from_secs(300);
const MEMORY_MIB: u32 = 32;

const CONSOLE: u32 = 0;
const CLOCK: u32 = 1;

/// A minimal PVH kernel: one part to load, one note.
pub fn elf(code: &[u8]) -> File {
    let note_at = 64 + 2 * 56_u64;
    let code_at = 0x1000_u64;
    let mut bytes = b"\x7FELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    // Type, machine, version; entry, program headers, section headers; flags; sizes and counts.
    for (value, size) in
        [(2, 2), (62, 2), (1, 4), (BASE, 8), (64, 8), (0, 8), (0, 4), (64, 2), (56, 2), (2, 2), (0, 2), (0, 2), (0, 2)]
    {
        bytes.extend(&u64::to_le_bytes(value)[..size]);
    }
    let length = code.len() as u64;
    for (kind, offset, address, length) in [(1_u32, code_at, BASE, length), (4, note_at, 0, 20)] {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(7_u32.to_le_bytes());
        for value in [offset, address, address, length, length, 4] {
            bytes.extend(value.to_le_bytes());
        }
    }
    for word in [4, 4, 18, u32::from_le_bytes(*b"Xen\0"), BASE as u32] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.resize(0x1000, 0);
    bytes.extend(code);
    file(&bytes)
}

/// A file with these bytes and no name.
pub fn file(bytes: &[u8]) -> File {
    let path = std::env::temp_dir().join(format!("vmm-flat-{}-{:?}", std::process::id(), std::thread::current().id()));
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(&path).expect("a file");
    std::fs::remove_file(&path).expect("it was just made");
    file.write_all(bytes).expect("room for it");
    file
}

/// A machine and the host's ends of its console.
pub struct Guest {
    pub machine: Machine,
    pub console: Console,
}

/// The host's ends of a console.
pub struct Console {
    output: File,
    /// Input for the guest.
    pub input: File,
}

/// How a guest ended, and what it has printed.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub exit: Exit,
    pub output: String,
}

/// The parts of a machine.
pub fn setup(vcpus: u8, ram: GuestRam, devices: Vec<Box<dyn Device>>) -> (Setup, Console) {
    let (output, guest_output) = pipe().expect("a pipe");
    let (guest_input, input) = pipe().expect("a pipe");
    let file = |end: OwnedFd| File::from(end);
    let setup = Setup {
        kvm: Kvm::new().expect("/dev/kvm"),
        vcpus,
        cpu: CpuTemplate::Host,
        ram,
        devices,
        console: Some(file(guest_output.into())),
        console_input: Some(file(guest_input.into())),
        console_limit: DEFAULT_LIMIT,
        thread_start: None,
    };
    (setup, Console { output: file(output.into()), input: file(input.into()) })
}

/// Boots `code`; it is paused.
pub fn boot(code: &[u8], vcpus: u8, devices: Vec<Box<dyn Device>>) -> Guest {
    let (setup, console) = setup(vcpus, GuestRam::create(MEMORY_MIB).expect("memory"), devices);
    let machine = Machine::boot(setup, &elf(code), None, "a=b", GENERATION).expect("KVM runs flat guests here");
    Guest { machine, console }
}

impl Guest {
    /// Runs it to its end.
    pub fn run(self) -> Outcome {
        self.run_with(|_, _| ControlFlow::Continue(()))
    }

    /// Runs it to its end; each time that it has printed something or booted, `step` may do something with the machine.
    pub fn run_with(mut self, step: impl FnMut(&mut Machine, &str) -> ControlFlow<()>) -> Outcome {
        let (exit, output) = self.serve(step);
        Outcome { exit, output: output + &self.rest() }
    }

    /// What a machine that has ended has printed since it was last looked at.
    pub fn rest(mut self) -> String {
        // It holds the pipe's other end.
        drop(self.machine);
        let mut rest = String::new();
        self.console.output.read_to_string(&mut rest).expect("guests print ASCII");
        rest
    }

    /// The same, keeping the machine.
    pub fn serve(&mut self, step: impl FnMut(&mut Machine, &str) -> ControlFlow<()>) -> (Exit, String) {
        let mut clock = TimerFd::new().expect("a timer");
        clock.reset(DEADLINE, None).expect("a timer");
        let output = self.console.output.as_raw_fd();
        self.machine.poll(CONSOLE).add(output, 0, Interest::Read).expect("a pipe can be waited for");
        self.machine.poll(CLOCK).add(clock.as_raw_fd(), 0, Interest::Read).expect("a timer can be waited for");
        let mut script = Script { console: &mut self.console.output, output: String::new(), step };
        self.machine.resume();
        let exit = self.machine.run(&mut script);
        let printed = script.output;
        self.machine.poll(CONSOLE).remove(output).expect("it was added");
        self.machine.poll(CLOCK).remove(clock.as_raw_fd()).expect("it was added");
        (exit, printed)
    }
}

/// A copy of a paused machine's memory.
pub fn copy(machine: &Machine) -> GuestRam {
    let from = machine.ram().memory();
    let size: u64 = from.iter().map(GuestMemoryRegion::len).sum();
    let copy = GuestRam::create(u32::try_from(size >> 20).expect("small")).expect("memory");
    for region in from.iter() {
        let mut bytes = vec![0; region.len() as usize];
        from.read_slice(&mut bytes, region.start_addr()).expect("inside memory");
        copy.memory().write_slice(&bytes, region.start_addr()).expect("the same layout");
    }
    copy
}

/// Through the bytes that a file would hold.
pub fn through_bytes(state: &MachineState) -> MachineState {
    state::decode("a machine", &state::encode(state)).expect("what was just encoded")
}

struct Script<'a, S> {
    console: &'a mut File,
    output: String,
    step: S,
}

impl<S: FnMut(&mut Machine, &str) -> ControlFlow<()>> Host for Script<'_, S> {
    fn on_event(&mut self, machine: &mut Machine, owner: u32, _: u32, _: Ready) -> ControlFlow<()> {
        assert_ne!(owner, CLOCK, "the guest is still running at its deadline; it has printed {:?}", self.output);
        let mut bytes = [0; 4096];
        let count = self.console.read(&mut bytes).expect("the pipe is open");
        self.output.push_str(std::str::from_utf8(&bytes[..count]).expect("guests print ASCII"));
        (self.step)(machine, &self.output)
    }

    fn on_booted(&mut self, machine: &mut Machine, _: u64) {
        // A step that wants to end the machine gets another chance when something is printed.
        let _ = (self.step)(machine, &self.output);
    }
}
