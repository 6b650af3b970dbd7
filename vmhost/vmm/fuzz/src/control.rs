//! Clients of the control socket that say and do whatever they like, and configurations of the same kind.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use vmm::control::{Answer, Listener, Operations, Server};
use vmm::events::{Poll, of_token};
use vmm::log::Log;
use vmm_control::{Hello, Outgoing, Request, Response, State, VmConfig};
use vmm_sys_util::epoll::{Epoll, EpollEvent};

use crate::script::Script;

const MOST_CLIENTS: usize = 20;
const MOST_EVENTS: usize = 5_000;

/// Reads bytes as a configuration.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match VmConfig::parse(text, "vm.json") {
        Ok(config) => {
            let again = serde_json::to_string(&config).expect("read from UTF-8");
            assert_eq!(VmConfig::parse(&again, "vm.json").expect("it was valid"), config);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Plays bytes as what clients do.
///
/// # Panics
/// When the server spins, or a client that behaves isn't served.
pub fn clients(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut stage = Stage::new();
    while !script.is_over() {
        stage.step(&mut script);
        stage.serve();
    }
    // However the others behave: one that comes now is answered.
    stage.clients.clear();
    stage.serve();
    let mut client = stage.connect();
    stage.greet(&mut client);
    client.write_all(&frame(br#"{"id":7,"request":"info"}"#)).expect("room");
    stage.serve();
    stage.operations.answer_kept();
    stage.serve();
    let mut answer = vec![0; 64 << 10];
    let count = client.read(&mut answer).expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
    assert!(answer.contains("\"id\":7"), "{answer}");
}

struct Stage {
    path: PathBuf,
    epoll: Arc<Epoll>,
    server: Server,
    operations: Refusing,
    clients: Vec<UnixStream>,
}

/// Answers at once, later, or never; never with success.
#[derive(Default)]
struct Refusing {
    kept: Vec<Answer>,
    count: usize,
}

impl Refusing {
    fn answer_kept(&mut self) {
        self.kept.drain(..).for_each(|answer| answer.send(Ok(Response::Unit)));
    }
}

impl Operations for Refusing {
    fn handle(&mut self, request: Request, descriptors: Vec<OwnedFd>, answer: Answer) {
        let result = request.check(State::Running, descriptors.len()).map(|()| Response::Unit);
        self.count += 1;
        match self.count % 4 {
            0 => self.kept.push(answer),
            1 => drop(answer),
            2 => answer.send_with(result, descriptors),
            _ => answer.send(result),
        }
    }
}

impl Stage {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("vmm-fuzz-control-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        let epoll = Arc::new(Epoll::new().expect("the host has a descriptor"));
        let listener = Listener::bind(&path).expect("a socket");
        let server = Server::new(listener, Poll::new(Arc::clone(&epoll), 0), &Log::new(None)).expect("descriptors");
        Self { path, epoll, server, operations: Refusing::default(), clients: Vec::new() }
    }

    fn connect(&self) -> UnixStream {
        let client = UnixStream::connect(&self.path).expect("somebody listens");
        client.set_nonblocking(true).expect("a socket");
        client
    }

    fn greet(&mut self, client: &mut UnixStream) {
        let mut hello = Outgoing::new(&Hello::of_this_build("fuzz"), vec![]).expect("short");
        hello.send(client).expect("room");
        self.serve();
        let _ = client.read(&mut [0; 4096]);
    }

    fn step(&mut self, script: &mut Script<'_>) {
        if self.clients.is_empty() || script.once_in(8) {
            let mut client = self.connect();
            if !script.once_in(8) {
                self.greet(&mut client);
            }
            self.clients.push(client);
            if self.clients.len() > MOST_CLIENTS {
                self.clients.remove(0);
            }
        }
        let at = script.below(self.clients.len());
        let client = &mut self.clients[at];
        match script.below(16) {
            0..=6 => {
                let id = script.any::<u8>();
                let count = script.below(3);
                let request = request(script);
                let json = format!(r#"{{"id":{id},"descriptors":{count},"request":{request}}}"#);
                let json: serde_json::Value = serde_json::from_str(&json).unwrap_or_default();
                let sent = if script.once_in(6) { script.below(140) } else { count };
                let (own, _) = UnixStream::pair().expect("the host has descriptors");
                let descriptors = (0..sent).map(|_| own.try_clone().expect("a descriptor").into()).collect();
                if let Ok(mut frame) = Outgoing::new(&json, descriptors) {
                    let _ = frame.send(client);
                }
            }
            7 | 8 => drop(client.write_all(&frame(script.bytes(100)))),
            9 => drop(client.write_all(script.bytes(40))),
            10 => drop(client.write_all(&frame(&script.bytes(8).repeat(1 + 40 * script.below(250))))),
            11 => drop(client.read(&mut [0; 16 << 10])),
            12 => drop(client.shutdown(Shutdown::Write)),
            13 => drop(self.clients.remove(at)),
            14 => self.operations.answer_kept(),
            _ => self.server.on_event(script.any(), EpollEvent::default().event_set().into(), &mut self.operations),
        }
    }

    fn serve(&mut self) {
        let mut events = [EpollEvent::default(); 16];
        for _ in 0..MOST_EVENTS {
            let count = self.epoll.wait(0, &mut events).expect("waiting for nothing doesn't fail");
            if count == 0 {
                return;
            }
            for event in &events[..count] {
                self.server.on_event(of_token(event.data()).1, event.event_set().into(), &mut self.operations);
            }
        }
        panic!("the server is kept busy though no client does anything");
    }
}

/// A request that is nearly right.
fn request(script: &mut Script<'_>) -> &'static str {
    script.pick(&[
        r#""info""#,
        r#""start""#,
        r#""wait""#,
        r#"{"events":{"replay":true}}"#,
        r#"{"stop":{"force":false}}"#,
        r#"{"snapshot":{"kind":"full","resume":true,"overlays":[]}}"#,
        r#"{"clone":{"overlays":[]}}"#,
        r#"{"balloon":{"target_mib":7}}"#,
        r#""stats""#,
        r#"{"nonsense":[1,2,3]}"#,
        "null",
    ])
}

fn frame(json: &[u8]) -> Vec<u8> {
    [&u32::try_from(json.len()).expect("short").to_le_bytes(), json].concat()
}
