//! Interrupts, and devices behind registers.

use std::io::Write as _;
use std::ops::ControlFlow;

use vmm::machine::Exit;
use vmm::state::StateError;
use vmm::virtio::{Device, Fault, Io, Kind};

use super::fixture::{Outcome, boot};
use super::guest;

// Unmasks the interrupt of ACPI's event device, says that it waits, and halts; then prints what the generation id
// has become, and halts for the next one.
guest!(
    generation,
    "jmp 9f"
    // At 0x100008: the handler's address; then the descriptors of two tables, and one of them.
    ".balign 8"
    ".long 5f - guest_generation_start + 0x100000, 0"
    ".word 23"
    ".long 0x100020"
    ".balign 8"
    ".word 0x1FF"
    ".long 0x2000"
    ".balign 8"
    // Code at 8 and once more at 0x10, which is what CS holds from the start.
    ".quad 0, 0x00CF9B000000FFFF, 0x00CF9B000000FFFF"
    "9: lgdt [0x100010]"
    "lidt [0x100018]"
    "mov esp, 0x90000"
    // Vector 0x30 of a table at 0x2000: an interrupt gate to the handler.
    "mov eax, [0x100008]"
    "mov word ptr [0x2180], ax"
    "mov word ptr [0x2182], 8"
    "mov word ptr [0x2184], 0x8E00"
    "shr eax, 16"
    "mov word ptr [0x2186], ax"
    // The local APIC on; the I/O APIC's pin 5: vector 0x30, edge, to APIC 0.
    "mov dword ptr [0xFEE000F0], 0x1FF"
    "mov dword ptr [0xFEC00000], 0x1B"
    "mov dword ptr [0xFEC00010], 0"
    "mov dword ptr [0xFEC00000], 0x1A"
    "mov dword ptr [0xFEC00010], 0x30"
    "mov dx, 0x3F8"
    "mov bl, 2"
    "2: mov al, 'W'"
    "out dx, al"
    "sti"
    "6: hlt"
    "jmp 6b"
    // From the handler, with interrupts off.
    "7: mov esi, 0xFF000"
    "mov ecx, 16"
    "3: lodsb"
    "out dx, al"
    "loop 3b"
    "dec bl"
    "jnz 2b"
    "mov dx, 0x600"
    "mov al, 0x34"
    "out dx, al"
    "4: hlt"
    "jmp 4b"
    "5: mov dword ptr [0xFEE000B0], 0"
    // KVM's emulator, which runs all of this on some hosts, has no IRET here.
    "add esp, 12"
    "jmp 7b"
);

#[test]
fn a_new_generation_interrupts_a_halted_guest() {
    let mut told = 0;
    let outcome = boot(generation(), 1, vec![]).run_with(|machine, output| {
        let (waits, ids) = (output.len() % 17, output.len() / 17);
        if waits == 1 && told == ids {
            told += 1;
            let id = if told == 1 { *b"ABCDEFGHIJKLMNOP" } else { *b"abcdefghijklmnop" };
            machine.pause();
            machine.new_generation(id).expect("there is memory for it");
            assert_eq!(machine.generation().expect("it was written"), id);
            machine.resume();
        }
        ControlFlow::Continue(())
    });
    let output = "WABCDEFGHIJKLMNOPWabcdefghijklmnop".into();
    assert_eq!(outcome, Outcome { exit: Exit::PoweredOff, output });
}

// Prints each byte of input, and ends after a zero.
guest!(
    echo,
    "mov dx, 0x3F8"
    "mov al, '>'"
    "out dx, al"
    "2: mov dx, 0x3FD"
    "in al, dx"
    "test al, 1"
    "jz 2b"
    "mov dx, 0x3F8"
    "in al, dx"
    "test al, al"
    "jz 3f"
    "out dx, al"
    "jmp 2b"
    "3: mov dx, 0x600"
    "mov al, 0x34"
    "out dx, al"
    "4: jmp 4b"
);

#[test]
fn input_reaches_the_guest_in_order_however_much_it_is() {
    let guest = boot(echo(), 1, vec![]);
    // Several times what the port holds at once.
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(10);
    let mut input = guest.console.input.try_clone().expect("a descriptor");
    input.write_all(text.as_bytes()).expect("a pipe holds it");
    input.write_all(&[0]).expect("a pipe holds it");
    assert_eq!(guest.run(), Outcome { exit: Exit::PoweredOff, output: format!(">{text}") });
}

/// A device that has only configuration space.
struct Plain;

impl Device for Plain {
    fn kind(&self) -> Kind {
        Kind::Entropy
    }

    fn features(&self) -> u64 {
        0
    }

    fn queue_sizes(&self) -> &[u16] {
        &[8]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        for (at, byte) in (offset..).zip(data) {
            *byte = b"config"[at as usize % 6];
        }
    }

    fn start(&mut self, _: &mut Io<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn on_queue(&mut self, _: usize, _: &mut Io<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn reset(&mut self) {}

    fn save(&self) -> Vec<u8> {
        vec![]
    }

    fn restore(&mut self, _: &[u8]) -> Result<(), StateError> {
        Ok(())
    }

    fn metrics(&self) -> Vec<(&'static str, u64)> {
        vec![]
    }
}

// Of the second device: the magic number, its number as a digit, and six bytes of configuration.
guest!(
    registers,
    "mov dx, 0x3F8"
    "mov eax, [0xD0001000]"
    "mov ecx, 4"
    "2: out dx, al"
    "shr eax, 8"
    "loop 2b"
    "mov eax, [0xD0001008]"
    "add al, '0'"
    "out dx, al"
    "mov esi, 0xD0001100"
    "mov ecx, 6"
    "3: mov al, [esi]"
    "inc esi"
    "out dx, al"
    "loop 3b"
    "mov dx, 0x600"
    "mov al, 0x34"
    "out dx, al"
    "4: jmp 4b"
);

#[test]
fn each_device_has_its_window() {
    let outcome = boot(registers(), 1, vec![Box::new(Plain), Box::new(Plain)]).run();
    assert_eq!(outcome, Outcome { exit: Exit::PoweredOff, output: "virt4config".into() });
}
