//! Clients that break the protocol, don't read, or vanish. The server must serve the next one as if nothing was.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;

use vmm_control::{
    Client, ClientError, EventKind, FrameReader, FromVm, Hello, MAX_DESCRIPTORS, Outgoing, Request, RequestFrame,
    VERSION,
};

use super::fixture::{DEADLINE, Served};

fn connect(served: &Served) -> UnixStream {
    let stream = UnixStream::connect(&served.socket).expect("a connection");
    stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
    stream.set_write_timeout(Some(DEADLINE)).expect("not zero");
    stream
}

fn frame(json: &str) -> Vec<u8> {
    let mut bytes = u32::try_from(json.len()).expect("short").to_le_bytes().to_vec();
    bytes.extend(json.as_bytes());
    bytes
}

fn hello() -> Vec<u8> {
    frame(&serde_json::to_string(&Hello::of_this_build("test")).expect("JSON"))
}

/// All that the server says until it closes, in short.
fn words(stream: &UnixStream) -> String {
    let mut reader = FrameReader::default();
    let mut words = Vec::new();
    loop {
        match reader.next_frame::<FromVm>().expect("a frame") {
            Some(FromVm::Welcome(_)) => words.push("welcome".to_owned()),
            Some(FromVm::Refused(error)) => words.push(format!("refused: {error}")),
            Some(FromVm::Reply { id, outcome, .. }) => words.push(format!("{id}: {outcome:?}")),
            Some(FromVm::Event(event)) => words.push(event.kind.name().to_owned()),
            None => match reader.fill(stream) {
                Ok(true) => {}
                Ok(false) => return words.join("; "),
                // It closed with bytes of ours unread.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return words.join("; "),
                Err(error) => panic!("the server neither speaks nor closes: {error}"),
            },
        }
    }
}

fn check(served: &Served, bytes: &[u8], expected: &str) {
    let mut stream = connect(served);
    stream.write_all(bytes).expect("room");
    assert_eq!(words(&stream), expected, "{}", String::from_utf8_lossy(bytes));
    served.client().pause().expect("the server lives");
}

