//! Saved machines go on elsewhere, exactly where they were.

use std::io::Write as _;
use std::ops::ControlFlow;

use vm_memory::{Bytes as _, GuestAddress};
use vmm::cpu::model::CpuMismatch;
use vmm::machine::{Exit, Machine, MachineState, RestoreError};
use vmm::memory::GuestRam;

use super::fixture::{Guest, boot, copy, setup, through_bytes};
use super::guest;

// Counts in memory and in a register, with a pattern in an SSE register; prints `A` at first and `.` sometimes, and `=`
// at the end if nothing was lost.
guest!(
    count,
    "jmp 9f"
    ".balign 16"
    ".quad 0x0123456789ABCDEF, 0x0FEDCBA987654321"
    "9: mov eax, cr4"
    "or eax, 0x600"
    "mov cr4, eax"
    "movdqu xmm7, [0x100010]"
    "xor ecx, ecx"
    "mov dword ptr [0x300000], 0"
    "mov dx, 0x3F8"
    "mov al, 'A'"
    "out dx, al"
    "2: inc ecx"
    "inc dword ptr [0x300000]"
    "test ecx, 0xFFF"
    "jnz 3f"
    "mov al, '.'"
    "out dx, al"
    "3: cmp ecx, 0x8000"
    "jne 2b"
    "mov al, '!'"
    "cmp [0x300000], ecx"
    "jne 4f"
    "movdqu [0x300010], xmm7"
    "mov ebx, [0x300010]"
    "cmp ebx, 0x89ABCDEF"
    "jne 4f"
    "mov ebx, [0x30001C]"
    "cmp ebx, 0x0FEDCBA9"
    "jne 4f"
    "mov al, '='"
    "4: out dx, al"
    "mov dx, 0x600"
    "mov al, 0x34"
    "out dx, al"
    "5: jmp 5b"
);

#[test]
fn a_saved_machine_counts_on_exactly_and_so_does_its_parent() {
    let mut parent = boot(count(), 1, vec![]);
    let mut saved = None;
    let (exit, output) = parent.serve(|machine, output| {
        if output.len() >= 3 && saved.is_none() {
            machine.pause();
            let state = machine.save().expect("it is paused");
            saved = Some((through_bytes(&state), copy(machine), output.len()));
            machine.resume();
        }
        ControlFlow::Continue(())
    });
    let whole = format!("A{}=", ".".repeat(8));
    let rest = parent.rest();
    assert_eq!((exit, output + &rest), (Exit::PoweredOff, whole.clone()));

    let (state, ram, printed) = saved.expect("it printed enough");
    let counted: u32 = ram.memory().read_obj(GuestAddress(0x30_0000)).expect("inside memory");
    assert!(counted > 0 && counted < 0x8000, "{counted}");
    let (setup, console) = setup(1, ram, vec![]);
    let machine = Machine::restore(setup, &state).expect("on the same host");
    let outcome = Guest { machine, console }.run();
    assert_eq!(outcome.exit, Exit::PoweredOff);
    // The parent's console may have had more on its way than the test had seen.
    assert!(whole.ends_with(&outcome.output) && outcome.output.len() <= whole.len() - printed, "{outcome:?}");
}

// Waits for a byte of input, then writes to two pages.
guest!(
    write_pages,
    "mov dx, 0x3F8"
    "mov al, 'A'"
    "out dx, al"
    "2: mov dx, 0x3FD"
    "in al, dx"
    "test al, 1"
    "jz 2b"
    "mov dword ptr [0x400000], 1"
    "mov dword ptr [0x402FFC], 1"
    "mov dx, 0x3F8"
    "mov al, 'B'"
    "out dx, al"
    "3: jmp 3b"
);

#[test]
fn the_dirty_log_has_the_pages_written_and_no_others() {
    let mut guest = boot(write_pages(), 1, vec![]);
    let mut input = guest.console.input.try_clone().expect("a descriptor");
    let mut logs = Vec::new();
    guest.serve(|machine, output| {
        machine.pause();
        if output == "A" {
            machine.start_dirty_log().expect("KVM can");
            input.write_all(b"x").expect("a pipe holds it");
        } else {
            for _ in 0..2 {
                logs.push(machine.take_dirty_log().expect("it was started"));
            }
            machine.stop_dirty_log().expect("KVM can");
            assert!(machine.take_dirty_log().is_err());
            return ControlFlow::Break(());
        }
        machine.resume();
        ControlFlow::Continue(())
    });
    let pages = |log: &[(usize, Vec<u64>)]| -> Vec<usize> {
        assert_eq!(log.len(), 1);
        let words = log[0].1.iter().enumerate();
        words
            .flat_map(|(at, word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit))
            .collect()
    };
    assert_eq!(pages(&logs[0]), [0x400, 0x402]);
    assert_eq!(pages(&logs[1]), [0; 0]);
}

#[test]
fn a_machine_goes_on_only_where_it_fits() {
    let mut guest = boot(count(), 2, vec![]);
    let good = guest.machine.save().expect("it was never resumed");
    let check = |change: &dyn Fn(&mut MachineState), vcpus: u8, mib: u32, expected: &str| {
        let mut state = good.clone();
        change(&mut state);
        let (setup, _console) = setup(vcpus, GuestRam::create(mib).expect("memory"), vec![]);
        let error = Machine::restore(setup, &state).err().expect("it doesn't fit").to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&|_| {}, 1, 32, "has 2 vCPUs, this one has 1 vCPUs");
    check(&|_| {}, 2, 64, "the saved machine has memory");
    check(&|state| state.cpu.vendor = "Acme".into(), 2, 32, "needs a CPU of Acme");
    check(&|state| state.cpu.features[0] = u32::MAX, 2, 32, "lacks what the snapshot's guest was promised");
    check(&|state| state.cpu.stepping ^= 1, 2, 32, "template `portable`");
    check(&|state| state.cpu.template = vmm_control::CpuTemplate::Portable, 2, 32, "CPU template Portable");
    check(&|state| state.vcpus[0].cpuid = vec![Default::default(); 1000], 2, 32, "KVM_SET_CPUID2 of 1000 entries");
    let features = RestoreError::from(CpuMismatch::Features(vec!["avx2".into()]));
    assert!(features.to_string().ends_with("promised: avx2"));

    let (setup, _console) = setup(2, GuestRam::create(32).expect("memory"), vec![]);
    Machine::restore(setup, &good).expect("unchanged it fits");
}
