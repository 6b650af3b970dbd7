//! The life of PID 1: report, mount, obey the command line, serve, reap.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::cmdline::Settings;
use crate::guest::{Guest, HostSide};
use crate::sys::{clock, kernel, netdev, ports, process};
use crate::{console, generation, server, verbs};

/// The port and value that mean "init runs" to a VMM that watches for it.
const MARK: (u16, u8) = (0x3f0, 123);

/// Open files that PID 1 allows itself.
const FILE_LIMIT: u64 = 1 << 16;

/// File systems in the order of their mounting: type and place. `/proc` is mounted before them.
const MOUNTS: [(&str, &str); 4] =
    [("devtmpfs", "/dev"), ("sysfs", "/sys"), ("tmpfs", "/tmp"), ("cgroup2", "/sys/fs/cgroup")];

/// Runs as PID 1 and never returns, as the kernel panics when PID 1 ends.
pub fn run() -> ! {
    let up_us = clock::monotonic_us();
    let proc = mount("proc", "/proc");
    let settings = Settings::parse(&fs::read_to_string("/proc/cmdline").unwrap_or_default());
    // Before the first line, which costs far more exits than all of this.
    let mark = if settings.mark_port { mark() } else { Ok(()) };
    let has_console = process::is_open(1);
    let up = format!("up at {up_us} us");
    if has_console {
        console::say(&up);
    }
    let mounts = MOUNTS.map(|(kind, place)| (kind, mount(kind, place)));
    if !has_console && open_console().is_ok() {
        console::say(&up);
    }
    complain("proc", proc);
    complain("mark", mark);
    for (kind, mounted) in mounts {
        complain(kind, mounted);
    }
    complain("file limit", process::raise_file_limit(FILE_LIMIT));
    complain("loopback", loopback());
    for word in &settings.unknown {
        console::say(&format!("command line: error unknown word sandglass.{word}"));
    }
    let children = process::Children::block();
    serve(&settings);
    children.reap_forever()
}

fn serve(settings: &Settings) {
    let guest = Arc::new(Guest::new(HostSide::Vsock));
    for request in &settings.requests {
        let reply = verbs::run(&guest, request);
        console::say(&format!("{}: {}", request.split(' ').next().unwrap_or_default(), reply.text));
        if let Some(end) = reply.end {
            end.happen();
        }
    }
    match server::serve_vsock(&guest) {
        Ok(()) => {
            let guest = Arc::clone(&guest);
            complain("announce", server::spawn("announce", move || drop(server::announce(&guest))));
        }
        Err(error) => console::say(&format!("vsock: error {error}")),
    }
    complain("kernel log", generation::watch(&guest));
    if settings.serial {
        // Typed requests would come back between replies. An input that isn't a terminal has no echo.
        let _ = process::no_echo(0);
        complain("serial", server::spawn("serial", move || complain("serial", server::serve_console(&guest))));
    }
    console::say("serving");
}

/// Tells the VMM that init runs.
fn mark() -> io::Result<()> {
    ports::write(MARK.0, MARK.1).or_else(|_| {
        // A kernel that grants no ports to programs may still have /dev/port.
        mount("devtmpfs", "/dev")?;
        ports::write(MARK.0, MARK.1)
    })
}

fn mount(kind: &str, place: &str) -> io::Result<()> {
    // A read-only root has these folders or lacks them for good; the mount tells.
    let _ = fs::create_dir_all(place);
    match kernel::mount(kind, place, kind, false) {
        // The kernel mounts devtmpfs itself when the root is a disk, and the mark may have, too.
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(()),
        result => result,
    }
}

fn open_console() -> io::Result<()> {
    let console = OwnedFd::from(fs::OpenOptions::new().read(true).write(true).open("/dev/console")?);
    process::adopt_console(&console)
}

fn loopback() -> io::Result<()> {
    netdev::set_address("lo", Ipv4Addr::LOCALHOST, Ipv4Addr::new(255, 0, 0, 0))?;
    netdev::set_up("lo")
}

/// Nothing that fails here is a reason not to serve.
fn complain(what: &str, result: io::Result<()>) {
    if let Err(error) = result {
        console::say(&format!("{what}: error {error}"));
    }
}
