//! Linux boots, ends, notices that it was cloned, and goes on elsewhere.
//!
//! `SANDGLASS_GUEST_KERNEL` and `SANDGLASS_GUEST_INITRAMFS` name the files that `cargo xtask guest` makes.

use std::fs::File;
use std::io::Write as _;
use std::ops::ControlFlow;

use vmm::machine::{Exit, Machine};
use vmm::memory::GuestRam;

use crate::flat::fixture::{Console, GENERATION, Guest, copy, setup, through_bytes};

const MEMORY_MIB: u32 = 128;

fn open(variable: &str) -> File {
    let path = std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} isn't set: run this in the lab"));
    File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn boot(vcpus: u8, command_line: &str) -> Guest {
    boot_sized(vcpus, MEMORY_MIB, command_line)
}

fn boot_sized(vcpus: u8, memory_mib: u32, command_line: &str) -> Guest {
    let (kernel, initramfs) = (open("SANDGLASS_GUEST_KERNEL"), open("SANDGLASS_GUEST_INITRAMFS"));
    let (setup, console) = setup(vcpus, GuestRam::create(memory_mib).expect("memory"), vec![]);
    let command_line = format!("quiet sandglass.mark=port {command_line}");
    let machine = Machine::boot(setup, &kernel, Some(&initramfs), &command_line, GENERATION).expect("it boots");
    Guest { machine, console }
}

/// Boots with `verbs` to do, and expects how it ends and what it says.
fn check(vcpus: u8, verbs: &str, exit: &Exit, says: &str) {
    check_sized(vcpus, MEMORY_MIB, verbs, exit, says);
}

fn check_sized(vcpus: u8, memory_mib: u32, verbs: &str, exit: &Exit, says: &str) {
    let mut guest = boot_sized(vcpus, memory_mib, &format!("sandglass.do={verbs}"));
    let (ended, output) = guest.serve(|_, _| ControlFlow::Continue(()));
    let (booted, metrics) = (guest.machine.booted_us(), guest.machine.metrics());
    let output = output + &guest.rest();
    assert_eq!(ended, *exit, "{output}");
    assert!(output.contains(says), "{output}");
    assert!(booted.is_some(), "{output}");
    eprintln!("{vcpus} vCPUs, {verbs}: {metrics:?}");
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn linux_boots_to_init_and_powers_off() {
    check(1, "cpus;poweroff", &Exit::PoweredOff, "cpus: ok online=1");
    check(4, "cpus;poweroff", &Exit::PoweredOff, "cpus: ok online=4");
}

/// The lab has less memory than this guest, which touches little of it: a configuration would be refused.
#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn linux_boots_on_32_processors_with_memory_beyond_the_gap() {
    // High memory is given out first.
    check_sized(32, 3584, "cpus;mem-fill,64,5;mem-check;poweroff", &Exit::PoweredOff, "cpus: ok online=32");
    let large = "meminfo;mem-fill,64,5;mem-check;poweroff";
    check_sized(1, 3584, large, &Exit::PoweredOff, "mem-check: ok bytes=67108864");
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn linux_reboots_panics_and_faults() {
    check(1, "reboot", &Exit::Reset, "");
    check(1, "panic", &Exit::Reset, "Kernel panic");
    check(1, "triple-fault", &Exit::TripleFault, "");
}

/// Answers of the guest's first process: asks the next question at each answer.
struct Questions<'a> {
    console: &'a mut File,
    asked: usize,
}

impl Questions<'_> {
    fn ask(&mut self, line: &str) {
        self.asked += 1;
        self.console.write_all(line.as_bytes()).expect("a pipe holds a line");
        self.console.write_all(b"\n").expect("a pipe holds a line");
    }
}

/// The replies so far, in order; other lines are the kernel's or announcements.
fn replies(output: &str) -> Vec<&str> {
    let lines = output.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::trim_end);
    lines.filter(|line| line.starts_with("ok") || line.starts_with("error ")).collect()
}

fn serves(output: &str) -> bool {
    output.contains("sandglass-init: serving")
}

fn input(console: &Console) -> File {
    console.input.try_clone().expect("a descriptor")
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn linux_notices_a_new_generation() {
    const NOTICED: &str = "crng reseeded due to virtual machine fork";
    let mut told = false;
    // Notices are printed, and the guest waits for longer than this takes.
    let (exit, output) = boot(1, "loglevel=6 sandglass.do=sleep,3600000").serve(|machine, output| {
        if machine.booted_us().is_some() && !told {
            assert!(!output.contains(NOTICED), "{output}");
            told = true;
            machine.pause();
            machine.new_generation(*b"fedcba9876543210").expect("there is memory for it");
            machine.resume();
        }
        if output.contains(NOTICED) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(exit, Exit::Stopped, "{output}");
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn linux_goes_on_in_another_machine() {
    let mut parent = boot(2, "sandglass.serial=1");
    let mut parent_input = input(&parent.console);
    let mut questions = Questions { console: &mut parent_input, asked: 0 };
    let mut saved = None;
    let (_, output) = parent.serve(|machine, output| {
        if !serves(output) || replies(output).len() < questions.asked {
            return ControlFlow::Continue(());
        }
        match questions.asked {
            0 => questions.ask("mem-churn ON 7 8"),
            // In the middle of its work.
            1 => {
                machine.pause();
                let state = machine.save().expect("it is paused");
                saved = Some((through_bytes(&state), copy(machine)));
                machine.resume();
                questions.ask("mem-churn OFF");
            }
            2 => questions.ask("poweroff"),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    let unharmed = |output: &str| replies(output).iter().any(|reply| reply.contains("errors=0"));
    assert!(unharmed(&output), "{output}");
    drop(parent);

    let (state, ram) = saved.expect("it got there");
    let (setup, console) = setup(2, ram, vec![]);
    let machine = Machine::restore(setup, &state).expect("on the same host");
    let mut child = Guest { machine, console };
    child.machine.new_generation(*b"fedcba9876543210").expect("there is memory for it");
    let mut child_input = input(&child.console);
    let mut questions = Questions { console: &mut child_input, asked: 0 };
    questions.ask("mem-churn OFF");
    let (exit, output) = child.serve(|_, output| {
        if replies(output).len() >= questions.asked {
            match questions.asked {
                1 => questions.ask("cpus"),
                2 => questions.ask("poweroff"),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    });
    let output = output + &child.rest();
    assert_eq!(exit, Exit::PoweredOff, "{output}");
    assert!(unharmed(&output) && replies(&output).contains(&"ok online=2"), "{output}");
}
