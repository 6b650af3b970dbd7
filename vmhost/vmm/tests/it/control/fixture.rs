//! A real server on a real event loop, before a VM that only pretends.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use vmm::control::{Answer, Listener, Operations, Server};
use vmm::events::{Interest, Poll, of_token};
use vmm::log::Log;
use vmm_control::{
    Client, Cloned, Code, ControlError, DeviceInfo, DiskLayers, EventKind, ExitReason, GenerationId, Handle, Image,
    Info, Request, Response, SnapshotDone, State, VmConfig,
};
use vmm_sys_util::epoll::{Epoll, EpollEvent};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// No test waits longer for anything.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A directory of its own, gone at the end.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("vmm-control-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the pretended VM and its test both see.
pub struct Shared {
    pub log: Log,
    /// Answers to `Resize` requests, which wait here until the test takes them.
    pub held: Mutex<Vec<Answer>>,
    /// How many requests came.
    pub requests: AtomicUsize,
}

/// A served socket.
pub struct Served {
    /// Holds the socket.
    _directory: Directory,
    pub socket: PathBuf,
    pub shared: Arc<Shared>,
    stop: EventFd,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub fn start() -> Self {
        let directory = Directory::new();
        let socket = directory.0.join("control.sock");
        let listener = Listener::bind(&socket).expect("a socket");
        let shared = Shared::new();
        let stop = EventFd::new(EFD_NONBLOCK).expect("an eventfd");
        let (thread_shared, thread_stop) = (Arc::clone(&shared), stop.try_clone().expect("a copy"));
        let thread = std::thread::spawn(move || run(listener, thread_shared, &thread_stop));
        Self { _directory: directory, socket, shared, stop, thread: Some(thread) }
    }

    pub fn client(&self) -> Client {
        let mut client = Client::connect(&self.socket).expect("a client");
        client.set_timeout(Some(DEADLINE)).expect("not zero");
        client
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.write(1).expect("an eventfd");
        let ended = self.thread.take().expect("once").join();
        assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
    }
}

const SERVER: u32 = 7;
const TEST: u32 = 8;

impl Shared {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { log: Log::new(None), held: Mutex::default(), requests: AtomicUsize::new(0) })
    }
}

/// Serves until a client or the eventfd says stop.
pub fn run(listener: Listener, shared: Arc<Shared>, stop: &EventFd) {
    let epoll = Arc::new(Epoll::new().expect("an epoll"));
    Poll::new(Arc::clone(&epoll), TEST).add(stop.as_raw_fd(), 0, Interest::Read).expect("watched");
    let mut server = Server::new(listener, Poll::new(Arc::clone(&epoll), SERVER), &shared.log).expect("a server");
    let mut machine = Pretended { shared, stopped: false };
    let mut events = [EpollEvent::default(); 8];
    loop {
        let count = epoll.wait(-1, &mut events).expect("events");
        for event in &events[..count] {
            let (owner, source) = of_token(event.data());
            if owner == TEST {
                return;
            }
            server.on_event(source, event.event_set().into(), &mut machine);
        }
        if machine.stopped {
            return server.finish();
        }
    }
}

struct Pretended {
    shared: Arc<Shared>,
    stopped: bool,
}

impl Operations for Pretended {
    fn handle(&mut self, request: Request, descriptors: Vec<OwnedFd>, answer: Answer) {
        self.shared.requests.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = request.check(State::Running, descriptors.len()) {
            return answer.send(Err(error));
        }
        match request {
            Request::Info => answer.send(Ok(Response::Info(Box::new(info())))),
            Request::Pause => {
                self.shared.log.record(EventKind::Paused);
                answer.send(Ok(Response::Unit));
            }
            // Large, so that answers fill sockets.
            Request::Stats => answer.send(Ok(Response::Generation(GenerationId("x".repeat(100 << 10))))),
            Request::Snapshot { .. } => {
                // As the real one: another thread writes, and answers when it is done.
                std::thread::spawn(move || answer.send(write_snapshot(descriptors)));
            }
            Request::Clone { .. } => answer.send_with(Ok(Response::Cloned(Box::new(cloned()))), frozen(descriptors)),
            Request::Resize { .. } => self.shared.held.lock().expect("no panic").push(answer),
            Request::Balloon { .. } => drop(answer),
            Request::Stop { .. } => {
                self.shared.log.record(EventKind::Exit { reason: ExitReason::Stopped });
                self.stopped = true;
                answer.send(Ok(Response::Unit));
            }
            _ => answer.send(Err(ControlError::new(Code::Unsupported, "this VM only pretends").remedy("boot one"))),
        }
    }
}

fn write_snapshot(descriptors: Vec<OwnedFd>) -> Result<Response, ControlError> {
    let mut files = descriptors.into_iter();
    let directory = files.next().expect("checked");
    let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
    let file = rustix::fs::openat(&directory, "state", flags, rustix::fs::Mode::RUSR)
        .map_err(|error| ControlError::host("state", &error))?;
    File::from(file).write_all(b"a snapshot").expect("room");
    for overlay in files {
        File::from(overlay).write_all(b"an overlay").expect("room");
    }
    Ok(Response::Snapshot(SnapshotDone { id: "s1".into(), memory_bytes: 10, paused_us: 1, total_us: 2 }))
}

pub fn config() -> VmConfig {
    serde_json::from_str(
        r#"{"boot":{"kernel":"vmlinux"},"memory_mib":64,"disks":[{"id":"root","path":"root.img","overlay":"top"}],"vsock":{"cid":3,"socket":"v"}}"#,
    )
    .expect("a configuration")
}

fn info() -> Info {
    Info {
        pid: std::process::id(),
        user: 0,
        state: State::Running,
        config: config(),
        uptime_us: 2_000_000,
        running_us: 1_500_000,
        parent: None,
        generation: GenerationId("0123".into()),
        devices: vec![DeviceInfo { name: "block:root".into(), ready: true, faulted: false }],
    }
}

fn cloned() -> Cloned {
    let disk = DiskLayers { disk: "root".into(), layers: vec![Handle(3)], paths: vec!["root.img".into()], top: None };
    let image = Image {
        id: "i1".into(),
        config: config(),
        state: Handle(0),
        memory_index: Handle(1),
        memory_layers: vec![Handle(2)],
        disks: vec![disk],
    };
    Cloned { image, paused_us: 5 }
}

/// Four pipes, each with its own number to read; what came in is told in the last one.
fn frozen(descriptors: Vec<OwnedFd>) -> Vec<OwnedFd> {
    let came: String = descriptors
        .into_iter()
        .map(|fd| {
            let mut text = String::new();
            File::from(fd).read_to_string(&mut text).expect("text");
            text
        })
        .collect();
    let filled = |text: String| {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(text.as_bytes()).expect("room");
        OwnedFd::from(reader)
    };
    (0..4).map(|number| filled(if number == 3 { came.clone() } else { number.to_string() })).collect()
}
