#![allow(unsafe_code, reason = "KVM is told addresses of memory")]
//! Guest memory under a running guest: its slots stay while what lies below them is exchanged.

use kvm_bindings::{KVM_MEM_LOG_DIRTY_PAGES, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use vm_memory::{Bytes as _, GuestAddress};
use vmm::memory::{DirtyPages, GuestRam};

const CODE: GuestAddress = GuestAddress(0x1000);
const COUNTER: GuestAddress = GuestAddress(0x2000);

/// A guest that counts in memory, and says so at a port after each step.
struct Counting {
    vm: VmFd,
    vcpu: VcpuFd,
    ram: GuestRam,
}

impl Counting {
    fn new(ram: GuestRam) -> Self {
        let kvm = Kvm::new().expect("/dev/kvm");
        let vm = kvm.create_vm().expect("a VM");
        for (number, slot) in (0..).zip(ram.slots()) {
            let region = kvm_userspace_memory_region {
                slot: number,
                guest_phys_addr: slot.guest,
                memory_size: slot.length,
                userspace_addr: slot.host,
                flags: KVM_MEM_LOG_DIRTY_PAGES,
            };
            // SAFETY: the slot is a mapping that lives as long as `ram`, which is dropped after the VM.
            unsafe { vm.set_user_memory_region(region) }.expect("a slot");
        }
        let vcpu = vm.create_vcpu(0).expect("a vCPU");
        let mut special = vcpu.get_sregs().expect("registers");
        (special.cs.base, special.cs.selector) = (0, 0);
        vcpu.set_sregs(&special).expect("registers");
        let mut registers = vcpu.get_regs().expect("registers");
        (registers.rip, registers.rflags) = (CODE.0, 2);
        vcpu.set_regs(&registers).expect("registers");
        Self { vm, vcpu, ram }
    }

    fn step(&mut self, count: u32) {
        for _ in 0..count {
            match self.vcpu.run().expect("it runs") {
                VcpuExit::IoOut(0x10, _) => {}
                exit => panic!("{exit:?}"),
            }
        }
    }

    fn counter(&self) -> u16 {
        counter(&self.ram)
    }

    fn dirty(&self) -> DirtyPages {
        let mut dirty = self.ram.take_device_dirty();
        for (number, slot) in self.ram.slots().iter().enumerate() {
            let length = usize::try_from(slot.length).expect("64 bits");
            dirty.merge(number, &self.vm.get_dirty_log(u32::try_from(number).expect("few"), length).expect("a log"));
        }
        dirty
    }
}

fn counter(ram: &GuestRam) -> u16 {
    ram.memory().read_obj(COUNTER).expect("in memory")
}

#[test]
fn a_guest_runs_on_over_a_freeze_and_the_image_keeps_the_old_value() {
    let ram = GuestRam::create(32).expect("memory");
    // inc word [0x2000]; out 0x10, al; jmp back
    ram.memory().write_slice(&[0xFF, 0x06, 0x00, 0x20, 0xE6, 0x10, 0xEB, 0xF8], CODE).expect("in memory");
    let mut parent = Counting::new(ram);
    parent.step(5);
    assert_eq!(parent.counter(), 5);
    let dirty = parent.dirty();
    let first = parent.ram.freeze(&dirty).expect("room");
    parent.step(3);
    assert_eq!(parent.counter(), 8);
    first.seal().expect("nobody can write into the image");

    let dirty = parent.dirty();
    assert!(dirty.contains(COUNTER.0 / 4096) && dirty.count() < 10, "{} pages", dirty.count());
    let second = parent.ram.freeze(&dirty).expect("room");
    parent.step(2);

    let children = [&first, &first, &second].map(|image| Counting::new(GuestRam::restore(image).expect("room")));
    for ((mut child, steps), from) in children.into_iter().zip([1, 20, 300]).zip([5, 5, 8]) {
        assert_eq!(child.counter(), from);
        child.step(steps);
        assert_eq!(u32::from(child.counter()), u32::from(from) + steps);
        // A clone of a clone, by the pages that its vCPU wrote.
        let dirty = child.dirty();
        let image = child.ram.freeze(&dirty).expect("room");
        child.step(1);
        let mut grandchild = Counting::new(GuestRam::restore(&image).expect("room"));
        grandchild.step(1);
        assert_eq!(grandchild.counter(), child.counter());
    }
    for (image, value) in [(&first, 5), (&second, 8)] {
        assert_eq!(counter(&GuestRam::restore(image).expect("room")), value);
    }
    assert_eq!(parent.counter(), 10);
}
