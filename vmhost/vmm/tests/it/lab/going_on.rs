//! VMs that go on from a moment of another: snapshots, restores, clones, and the program's own commands.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Output, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use vmm_control::spawn::{ChildOptions, Vm, clone_vm, fresh_overlays, keep_or_discard};
use vmm_control::{Client, ClientError, Console, Disk, Inherited, RateLimit, SnapshotDone, SnapshotKind, VmConfig};

use super::vm::{PATIENCE, Running, given, launch, listen, said};

/// A disk of zeros in `directory`, whose writes go to an overlay.
pub fn disk(directory: &Path, id: &str, bytes: u64) -> Disk {
    let path = directory.join(format!("{id}.img"));
    let overlay = Some(directory.join(format!("{id}.top")));
    File::create(&path).and_then(|file| file.set_len(bytes)).expect("a disk");
    Disk { id: id.into(), path, read_only: false, overlay, rate: RateLimit::default() }
}

/// A snapshot of a VM that runs on, into a directory that is made if missing.
pub fn snapshot(vm: &mut Running, into: &Path, kind: SnapshotKind) -> SnapshotDone {
    let directory = vm.directory.clone();
    try_snapshot(vm.client(), &directory, into, kind).unwrap_or_else(|error| panic!("{error}\n{}", said(&directory)))
}

/// The same, which may be refused; fresh overlays lie in `overlays`.
pub fn try_snapshot(
    client: &mut Client,
    overlays: &Path,
    into: &Path,
    kind: SnapshotKind,
) -> Result<SnapshotDone, ClientError> {
    fs::create_dir_all(into).expect("a directory");
    let opened = File::open(into).expect("it opens");
    let fresh = fresh_overlays(&client.info()?.config, overlays).expect("overlays");
    let names: Vec<_> = fresh.iter().map(|(overlay, _)| overlay.clone()).collect();
    keep_or_discard(&names, client.snapshot(opened.into(), kind, true, fresh))
}

/// A VM that goes on from a snapshot, by `vmm restore`, and has said that it knows.
pub fn restore(directory: &Path, snapshots: &[&Path]) -> Running {
    let mut running = restore_paused(directory, snapshots, &[]);
    running.client().resume().expect("it runs");
    let ready = running.wait_ready();
    assert!(ready.starts_with("ready ") && !ready.starts_with("ready 0"), "{ready}");
    running
}

/// The same with more options, before its first instruction.
pub fn restore_paused(directory: &Path, snapshots: &[&Path], options: &[&str]) -> Running {
    let (result, ready) = try_restore(directory, snapshots, options);
    Running::adopt(result.unwrap_or_else(|text| panic!("{text}\n{}", said(directory))), directory, ready)
}

/// What `vmm restore` says when it can't; its exit code must be 1.
pub fn refused_restore(directory: &Path, snapshots: &[&Path], options: &[&str]) -> String {
    match try_restore(directory, snapshots, options).0 {
        Ok(_) => panic!("it goes on from {snapshots:?}"),
        Err(text) => text,
    }
}

fn try_restore(directory: &Path, snapshots: &[&Path], options: &[&str]) -> (Result<Vm, String>, UnixListener) {
    fs::create_dir_all(directory).expect("a directory");
    let ready = listen(directory, 1025);
    let mut command = program("restore", directory);
    command.arg("--paused").args(options).args(snapshots);
    (start(command, directory), ready)
}

