//! How guests start and end.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use vmm::boot::LoadError;
use vmm::events::Ready;
use vmm::machine::{BootError, Exit, Host, Machine};
use vmm::memory::GuestRam;

use super::fixture::{GENERATION, Outcome, boot, elf, file, setup};
use super::guest;

guest!(
    hello,
    // PVH: EBX points at the start info, which begins with a magic number and lists the command line at 24.
    "cmp dword ptr [ebx], 0x336EC578"
    "jne 4f"
    "mov esi, [ebx + 24]"
    "mov dx, 0x3F8"
    "2: lodsb"
    "test al, al"
    "jz 3f"
    "out dx, al"
    "jmp 2b"
    "3: mov dx, 0x3F0"
    "mov al, 123"
    "out dx, al"
    "mov dx, 0x600"
    "mov al, 0x34"
    "out dx, al"
    "4: hlt"
    "jmp 4b"
);

guest!(acpi_reset, "mov dx, 0x602" "mov al, 1" "out dx, al" "2: jmp 2b");
guest!(keyboard_reset, "mov al, 0xFE" "out 0x64, al" "2: jmp 2b");
// An exception without any table of handlers.
guest!(triple_fault, "mov esp, 0x90000" "push 0" "push 0" "lidt [esp]" "ud2");

guest!(
    nobody_answers,
    "mov eax, [0xD0100000]"
    "cmp eax, 0xFFFFFFFF"
    "jne 2f"
    "mov dword ptr [0xD0100000], 1"
    "mov dx, 0x1234"
    "in eax, dx"
    "cmp eax, 0xFFFFFFFF"
    "jne 2f"
    "mov al, 'F'"
    "mov dx, 0x3F8"
    "out dx, al"
    "2: mov dx, 0x600"
    "mov al, 0x34"
    "out dx, al"
    "3: jmp 3b"
);

// Says that it runs, and does so for ever.
guest!(spin, "mov al, 'A'" "mov dx, 0x3F8" "out dx, al" "2: inc ecx" "jmp 2b");

// Prints without end.
guest!(flood, "mov al, 'x'" "mov dx, 0x3F8" "2: out dx, al" "jmp 2b");

#[test]
fn a_guest_ends_as_it_asks_to() {
    let check = |name: &str, code: &[u8], exit: Exit, output: &str| {
        assert_eq!(boot(code, 1, vec![]).run(), Outcome { exit, output: output.into() }, "{name}");
    };
    check("power off", hello(), Exit::PoweredOff, "panic=-1 pci=off console=ttyS0 a=b");
    check("ACPI reset", acpi_reset(), Exit::Reset, "");
    check("keyboard controller", keyboard_reset(), Exit::Reset, "");
    check("triple fault", triple_fault(), Exit::TripleFault, "");
    check("reads of nothing", nobody_answers(), Exit::PoweredOff, "F");
}

/// Notes when the guest has booted.
struct Clock(Option<u64>);

impl Host for Clock {
    fn on_event(&mut self, _: &mut Machine, _: u32, _: u32, _: Ready) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn on_booted(&mut self, _: &mut Machine, microseconds: u64) {
        self.0 = Some(microseconds);
    }
}

#[test]
fn the_boot_marker_tells_the_time_and_accesses_are_counted() {
    let mut guest = boot(hello(), 1, vec![]);
    let mut clock = Clock(None);
    guest.machine.resume();
    assert_eq!(guest.machine.run(&mut clock), Exit::PoweredOff);
    assert!(guest.machine.booted_us().is_some());
    // The machine may end before the host is told; if it was, then the same.
    assert!(clock.0.is_none() || clock.0 == guest.machine.booted_us());
    let metrics = guest.machine.metrics();
    let value = |name| metrics.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let printed = "panic=-1 pci=off console=ttyS0 a=b".len() as u64;
    assert_eq!(value("port_exits"), Some(printed + 2));
    assert_eq!(value("console_written_bytes"), Some(printed));

    let mut guest = boot(nobody_answers(), 1, vec![]);
    guest.serve(|_, _| ControlFlow::Continue(()));
    let metrics = guest.machine.metrics();
    let value = |name| metrics.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    assert_eq!(value("unanswered_mmio_accesses"), Some(2));
    assert_eq!(value("unanswered_port_accesses"), Some(1));
}

#[test]
fn a_spinning_guest_pauses_and_resumes() {
    let mut turns = 0;
    let outcome = boot(spin(), 1, vec![]).run_with(|machine, _| {
        for _ in 0..20 {
            machine.pause();
            assert!(!machine.is_running());
            machine.resume();
            turns += 1;
        }
        ControlFlow::Break(())
    });
    assert_eq!((outcome.exit, turns), (Exit::Stopped, 20));
}

