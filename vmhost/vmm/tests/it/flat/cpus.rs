//! More than one vCPU, and what they are told of themselves.

use vmm::machine::Exit;

use super::fixture::{Outcome, boot};
use super::guest;

// Copies real-mode code to 0x8000, starts all other vCPUs there by INIT and SIPI, and waits until three have counted
// themselves.
guest!(
    start_all,
    "jmp 9f"
    ".balign 8"
    ".long 5f - guest_start_all_start + 0x100000"
    "9: mov esi, [0x100008]"
    "mov edi, 0x8000"
    "mov ecx, 64"
    "rep movsb"
    "mov dword ptr [0x9000], 0"
    "mov dword ptr [0xFEE000F0], 0x1FF"
    // To all but this one: INIT, then SIPI with page 8.
    "mov dword ptr [0xFEE00300], 0xC4500"
    "mov dword ptr [0xFEE00300], 0xC4608"
    "2: cmp dword ptr [0x9000], 3"
    "jne 2b"
    // Its own APIC id by CPUID, and how many there are by leaf 0xB.
    "mov eax, 1"
    "cpuid"
    "shr ebx, 24"
    "lea eax, [ebx + '0']"
    "mov dx, 0x3F8"
    "out dx, al"
    "mov eax, 0xB"
    "mov ecx, 1"
    "cpuid"
    "lea eax, [ebx + '0']"
    "mov dx, 0x3F8"
    "out dx, al"
    "mov dx, 0x600"
    "mov al, 0x34"
    "out dx, al"
    "3: jmp 3b"
    ".code16"
    "5: lock inc dword ptr ds:[0x9000]"
    "6: hlt"
    "jmp 6b"
    ".code32"
);

#[test]
fn other_vcpus_start_when_the_guest_says_so() {
    assert_eq!(boot(start_all(), 4, vec![]).run(), Outcome { exit: Exit::PoweredOff, output: "04".into() });
}

#[test]
fn vcpus_that_never_started_pause_and_end() {
    let mut guest = boot(start_all(), 2, vec![]);
    guest.machine.resume();
    guest.machine.pause();
    guest.machine.save().expect("it is paused");
    guest.machine.resume();
    drop(guest);
}
