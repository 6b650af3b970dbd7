//! What a guest notices of pauses, snapshots and restores: its clocks, its connections, its identity.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use vmm_control::{SnapshotKind, State};

use super::going_on::{Terminal, child, restore_paused, snapshot, value};
use super::vm::{Directory, Guest, Running, accept, config, listen};

/// How long the VM stands still. That it does is what is looked at, so nothing could tell of its end.
const PAUSE: Duration = Duration::from_millis(400);
/// Of two clocks that are read one after the other on a slow machine.
const SLACK: Duration = Duration::from_secs(3);

/// A guest's clocks, between two moments of the host.
struct Clocks {
    before: Instant,
    monotonic: Duration,
    /// Behind the host's, in seconds; negative if ahead.
    behind: f64,
    boot_id: String,
    after: Instant,
}

fn clocks(guest: &mut Guest) -> Clocks {
    let before = Instant::now();
    let reply = guest.ask("uptime");
    let after = Instant::now();
    let number = |key| value(&reply, key).parse::<u64>().expect("a number");
    let host = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Clocks {
        before,
        monotonic: Duration::from_micros(number("monotonic_us")),
        behind: host.as_secs_f64() - Duration::from_nanos(number("realtime_ns")).as_secs_f64(),
        boot_id: value(&reply, "boot_id").to_owned(),
        after,
    }
}

/// The guest's clock went forward, and not further than the host's.
fn check_forward(first: &Clocks, then: &Clocks) {
    let passed = then.monotonic.checked_sub(first.monotonic).expect("no clock goes back");
    let most = then.after - first.before;
    assert!(passed <= most + SLACK, "{passed:?} in {most:?}");
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn time_and_connections_outlive_a_pause() {
    let directory = Directory::new();
    let mut vm = Running::boot(directory.path(), &config(directory.path()));
    let mut guest = vm.guest();
    let first = clocks(&mut guest);
    vm.client().pause().expect("it stops");
    assert_eq!(vm.client().info().expect("info").state, State::Paused);
    let ran = vm.client().info().expect("info").running_us;
    std::thread::park_timeout(PAUSE);
    assert_eq!(vm.client().info().expect("info").running_us, ran, "it doesn't run");
    vm.client().resume().expect("it runs");
    let then = clocks(&mut guest);
    check_forward(&first, &then);
    let (drift, slack) = ((then.behind - first.behind).abs(), SLACK.as_secs_f64());
    assert!(drift < slack, "the guest's clock is {drift} s off after a pause");
    assert_eq!(guest.ask("generation"), "generation=0");
    assert_eq!(vm.stop(), Some(0));
}

/// A guest's program that is in the middle of talking to the host.
fn talk(directory: &Path, vm: &mut Running, terminal: &mut Terminal) -> std::os::unix::net::UnixStream {
    let host = listen(directory, 7000);
    terminal.ask("vsock-connect 7000 256K 4");
    let (stream, _) = accept(&host, directory);
    assert_eq!(vm.ask("ping"), "pong");
    stream
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn a_restored_guest_is_another_whose_connections_have_ended() {
    let directory = Directory::new();
    let mut config = config(directory.path());
    config.boot.command_line += " sandglass.serial=1";
    let mut vm = super::going_on::boot_in_terminal(directory.path(), config);
    let mut terminal = Terminal::of(&mut vm);
    let stream = talk(directory.path(), &mut vm, &mut terminal);
    let mut guest = vm.guest();
    let first = clocks(&mut guest);
    let kept = directory.join("kept");
    snapshot(&mut vm, &kept, SnapshotKind::Full);
    let clone = child(&mut vm, directory.path(), "clone");

    // Of the parent nothing has ended: the connection from before, and the one that waits for an echo.
    check_forward(&first, &clocks(&mut guest));
    let mut echo = stream.try_clone().expect("a descriptor");
    let echoing = std::thread::spawn(move || {
        let (mut from, mut bytes) = (stream, [0; 4096]);
        while let Ok(count @ 1..) = std::io::Read::read(&mut from, &mut bytes) {
            std::io::Write::write_all(&mut echo, &bytes[..count]).expect("the guest reads");
        }
    });
    let reply = terminal.reply();
    assert!(reply.starts_with("ok bytes="), "{reply}");
    echoing.join().expect("no panic");
    let generation = vm.client().info().expect("info").generation;
    let boot_id = first.boot_id.clone();

    let place = directory.join("restored");
    let mut restored = restore_paused(&place, &[&kept], &["--console", "stdio"]);
    let mut restored_terminal = Terminal::of(&mut restored);
    restored.client().resume().expect("it runs");
    assert_eq!(restored.wait_ready(), format!("ready 1 {boot_id}"));
    // The same connection ends there: the program hears of it and goes on.
    let reply = restored_terminal.reply();
    assert!(reply.starts_with("error "), "{reply}");
    assert_ne!(restored.client().info().expect("info").generation, generation);
    for vm in [&restored, &clone] {
        let mut guest = vm.guest();
        let then = clocks(&mut guest);
        check_forward(&first, &then);
        assert_eq!(then.boot_id, boot_id);
        assert_eq!(guest.ask("generation"), "generation=1");
        eprintln!("the wall clock is behind by {:.3} s, before the snapshot by {:.3} s", then.behind, first.behind);
    }
    for vm in [restored, clone, vm] {
        assert_eq!(vm.stop(), Some(0));
    }
}