#[test]
fn what_is_printed_beyond_the_limit_is_dropped_and_counted() {
    let (mut setup, console) = setup(1, GuestRam::create(32).expect("memory"), vec![]);
    setup.console_limit = vmm_control::Bucket { per_second: 0, burst: 10 };
    let machine = Machine::boot(setup, &elf(flood()), None, "", GENERATION).expect("it boots");
    let mut guest = super::fixture::Guest { machine, console };
    let (exit, output) =
        guest.serve(|_, output| if output.len() < 10 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) });
    assert_eq!((exit, output.as_str()), (Exit::Stopped, "xxxxxxxxxx"));
    let metrics = guest.machine.metrics();
    let value = |name| metrics.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let exits = value("port_exits").expect("it's counted");
    assert_eq!(value("console_dropped_bytes"), Some(exits - 10));
}

#[test]
fn each_vcpu_thread_shuts_itself_in_first() {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let (mut setup, console) = setup(3, GuestRam::create(32).expect("memory"), vec![]);
    setup.thread_start = Some(Arc::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        if counted.load(Ordering::SeqCst) < 3 { Ok(()) } else { Err(std::io::Error::other("no")) }
    }));
    let machine = Machine::boot(setup, &elf(spin()), None, "", GENERATION).expect("it boots");
    let outcome = super::fixture::Guest { machine, console }.run();
    assert!(matches!(outcome.exit, Exit::VcpuFailed(text) if text.contains("confined: no")));
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[test]
fn what_cannot_boot_says_why() {
    let check = |kernel: &[u8], initramfs: Option<&[u8]>, command_line: &str, expected: &str| {
        let (setup, _console) = setup(1, GuestRam::create(32).expect("memory"), vec![]);
        let initramfs = initramfs.map(file);
        let result = Machine::boot(setup, &file(kernel), initramfs.as_ref(), command_line, GENERATION);
        let error = result.err().expect("it can't boot").to_string();
        assert!(error.contains(expected), "{error}");
    };
    let kernel = {
        use std::io::{Read as _, Seek as _};
        let mut bytes = Vec::new();
        let mut kernel = elf(hello());
        kernel.rewind().expect("a file");
        kernel.read_to_end(&mut bytes).expect("a file");
        bytes
    };
    let patched = |at: usize, value: &[u8]| {
        let mut bytes = kernel.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    check(b"", None, "", "cannot read the kernel");
    check(&[0; 4096], None, "", "neither an ELF nor a bzImage");
    check(&kernel[..100], None, "", "cannot read the kernel");
    check(&patched(18, &[40]), None, "", "not one for 64-bit x86");
    check(&patched(54, &[57]), None, "", "unknown size");
    check(&patched(32, &u64::MAX.to_le_bytes()), None, "", "cannot read the kernel");
    // The part's physical address, its size in memory, and in the file; the notes' size; the note's type; the entry.
    check(&patched(64 + 24, &0xF_F000_u64.to_le_bytes()), None, "", "the kernel wants to lie at 0xff000");
    check(&patched(64 + 24, &(u64::MAX - 1).to_le_bytes()), None, "", "the kernel wants to lie at");
    check(&patched(64 + 40, &u64::MAX.to_le_bytes()), None, "", "the kernel wants to lie at");
    check(&patched(64 + 32, &u64::MAX.to_le_bytes()), None, "", "larger in the file");
    check(&patched(120 + 32, &u64::MAX.to_le_bytes()), None, "", "notes are too long");
    check(&patched(176 + 8, &[17]), None, "", "CONFIG_PVH=y");
    check(&patched(176 + 16, &u32::MAX.to_le_bytes()), None, "", "the kernel wants to lie at 0xffffffff");
    check(&kernel, Some(&vec![0; 32 << 20]), "", "give the machine more memory");
    check(&kernel, None, &"x".repeat(4070), "the limit is 4095");
    check(&kernel, None, "a\0b", "zero byte");

    let (mut none, _console) = setup(0, GuestRam::create(32).expect("memory"), vec![]);
    none.vcpus = 33;
    let result = Machine::boot(none, &elf(hello()), None, "", GENERATION);
    assert!(matches!(result, Err(BootError::Setup(_))));
    let small = GuestRam::create(1).expect("memory");
    let (small, _console) = setup(1, small, vec![]);
    let result = Machine::boot(small, &elf(hello()), None, "", GENERATION);
    assert!(matches!(result, Err(BootError::Load(LoadError::Place { .. }))));
}
