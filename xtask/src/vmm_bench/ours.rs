//! Our VMM, as its users run it: shut in, with a control socket and vsock.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};
use vmm_control::spawn::{Launch, Vm};
use vmm_control::{Boot, Client, Console, VmConfig, Vsock};

use super::PATIENCE;
use super::place::Place;

/// The guest's port for requests, and the host's port that the guest reports to.
const REQUESTS: u32 = 1024;
const READY: u32 = 1025;

/// A machine of `mib` with its console on standard output; its directory is `folder`.
pub fn command(place: &Place, folder: &Path, mib: usize, words: &str) -> Command {
    let mut command = Command::new(&place.vmm);
    command.arg("run").arg("--control").arg(folder.join("control.sock"));
    command.arg("--kernel").arg(&place.kernel).arg("--initramfs").arg(&place.initramfs);
    command.args(["--memory", &mib.to_string(), "--console", "stdio", "--cmdline", words]);
    command
}

/// A machine that runs, and whose guest serves.
pub struct Machine {
    vm: Vm,
    folder: PathBuf,
}

impl Machine {
    /// Boots one with vsock, told `words`, and waits until its guest serves.
    ///
    /// # Errors
    /// When it doesn't.
    pub fn boot(place: &Place, mib: usize, words: &str) -> anyhow::Result<Self> {
        let folder = place.folder()?;
        let mut config = VmConfig::parse(&format!(r#"{{"boot": {{"kernel": "k"}}, "memory_mib": {mib}}}"#), "bench")?;
        config.boot =
            Boot { kernel: place.kernel.clone(), initramfs: Some(place.initramfs.clone()), command_line: words.into() };
        config.vsock = Some(Vsock { cid: 3, socket: folder.join("vsock.sock") });
        config.console = Console::File(folder.join("console.log"));
        let ready = listen(&folder)?;
        let mut vm = Launch::new(&place.vmm, &folder.join("control.sock")).boot(&config)?;
        vm.client.set_timeout(Some(PATIENCE))?;
        vm.client.start()?;
        wait_ready(&ready)?;
        Ok(Self { vm, folder })
    }

    /// The connection to its control socket.
    pub fn client(&mut self) -> &mut Client {
        &mut self.vm.client
    }

    /// Its directory.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One request to its guest.
    ///
    /// # Errors
    /// When the guest can't.
    pub fn ask(&self, request: &str) -> anyhow::Result<String> {
        ask(&self.folder, request)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.vm.child.kill();
        let _ = self.vm.child.wait();
    }
}

/// The host's end of the port that guests report to.
///
/// # Errors
/// When the socket can't be made.
pub fn listen(folder: &Path) -> anyhow::Result<UnixListener> {
    let path = folder.join(format!("vsock.sock_{READY}"));
    let listener = UnixListener::bind(&path).context("a socket for the guest's report")?;
    // The VM's process is a user of its own.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).context("a socket's mode")?;
    Ok(listener)
}

/// Waits for what a guest reports.
///
/// # Errors
/// When the connection breaks.
pub fn wait_ready(listener: &UnixListener) -> anyhow::Result<String> {
    let (mut stream, _) = listener.accept().context("the guest's report")?;
    let mut line = String::new();
    stream.read_to_string(&mut line).context("the guest's report")?;
    Ok(line)
}

/// A connection to a port of the guest whose machine's directory is `folder`.
///
/// # Errors
/// When nobody listens.
pub fn dial(folder: &Path, port: u32) -> anyhow::Result<UnixStream> {
    let mut stream = UnixStream::connect(folder.join("vsock.sock")).context("the machine's vsock")?;
    stream.set_read_timeout(Some(PATIENCE)).context("a socket's limit")?;
    stream.write_all(format!("CONNECT {port}\n").as_bytes()).context("the machine's vsock")?;
    let (mut line, mut byte) = (Vec::new(), [0]);
    // No byte after the line may be taken: it is the guest's.
    while stream.read(&mut byte).context("the machine's vsock")? == 1 && byte != *b"\n" {
        line.extend(byte);
    }
    if !line.starts_with(b"OK ") {
        bail!("the guest's port {port}: {}", String::from_utf8_lossy(&line));
    }
    Ok(stream)
}

/// The guest's first reply after it went on elsewhere. Its driver first ends all connections that it has: a
/// connection that was made too early goes with them, and another one is made at once.
///
/// # Errors
/// When it never answers.
pub fn first_reply(folder: &Path) -> anyhow::Result<()> {
    let limit = Instant::now() + PATIENCE;
    loop {
        match ask(folder, "ping") {
            Ok(reply) if reply == "pong" => return Ok(()),
            Ok(reply) => bail!("the guest answers `{reply}`"),
            Err(error) if Instant::now() > limit => return Err(error),
            Err(_) => {}
        }
    }
}

/// One request to that guest.
///
/// # Errors
/// When the guest can't.
pub fn ask(folder: &Path, request: &str) -> anyhow::Result<String> {
    let mut stream = BufReader::new(dial(folder, REQUESTS)?);
    stream.get_mut().write_all(format!("{request}\n").as_bytes()).context("the guest")?;
    let mut reply = String::new();
    stream.read_line(&mut reply).context("the guest")?;
    match reply.trim_end().strip_prefix("ok") {
        Some(rest) => Ok(rest.trim_start().to_owned()),
        None => bail!("{request}: {}", reply.trim_end()),
    }
}
