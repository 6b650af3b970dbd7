//! The line protocol on connections: a thread each, a request line in, a reply line out.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::guest::{Guest, HostSide, port_path};
use crate::stream::Duplex as _;
use crate::sys::{self, process};
use crate::{console, services, verbs};

/// Port of the line protocol.
pub const REQUESTS: u32 = 1024;
/// Port of the host that hears `ready GENERATION BOOT_ID`.
pub const READY: u32 = 1025;

/// Longest request line in bytes; a peer that never ends its line can't make us hold more.
pub const LINE_LIMIT: u64 = 128 << 10;

/// How long the last reply may take to leave the guest before the machine ends.
const FAREWELL: Duration = Duration::from_millis(200);

/// What happens to each connection of a port.
type Handler = fn(&Arc<Guest>, UnixStream) -> io::Result<()>;

const SERVICES: [(u32, Handler); 4] = [
    (REQUESTS, requests),
    (services::ECHO, |_, stream| services::echo(stream)),
    (services::DISCARD, |_, stream| services::discard(stream)),
    (services::SOURCE, |_, stream| services::source(stream)),
];

/// Serves every port on vsock, each in a thread of its own, and returns.
pub(crate) fn serve_vsock(guest: &Arc<Guest>) -> io::Result<()> {
    for (port, handler) in SERVICES {
        let listener = sys::vsock::listen(port)?;
        let guest = Arc::clone(guest);
        spawn(&format!("accept-{port}"), move || accept_forever(&guest, || listener.accept(), handler))?;
    }
    Ok(())
}

/// Serves the line protocol on the unix socket `path`, and port N on `path_N`, as an ordinary
/// process. Returns only on failure.
///
/// # Errors
/// If a socket can't be made there.
pub fn serve_unix(path: &Path) -> io::Result<()> {
    process::ignore_broken_pipes();
    let guest = Arc::new(Guest::new(HostSide::Unix(path.to_owned())));
    for (port, handler) in SERVICES.into_iter().filter(|&(port, _)| port != REQUESTS) {
        let listener = UnixListener::bind(port_path(path, port))?;
        let guest = Arc::clone(&guest);
        spawn(&format!("accept-{port}"), move || accept_forever(&guest, || Ok(listener.accept()?.0), handler))?;
    }
    // Last, so that whoever sees this socket finds the others too.
    let listener = UnixListener::bind(path)?;
    let _ = announce(&guest);
    accept_forever(&guest, || Ok(listener.accept()?.0), requests)
}

/// Tells the host that this guest serves.
///
/// # Errors
/// If the host doesn't listen, which means that it doesn't want to know.
pub(crate) fn announce(guest: &Guest) -> io::Result<()> {
    let line = format!("ready {} {}\n", guest.generation.load(Ordering::Relaxed), verbs::boot_id());
    guest.host.connect(READY)?.write_all(line.as_bytes())
}

/// Serves the line protocol on the console. Returns when its input ends.
pub(crate) fn serve_console(guest: &Arc<Guest>) -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    while read_request(&mut input, &mut line)? {
        let reply = verbs::run(guest, &String::from_utf8_lossy(&line));
        console::print(&reply.text);
        if let Some(end) = reply.end {
            end.happen();
        }
    }
    Ok(())
}

fn requests(guest: &Arc<Guest>, stream: UnixStream) -> io::Result<()> {
    let mut writer = stream.handle()?;
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        match read_request(&mut reader, &mut line) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            // A peer that is gone doesn't read this.
            Err(error) => return writer.write_all(format!("error {error}\n").as_bytes()),
        }
        let reply = verbs::run(guest, &String::from_utf8_lossy(&line));
        writer.write_all(format!("{}\n", reply.text).as_bytes())?;
        if let Some(end) = reply.end {
            farewell(&writer);
            end.happen();
        }
    }
}

/// Reads one whole line; false at the end of input. What a peer left unfinished isn't obeyed: the
/// start of a request can be another request.
fn read_request(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    reader.take(LINE_LIMIT).read_until(b'\n', line)?;
    if line.len() as u64 == LINE_LIMIT && !line.ends_with(b"\n") {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "request line is too long"));
    }
    Ok(line.ends_with(b"\n"))
}

/// Waits until the peer took the last reply and closed, though not for long: what a socket has
/// accepted isn't yet with the host.
fn farewell(stream: &UnixStream) {
    let mut reader = stream;
    let _ = stream.set_patience(Some(FAREWELL)).and_then(|()| reader.read(&mut [0]));
}

fn accept_forever(guest: &Arc<Guest>, mut accept: impl FnMut() -> io::Result<UnixStream>, handler: Handler) -> ! {
    loop {
        let started = accept().and_then(|stream| {
            let guest = Arc::clone(guest);
            spawn("connection", move || {
                // A peer that went away ends its connection, nothing else.
                let _ = handler(&guest, stream);
            })
        });
        if let Err(error) = started {
            console::say(&format!("connection: error {error}"));
            // Out of descriptors or memory: without a pause this loop would eat the processor.
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Starts a thread that nobody waits for; unlike `thread::spawn` a failure is an error.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work).map(drop)
}

/// Stack of a thread in bytes; thousands of connections must fit beside what verbs hold.
const STACK: usize = 128 << 10;
