//! What well-behaved clients see.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

use vmm::control::Listener;
use vmm_control::{ClientError, EventKind, ExitReason, NewOverlay, SnapshotKind};

use super::fixture::{Directory, Served};

fn text_of(fd: OwnedFd) -> String {
    let mut text = String::new();
    File::from(fd).read_to_string(&mut text).expect("text");
    text
}

fn overlay() -> NewOverlay {
    NewOverlay { disk: "root".into(), path: "top2".into() }
}

#[test]
fn a_snapshot_goes_into_the_directory_that_was_passed() {
    let served = Served::start();
    let directory = Directory::new();
    let top = directory.0.join("top");
    let opened = File::open(&directory.0).expect("a directory").into();
    let overlays = vec![(overlay(), File::create(&top).expect("a file").into())];
    let done = served.client().snapshot(opened, SnapshotKind::Full, true, overlays).expect("a snapshot");
    assert_eq!(done.id, "s1");
    assert_eq!(std::fs::read_to_string(directory.0.join("state")).expect("a file"), "a snapshot");
    assert_eq!(std::fs::read_to_string(top).expect("a file"), "an overlay");
}

#[test]
fn a_clone_sends_descriptors_both_ways() {
    let served = Served::start();
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(b"from the client").expect("room");
    drop(writer);
    let (cloned, descriptors) = served.client().freeze(vec![(overlay(), reader.into())]).expect("an image");
    assert_eq!(cloned.image.disks[0].layers[0].0, 3);
    let texts: Vec<String> = descriptors.into_iter().map(text_of).collect();
    assert_eq!(texts, ["0", "1", "2", "from the client"]);
}

#[test]
fn refusals_have_words_and_the_connection_lives_on() {
    let served = Served::start();
    let mut client = served.client();
    let refusal = |result: Result<(), ClientError>| result.expect_err("refused").to_string();
    assert_eq!(refusal(client.start()), "`start` needs a VM that is created; this one is running");
    assert_eq!(refusal(client.balloon(7)), "the request was given up without an answer");
    assert_eq!(refusal(client.balloon_stats().map(drop)), "this VM only pretends (remedy: boot one)");
    client.pause().expect("paused");
}

#[test]
fn everyone_who_cares_hears_of_the_end() {
    let served = Served::start();
    let mut early = served.client();
    early.subscribe(false).expect("subscribed");
    served.client().pause().expect("paused");
    let mut late = served.client();
    late.subscribe(true).expect("subscribed");
    let mut waiting = served.client();
    let waiter = std::thread::spawn(move || waiting.wait().expect("an end"));
    // Its request may come before or after the end; both must answer it.
    served.client().stop(true).expect("stopped");
    for client in [&mut early, &mut late] {
        assert_eq!(client.next_event().expect("an event").kind, EventKind::Paused);
        assert_eq!(client.next_event().expect("an event").kind, EventKind::Exit { reason: ExitReason::Stopped });
        assert!(matches!(client.next_event(), Err(ClientError::Closed)));
    }
    drop(waiter);
}

#[test]
fn who_waits_is_told_why_it_ended() {
    let served = Served::start();
    let mut waiting = served.client();
    let (_, _) = (waiting.pause().expect("paused"), waiting.subscribe(false).expect("subscribed"));
    let waiter = std::thread::spawn(move || waiting.wait());
    // The server answers in order of arrival, so a second client's requests can't tell when the first one's
    // is there. The end is recorded and the server goes on, as the VM does while it shuts down.
    served.shared.log.record(EventKind::Exit { reason: ExitReason::TripleFault });
    assert_eq!(waiter.join().expect("no panic").expect("an end"), ExitReason::TripleFault);
    assert_eq!(served.client().wait().expect("an end"), ExitReason::TripleFault);
}

#[test]
fn many_clients_ask_at_once() {
    let served = Served::start();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = served.client();
                (0..50).for_each(|_| client.pause().expect("paused"));
            });
        }
    });
}

#[test]
fn the_socket_is_its_owners_and_a_dead_one_is_replaced() {
    let directory = Directory::new();
    let path = directory.0.join("control.sock");
    drop(UnixListener::bind(&path).expect("a socket"));
    let listener = Listener::bind(&path).expect("the dead one is replaced");
    assert_eq!(std::fs::metadata(&path).expect("a socket").permissions().mode() & 0o777, 0o600);
    assert!(Listener::bind(&path).is_err(), "a live one is not");
    drop(listener);
    let file = directory.0.join("file");
    std::fs::write(&file, "precious").expect("a file");
    assert!(Listener::bind(&file).is_err());
    assert_eq!(std::fs::read_to_string(file).expect("a file"), "precious");
}
