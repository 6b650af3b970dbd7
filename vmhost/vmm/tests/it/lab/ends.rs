//! How guests end, and what a client, the log and the shell hear of it.

use std::io::Read as _;
use std::sync::mpsc;

use vmm_control::{Client, Console, EventKind, ExitReason};

use super::tools::{KIB, counter, eventually, host};
use super::vm::{Directory, Running, config};

/// How a guest goes that was asked for `verb`; `stop` says whether it must be stopped then.
fn check(verb: &str, stop: bool, expected: &ExitReason) {
    let directory = Directory::new();
    let mut config = config(directory.path());
    config.memory_mib = 64;
    let mut vm = Running::boot(directory.path(), &config);
    vm.client().subscribe(false).expect("events");

    let mut waiting = Client::connect(&directory.join("control.sock")).expect("it listens");
    let (here, there) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        here.send(waiting.info().expect("it runs").pid).expect("somebody hears");
        waiting.wait()
    });
    assert_eq!(there.recv().expect("the other thread runs"), vm.vm.child.id());
    vm.ask(verb);
    if stop {
        let mut client = Client::connect(&directory.join("control.sock")).expect("it listens");
        client.stop(true).expect("it stops whatever its guest does");
    }
    let reason = loop {
        if let EventKind::Exit { reason } = vm.client().next_event().expect("the end is told").kind {
            break reason;
        }
    };
    assert_eq!(reason, *expected, "{verb}");
    assert_eq!(waiter.join().expect("it doesn't panic").expect("an answer"), *expected, "{verb}");
    assert_eq!(vm.wait(), Some(0), "{verb}");
    let log = std::fs::read_to_string(directory.join("events.log")).expect("a log");
    assert!(log.trim_end().lines().last().is_some_and(|line| line.contains("\"exit\"")), "{log}");
    assert!(!directory.join("control.sock").exists() || Client::connect(&directory.join("control.sock")).is_err());
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn guests_end_in_all_ways() {
    check("poweroff", false, &ExitReason::PoweredOff);
    check("reboot", false, &ExitReason::Reset);
    check("panic", false, &ExitReason::Reset);
    check("triple-fault", false, &ExitReason::TripleFault);
    check("hang", true, &ExitReason::Stopped);
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn a_flood_on_the_console_is_dropped() {
    let directory = Directory::new();
    let pipe = directory.join("console");
    host(&format!("mkfifo {}", pipe.display()));
    // Both ends are ours, and nobody reads.
    let mut reader = std::fs::File::options().read(true).write(true).open(&pipe).expect("a pipe");
    let mut config = config(directory.path());
    config.console = Console::File(pipe);
    let mut vm = Running::boot(directory.path(), &config);
    let line = "x".repeat(usize::try_from(100 * KIB).expect("it fits"));
    // More than a pipe and the VMM's buffer hold together.
    for _ in 0..5 {
        vm.ask(&format!("write /dev/ttyS0 {line}"));
    }
    let dropped = eventually(&mut vm, "something is dropped", |vm| {
        Some(counter(vm, "vm", "console_dropped_bytes")).filter(|dropped| *dropped > 0)
    });
    assert_eq!(vm.ask("ping"), "pong");
    let written = counter(&mut vm, "vm", "console_written_bytes");
    // Who reads at last gets what was kept, and the console goes on.
    let mut buffer = vec![0; usize::try_from(written).expect("it fits")];
    reader.read_exact(&mut buffer).expect("it is in the pipe");
    eventually(&mut vm, "more is written", |vm| (counter(vm, "vm", "console_written_bytes") > written).then_some(()));
    assert!(counter(&mut vm, "vm", "console_dropped_bytes") >= dropped);
    assert_eq!(vm.stop(), Some(0));
}
