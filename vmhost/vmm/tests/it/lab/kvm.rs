//! The lab itself: its `/dev/kvm` speaks the stable interface and runs guest code.

#![allow(unsafe_code, reason = "a guest's memory is given to KVM by its address")]

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::{Kvm, VcpuExit};
use vm_memory::{Bytes as _, GuestAddress, GuestMemoryBackend as _, GuestMemoryMmap};

/// The only version that there ever was since KVM became stable.
const API_VERSION: i32 = 12;
const MEMORY: usize = 0x1_0000;
const CODE: u64 = 0x1000;
const PORT: u16 = 0x10;

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn kvm_speaks_the_stable_interface() {
    assert_eq!(Kvm::new().expect("/dev/kvm opens").get_api_version(), API_VERSION);
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn a_guest_writes_to_a_port_and_halts() {
    // mov al, 42; out 0x10, al; hlt
    assert_eq!(exits_of(&[0xb0, 42, 0xe6, 0x10, 0xf4]), ["out 0x10 [42]", "halt"]);
}

/// Runs real-mode code until it halts.
fn exits_of(code: &[u8]) -> Vec<String> {
    let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), MEMORY)]).expect("64 KiB of memory");
    memory.write_slice(code, GuestAddress(CODE)).expect("the code fits");
    let vm = Kvm::new().and_then(|kvm| kvm.create_vm()).expect("KVM makes a machine");
    let region = kvm_userspace_memory_region {
        slot: 0,
        guest_phys_addr: 0,
        memory_size: MEMORY as u64,
        userspace_addr: memory.get_host_address(GuestAddress(0)).expect("memory starts at 0") as u64,
        flags: 0,
    };
    // SAFETY: the region is mapped and of that size, and `memory`, declared before the machine, outlives it.
    unsafe { vm.set_user_memory_region(region) }.expect("KVM takes the memory");
    let mut vcpu = vm.create_vcpu(0).expect("KVM makes a processor");
    let mut segments = vcpu.get_sregs().expect("segments can be read");
    segments.cs.base = 0;
    segments.cs.selector = 0;
    vcpu.set_sregs(&segments).expect("segments can be set");
    let mut registers = vcpu.get_regs().expect("registers can be read");
    registers.rip = CODE;
    registers.rflags = 2;
    vcpu.set_regs(&registers).expect("registers can be set");
    let mut exits = Vec::new();
    loop {
        match vcpu.run().expect("the guest runs") {
            VcpuExit::IoOut(port, data) => {
                assert_eq!(port, PORT);
                exits.push(format!("out {port:#x} {data:?}"));
            }
            VcpuExit::Hlt => {
                exits.push("halt".to_owned());
                return exits;
            }
            other => panic!("the guest ended its turn by {other:?}"),
        }
    }
}