/// `vmm run` or `vmm restore` for the run directory `directory`.
fn program(verb: &str, directory: &Path) -> Command {
    let mut command = Command::new(given("SANDGLASS_VMM"));
    command.arg(verb).arg("--control").arg(directory.join("control.sock"));
    command.arg("--log").arg(directory.join("events.log"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Waits until the VM's process listens, or has said why it never will.
fn start(mut command: Command, directory: &Path) -> Result<Vm, String> {
    let (mut near, far) = UnixStream::pair().expect("sockets");
    near.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let errors = directory.join("errors.log");
    command.arg("--ready-fd").arg(far.as_raw_fd().to_string()).stderr(File::create(&errors).expect("a file"));
    Inherited::pass(&mut command, &[far.as_fd()]);
    let mut child = command.spawn().expect("the program runs");
    drop((far, command));
    let mut word = Vec::new();
    near.read_to_end(&mut word).expect("its word or its end");
    if !String::from_utf8_lossy(&word).contains("\"ready\"") {
        assert_eq!(child.wait().expect("it ends").code(), Some(1));
        return Err(fs::read_to_string(&errors).expect("its words"));
    }
    let client = Client::connect(&directory.join("control.sock")).expect("it answers");
    Ok(Vm { child, client })
}

/// Boots by `vmm run` with its console on pipes, for `Terminal::of`; waits until the guest serves.
pub fn boot_in_terminal(directory: &Path, mut config: VmConfig) -> Running {
    config.console = Console::Stdio;
    let file = directory.join("config.json");
    fs::write(&file, serde_json::to_vec(&config).expect("JSON")).expect("a file");
    let ready = listen(directory, 1025);
    let mut command = program("run", directory);
    command.arg("--config").arg(file);
    let vm = start(command, directory).unwrap_or_else(|text| panic!("{text}"));
    let mut running = Running::adopt(vm, directory, ready);
    running.wait_ready();
    running
}

/// A serial console as a terminal has it: what a guest does there survives a restore, which ends vsock connections.
pub struct Terminal {
    input: ChildStdin,
    output: ChildStdout,
    seen: Vec<u8>,
}

impl Terminal {
    /// That of a process with `--console stdio`.
    pub fn of(vm: &mut Running) -> Self {
        let child = &mut vm.vm.child;
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Self { input, output, seen: Vec::new() }
    }

    /// Types a line.
    pub fn ask(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).expect("the VM reads");
    }

    /// The next reply of the guest's first process, as it is; other lines are the kernel's or announcements.
    pub fn reply(&mut self) -> String {
        loop {
            while let Some(end) = self.seen.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.seen.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if line.starts_with("ok") || line.starts_with("error ") {
                    return line;
                }
            }
            self.fill();
        }
    }

    fn fill(&mut self) {
        let mut fds = [PollFd::new(&self.output, PollFlags::IN)];
        let limit = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
        let ready = poll(&mut fds, Some(&limit)).expect("poll");
        assert!(ready > 0, "the console is silent: {}", String::from_utf8_lossy(&self.seen));
        let mut bytes = [0; 4096];
        let count = self.output.read(&mut bytes).expect("output");
        assert!(count > 0, "the console has ended: {}", String::from_utf8_lossy(&self.seen));
        self.seen.extend(&bytes[..count]);
    }
}

/// Children of a running VM, paused, in directories of these names beside its own; all of one moment.
pub fn clones(parent: &mut Running, root: &Path, names: &[String]) -> Vec<Running> {
    let directories: Vec<PathBuf> = names.iter().map(|name| root.join(name)).collect();
    let listeners: Vec<_> = directories
        .iter()
        .map(|directory| {
            fs::create_dir_all(directory).expect("a directory");
            listen(directory, 1025)
        })
        .collect();
    let options: Vec<_> = directories
        .iter()
        .map(|directory| ChildOptions {
            run_directory: directory.clone(),
            launch: launch(directory),
            vsock: None,
            networks: vec![],
            console: Console::Off,
        })
        .collect();
    let overlays = parent.directory.clone();
    let vms = clone_vm(parent.client(), &overlays, &options).unwrap_or_else(|error| panic!("{error}"));
    vms.into_iter().zip(&directories).zip(listeners).map(|((vm, at), ready)| Running::adopt(vm, at, ready)).collect()
}

/// One child, which runs and knows that it is another.
pub fn child(parent: &mut Running, root: &Path, name: &str) -> Running {
    let mut child = clones(parent, root, &[name.to_owned()]).remove(0);
    child.client().resume().expect("it runs");
    let ready = child.wait_ready();
    assert!(!ready.starts_with("ready 0"), "{ready}");
    child
}

/// Runs the program to its end.
pub fn tool<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    Command::new(given("SANDGLASS_VMM")).args(arguments).stdin(Stdio::null()).output().expect("the program runs")
}

/// The same, which must succeed: its output.
pub fn tool_says<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    let Output { status, stdout, stderr } = tool(arguments);
    assert_eq!(status.code(), Some(0), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8_lossy(&stdout).into_owned()
}

/// The id of the snapshot in the first directory, all of whose bytes are read and compared.
pub fn verified(snapshots: &[&Path]) -> String {
    let mut words: Vec<&OsStr> = vec!["verify".as_ref(), "--json".as_ref()];
    words.extend(snapshots.iter().map(|path| path.as_os_str()));
    let answer: serde_json::Value = serde_json::from_str(&tool_says(&words)).expect("JSON");
    answer["id"].as_str().expect("an id").to_owned()
}

/// What the directory's files take on the disk: memory files have holes.
pub fn used_bytes(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = fs::read_dir(directory).expect("a directory").flatten();
    entries.map(|entry| File::open(entry.path()).and_then(|file| file.metadata()).expect("a file").blocks() * 512).sum()
}

/// One value of a reply: `checksum` of `bytes=1 checksum=2`.
pub fn value<'a>(reply: &'a str, key: &str) -> &'a str {
    let found = reply.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {key} in {reply}"))
}