#[test]
fn frames_that_break_the_protocol_are_refused_in_words() {
    let served = Served::start();
    let check = |bytes: &[u8], expected: &str| check(&served, bytes, expected);
    check(b"GET / HTTP/1.1\r\n\r\n", "refused: a frame of 542393671 bytes is longer than 1048576");
    check(&frame("hello"), "refused: a frame can't be read: expected value at line 1 column 1");
    check(&frame("{}"), "refused: a frame can't be read: missing field `version` at line 1 column 2");
    check(
        &frame(r#"{"version":99,"program":"future","more":[]}"#),
        &format!(
            "refused: the client speaks version 99 of the control protocol, this VM speaks {VERSION} \
             (remedy: use the version of vmm that started this VM)"
        ),
    );
    check(
        &frame(r#"{"version":0,"program":"past"}"#),
        &format!(
            "refused: the client speaks version 0 of the control protocol, this VM speaks {VERSION} \
             (remedy: update the client, or start the VM with the client's version of vmm)"
        ),
    );
    let after_hello = |json: &str| [hello(), frame(json)].concat();
    check(&after_hello("[1"), "welcome; refused: a frame can't be read: EOF while parsing a list at line 1 column 2");
    check(
        &after_hello(r#"{"id":1,"descriptors":3,"request":"pause"}"#),
        "welcome; refused: a frame speaks of 3 descriptors, 0 came with it",
    );
    check(
        &after_hello(&format!(r#"{{"id":1,"request":{}"#, "[".repeat(1000))),
        "welcome; refused: a frame can't be read: recursion limit exceeded at line 1 column 145",
    );
}

#[test]
fn a_request_of_an_unknown_kind_is_answered_by_its_number() {
    let served = Served::start();
    let mut stream = connect(&served);
    let frames =
        [hello(), frame(r#"{"id":5,"request":"teleport"}"#), frame(r#"{"id":6,"request":{"stop":{"force":true}}}"#)];
    stream.write_all(&frames.concat()).expect("room");
    let words = words(&stream);
    assert!(words.starts_with("welcome; 5: Failed(ControlError { code: BadRequest, message: \"the request can't be read: unknown variant `teleport`, expected one of `info`, `start`,"), "{words}");
    assert!(words.ends_with("6: Done(Unit)"), "{words}");
}

#[test]
fn half_a_frame_then_nothing() {
    let served = Served::start();
    for length in [1, 4, 9] {
        let mut stream = connect(&served);
        stream.write_all(&hello()[..length]).expect("room");
        drop(stream);
        served.client().pause().expect("the server lives");
    }
}

#[test]
fn a_byte_at_a_time_is_slow_but_legal() {
    let served = Served::start();
    let (mut stream, mut other) = (connect(&served), served.client());
    for byte in [hello(), frame(r#"{"id":1,"request":{"stop":{"force":true}}}"#)].concat() {
        other.pause().expect("others are served before each byte");
        stream.write_all(&[byte]).expect("room");
    }
    assert_eq!(words(&stream), "welcome; 1: Done(Unit)");
}

/// A frame with descriptors that its text may not speak of.
fn send(stream: &UnixStream, json: &serde_json::Value, descriptors: usize) {
    let copies = (0..descriptors).map(|_| stream.as_fd().try_clone_to_owned().expect("a copy")).collect();
    Outgoing::new(json, copies).expect("small").send(stream).expect("room");
}

#[test]
fn descriptors_that_nobody_asked_for() {
    let served = Served::start();
    let hello = serde_json::to_value(Hello::of_this_build("test")).expect("JSON");
    let stream = connect(&served);
    send(&stream, &hello, 1);
    assert_eq!(words(&stream), "refused: a frame speaks of 0 descriptors, 1 came with it");

    // They pile up at the head of a frame that never ends.
    let stream = connect(&served);
    send(&stream, &hello, 0);
    let mut refused = false;
    (&stream).write_all(&(1_u32 << 20).to_le_bytes()).expect("room");
    for _ in 0..3 {
        let copies: Vec<OwnedFd> =
            (0..MAX_DESCRIPTORS / 2).map(|_| stream.as_fd().try_clone_to_owned().expect("a copy")).collect();
        refused |= Outgoing::new(&1, copies).expect("small").send(&stream).is_err();
    }
    let words = words(&stream);
    assert!(refused || words == "welcome", "{words}");

    // The request is refused, its descriptors are closed, and the connection lives on.
    let mut client = served.client();
    let (near, mut far) = UnixStream::pair().expect("a pair");
    let error = client.call(Request::Pause, vec![near.into()]).expect_err("refused");
    assert_eq!(error.to_string(), "`pause` needs 0 descriptors, 1 came with it");
    far.set_read_timeout(Some(DEADLINE)).expect("not zero");
    assert_eq!(far.read(&mut [0]).expect("closed"), 0);
    client.pause().expect("paused");
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let served = Served::start();
    let mut slow = connect(&served);
    slow.write_all(&hello()).expect("room");
    const ASKED: u64 = 200;
    for id in 0..ASKED {
        let request = RequestFrame { id, descriptors: 0, request: Request::Stats };
        Outgoing::new(&request, Vec::new()).expect("small").send(&slow).expect("room");
    }
    served.client().pause().expect("others are served");
    let handled = served.shared.requests.load(Ordering::Relaxed);
    assert!(handled < 100, "{handled} of {ASKED} were handled, at 100 KiB each");

    // Once it reads, it gets all of it.
    let mut reader = FrameReader::default();
    let mut answered = 0;
    while answered < ASKED {
        match reader.next_frame::<FromVm>().expect("a frame") {
            Some(FromVm::Reply { id, .. }) => {
                assert_eq!(id, answered);
                answered += 1;
            }
            Some(_) => {}
            None => assert!(reader.fill(&slow).expect("bytes")),
        }
    }
}

#[test]
fn a_subscriber_that_does_not_read_is_dropped() {
    let served = Served::start();
    let mut subscriber = served.client();
    subscriber.subscribe(false).expect("subscribed");
    let mut other = served.client();
    const RECORDED: u64 = 8000;
    for number in 0..RECORDED {
        served.shared.log.record(EventKind::SnapshotDone { id: "x".repeat(2000), memory_bytes: number });
        if number % 500 == 0 {
            // The server takes what there is before it answers.
            other.pause().expect("paused");
        }
    }
    other.pause().expect("others are served");
    let mut seen = 0;
    let error = loop {
        match subscriber.next_event() {
            Ok(_) => seen += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ClientError::Closed | ClientError::Io(_)), "{error}");
    assert!(seen < RECORDED, "{seen}");
}

#[test]
fn a_client_that_vanishes_before_its_answer_leaves_nothing_behind() {
    let served = Served::start();
    for _ in 0..8 {
        let mut client = connect(&served);
        client.write_all(&hello()).expect("room");
        client.read_exact(&mut [0]).expect("a welcome");
        client.write_all(&frame(r#"{"id":1,"request":{"resize":{"disk":"root"}}}"#)).expect("room");
    }
    let mut other = served.client();
    let deadline = std::time::Instant::now() + DEADLINE;
    while served.shared.held.lock().expect("no panic").len() < 8 {
        other.pause().expect("the server lives");
        assert!(std::time::Instant::now() < deadline);
    }
    let (near, mut far) = UnixStream::pair().expect("a pair");
    for answer in served.shared.held.lock().expect("no panic").drain(..) {
        let copy = near.try_clone().expect("a copy");
        answer.send_with(Ok(vmm_control::Response::Unit), vec![copy.into()]);
    }
    drop(near);
    far.set_read_timeout(Some(DEADLINE)).expect("not zero");
    assert_eq!(far.read(&mut [0]).expect("closed"), 0, "descriptors of answers without a client are closed");
    other.pause().expect("the server lives");
}

#[test]
fn a_client_that_vanishes_amid_a_large_answer() {
    let served = Served::start();
    for _ in 0..10 {
        let mut client = connect(&served);
        client.write_all(&hello()).expect("room");
        for id in 0..40 {
            let request = RequestFrame { id, descriptors: 0, request: Request::Stats };
            Outgoing::new(&request, Vec::new()).expect("small").send(&client).expect("room");
        }
        // Some bytes of an answer, then gone.
        client.read_exact(&mut [0; 1000]).expect("bytes");
    }
    served.client().pause().expect("the server lives");
}

#[test]
fn there_is_room_for_whoever_speaks() {
    let served = Served::start();
    // Silent ones give way ...
    let silent: Vec<UnixStream> = (0..40).map(|_| connect(&served)).collect();
    let mut speaking: Vec<Client> = (0..16).map(|_| served.client()).collect();
    // ... and those that speak don't.
    let error = Client::connect(&served.socket).map(drop).expect_err("full");
    let expected = "this VM has 16 clients already (remedy: close one of them)";
    // Its hello may cross the refusal, and then the socket breaks under it.
    assert!(error.to_string() == expected || matches!(error, ClientError::Io(_)), "{error}");
    speaking.iter_mut().for_each(|client| client.pause().expect("paused"));
    drop(speaking);
    drop(silent);
    served.client().pause().expect("there is room again");
}
