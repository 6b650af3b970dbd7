//! A VM as its users have it: the `vmm` program, its control socket, and the guest's first process behind vsock.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use vmm_control::spawn::{Launch, Vm};
use vmm_control::{Boot, Client, Console, VmConfig, Vsock};

/// Longer than anything takes in the lab, and shorter than its limit.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// The guest's port for requests, and the host's port that it reports to.
const REQUESTS: u32 = 1024;
const READY: u32 = 1025;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A directory that goes when the test has passed; what a failed one leaves, the lab forgets.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("vmm-lab-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// The path that the lab gives in a variable.
pub fn given(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} isn't set: run this in the lab")).into()
}

/// A guest with vsock, nothing else, and its console in `console.log`.
pub fn config(directory: &Path) -> VmConfig {
    let text = r#"{"boot": {"kernel": "k"}, "memory_mib": 128}"#;
    let mut config = VmConfig::parse(text, "test").expect("a configuration");
    config.boot = Boot {
        kernel: given("SANDGLASS_GUEST_KERNEL"),
        initramfs: Some(given("SANDGLASS_GUEST_INITRAMFS")),
        command_line: "console=ttyS0 quiet".into(),
    };
    config.vsock = Some(Vsock { cid: 3, socket: directory.join("vsock.sock") });
    config.console = Console::File(directory.join("console.log"));
    config
}

/// How the program is started for a VM whose run directory is `directory`.
pub fn launch(directory: &Path) -> Launch {
    let mut launch = Launch::new(&given("SANDGLASS_VMM"), &directory.join("control.sock"));
    launch.errors = Some(directory.join("errors.log"));
    launch.arguments = vec!["--log".into(), directory.join("events.log").into()];
    launch.timeout = PATIENCE;
    launch
}

/// A running VM.
pub struct Running {
    pub vm: Vm,
    pub directory: PathBuf,
    ready: UnixListener,
}

impl Running {
    /// Boots, and waits until the guest serves.
    pub fn boot(directory: &Path, config: &VmConfig) -> Self {
        let ready = listen(directory, READY);
        let vm = launch(directory).boot(config).unwrap_or_else(|error| panic!("{error}\n{}", said(directory)));
        let mut running = Self { vm, directory: directory.to_owned(), ready };
        running.client().start().expect("it starts");
        running.wait_ready();
        running
    }

    /// A VM that goes on from elsewhere; `listen` on its directory must have come before it runs.
    pub fn adopt(vm: Vm, directory: &Path, ready: UnixListener) -> Self {
        Self { vm, directory: directory.to_owned(), ready }
    }

    /// What the guest says when it serves, or has noticed a new generation: `ready GENERATION BOOT_ID`.
    pub fn wait_ready(&mut self) -> String {
        let (mut stream, _) = accept(&self.ready, &self.directory);
        let mut line = String::new();
        stream.read_to_string(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    pub fn client(&mut self) -> &mut Client {
        &mut self.vm.client
    }

    /// A connection to the guest's first process.
    pub fn guest(&self) -> Guest {
        Guest::connect(&self.directory.join("vsock.sock"))
    }

    /// One request on a connection of its own.
    pub fn ask(&self, request: &str) -> String {
        self.guest().ask(request)
    }

    /// Ends it, and gives its exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.client().stop(true).expect("it stops");
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Option<i32> {
        self.vm.child.wait().expect("it ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // What a failed test leaves running would slow down those after it.
            let _ = self.vm.child.kill();
            let _ = self.vm.child.wait();
        }
    }
}

/// The host's end of a port that guests connect to.
pub fn listen(directory: &Path, port: u32) -> UnixListener {
    let path = directory.join(format!("vsock.sock_{port}"));
    let listener = UnixListener::bind(&path).expect("a socket");
    // The VM's process is a user of its own.
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("its mode");
    listener
}

/// The next connection, within the time that tests have.
pub fn accept(listener: &UnixListener, directory: &Path) -> (UnixStream, std::os::unix::net::SocketAddr) {
    let mut fds = [rustix::event::PollFd::new(listener, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
    let ready = rustix::event::poll(&mut fds, Some(&limit)).expect("poll");
    assert!(ready > 0, "no guest came\n{}", said(directory));
    let accepted = listener.accept().expect("a connection");
    accepted.0.set_read_timeout(Some(PATIENCE)).expect("a limit");
    accepted
}

/// A connection to the guest's first process, one line a request.
pub struct Guest(BufReader<UnixStream>);

impl Guest {
    pub fn connect(socket: &Path) -> Self {
        Self(BufReader::new(dial(socket, REQUESTS)))
    }

    /// The reply, which must be `ok …`: what follows that word.
    pub fn ask(&mut self, request: &str) -> String {
        let reply = self.reply(request);
        let rest = reply.strip_prefix("ok").unwrap_or_else(|| panic!("{request}: {reply}"));
        rest.trim().to_owned()
    }

    /// The reply, whatever it is.
    pub fn reply(&mut self, request: &str) -> String {
        self.0.get_mut().write_all(format!("{request}\n").as_bytes()).expect("the guest reads");
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap_or_else(|error| panic!("{request}: {error}"));
        line.trim_end().to_owned()
    }
}

/// A connection to a port of the guest.
///
/// A guest that has just gone on as another resets its sockets when its kernel gets to it, and a busy one
/// may not answer in time: then the VM closes the connection, which is made again, as `docs/vmm.md` says.
pub fn dial(socket: &Path, port: u32) -> UnixStream {
    const PAUSE: Duration = Duration::from_millis(50);
    let start = Instant::now();
    loop {
        match try_dial(socket, port) {
            Ok(Some(stream)) => return stream,
            Ok(None) => {}
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {}
            Err(error) => panic!("port {port}: {error}"),
        }
        assert!(start.elapsed() < PATIENCE, "the guest doesn't take connections to port {port}");
        // The guest needs the processor for what is waited for.
        std::thread::sleep(PAUSE);
    }
}

fn try_dial(socket: &Path, port: u32) -> std::io::Result<Option<UnixStream>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("CONNECT {port}\n").as_bytes())?;
    let mut line = Vec::new();
    let mut byte = [0];
    // No byte after the line may be taken: it is the guest's.
    while stream.read(&mut byte)? == 1 && byte != *b"\n" {
        line.extend(byte);
    }
    Ok(line.starts_with(b"OK ").then_some(stream))
}

/// What a VM has said, for a test that fails.
pub fn said(directory: &Path) -> String {
    let text = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap_or_default();
    format!("errors: {}\nevents: {}\nconsole: {}", text("errors.log"), text("events.log"), text("console.log"))
}
