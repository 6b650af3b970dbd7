//! Whoever is killed, at whatever moment: snapshots are whole, and the others live on.

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use vmm_control::{Client, EventKind, SnapshotKind};

use super::going_on::{
    child, disk, restore, restore_paused, snapshot, tool, try_snapshot, used_bytes, value, verified,
};
use super::vm::{Directory, PATIENCE, Running, config, given, said};

/// Changes in a directory, as they happen.
struct Changes(OwnedFd);

impl Changes {
    fn of(directory: &Path) -> Self {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("inotify");
        let changes =
            WatchFlags::CREATE | WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE | WatchFlags::MOVE | WatchFlags::DELETE;
        inotify::add_watch(&inotify, directory, changes).expect("it watches");
        Self(inotify)
    }

    /// Waits for that many, or until the other end of `over` is closed; how many there were.
    fn wait(&self, count: usize, over: &UnixStream) -> usize {
        let limit = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.0, &mut buffer);
        let mut seen = 0;
        while seen < count {
            if reader.next().is_ok() {
                seen += 1;
                continue;
            }
            let mut fds = [PollFd::new(&self.0, PollFlags::IN), PollFd::new(over, PollFlags::IN)];
            assert!(poll(&mut fds, Some(&limit)).expect("poll") > 0, "nothing changes");
            if fds[0].revents().is_empty() {
                break;
            }
        }
        seen
    }
}

/// A snapshot in `kept`, and what memory it is of.
struct Kept<'a> {
    directory: &'a Path,
    id: String,
    checksum: String,
}

/// Restores what is kept, changes it, and kills it after so many changes of the directory while it writes the
/// result in the old one's place; how many there were.
fn kill_after(count: usize, root: &Path, kept: &mut Kept<'_>) -> usize {
    let directory = root.join(format!("after-{count}"));
    let mut vm = restore(&directory, &[kept.directory]);
    assert_eq!(value(&vm.ask("mem-check"), "checksum"), kept.checksum);
    let filled = value(&vm.ask(&format!("mem-fill 4 {count}")), "checksum").to_owned();
    let changes = Changes::of(kept.directory);
    let (near, far) = UnixStream::pair().expect("sockets");
    let into = kept.directory.to_owned();
    let mut client = Client::connect_within(&directory.join("control.sock"), PATIENCE).expect("it answers");
    let writer = std::thread::spawn(move || {
        let result = try_snapshot(&mut client, &directory, &into, SnapshotKind::Full);
        drop(far);
        result
    });
    let seen = changes.wait(count, &near);
    vm.vm.child.kill().expect("it is ours");
    vm.vm.child.wait().expect("it ends");
    let result = writer.join().expect("no panic");
    let id = verified(&[kept.directory]);
    eprintln!("killed after {seen} changes: {}, {result:?}", if id == kept.id { "the old one" } else { "the new one" });
    match result {
        Ok(done) => assert_eq!(id, done.id, "what was said to be done is done"),
        Err(error) => assert!(!matches!(error, vmm_control::ClientError::Refused(_)), "{error}"),
    }
    if id != kept.id {
        (kept.id, kept.checksum) = (id, filled);
    }
    seen
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn a_vm_killed_while_it_writes_a_snapshot_leaves_the_old_or_the_new_one() {
    let directory = Directory::new();
    let mut parent = Running::boot(directory.path(), &config(directory.path()));
    let checksum = value(&parent.ask("mem-fill 4 1"), "checksum").to_owned();
    let place = directory.join("kept");
    let first = snapshot(&mut parent, &place, SnapshotKind::Full);
    assert_eq!(parent.stop(), Some(0));
    let mut kept = Kept { directory: &place, id: first.id, checksum };
    let all = kill_after(usize::MAX, directory.path(), &mut kept);
    // The beginning, the copy, and each step of the commit.
    let last = (2..=6).map(|before| all.saturating_sub(before));
    let mut counts: Vec<usize> = [1, all / 2].into_iter().chain(last).filter(|count| *count > 0).collect();
    counts.sort_unstable();
    counts.dedup();
    for count in counts {
        kill_after(count, directory.path(), &mut kept);
    }
    let vm = restore(&directory.join("in the end"), &[&place]);
    assert_eq!(value(&vm.ask("mem-check"), "checksum"), kept.checksum);
    assert_eq!(vm.stop(), Some(0));
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn the_others_live_on() {
    let directory = Directory::new();
    let mut config = config(directory.path());
    config.disks = vec![disk(directory.path(), "data", 8 << 20)];
    let mut parent = Running::boot(directory.path(), &config);
    let checksum = value(&parent.ask("mem-fill 4 1"), "checksum").to_owned();
    parent.ask("blk-write vda 0 1M 1");
    let control = directory.join("control.sock");

    // A client in the middle of a snapshot: the VM finishes it.
    let kept = directory.join("kept");
    fs::create_dir(&kept).expect("a directory");
    let mut events = Client::connect_within(&control, PATIENCE).expect("it answers");
    events.subscribe(false).expect("it tells");
    kill_when_changed(&kept, &["snapshot", "--control", path(&control), path(&kept)]);
    let done = loop {
        match events.next_event().expect("an event").kind {
            EventKind::SnapshotDone { id, .. } => break id,
            other => assert!(!matches!(other, EventKind::Exit { .. }), "{other:?}"),
        }
    };
    assert_eq!(verified(&[&kept]), done);
    let again = snapshot(&mut parent, &kept, SnapshotKind::Full);
    assert_eq!(verified(&[&kept]), again.id);

    // One in the middle of cloning.
    let root = directory.join("root");
    fs::create_dir(&root).expect("a directory");
    let words = ["clone", "--control", path(&control), "--run-root", path(&root), "--prefix", "gone", "--paused", "2"];
    kill_when_changed(&root, &words);
    assert_eq!(parent.ask("ping"), "pong");

    // The parent itself.
    let mut one = child(&mut parent, directory.path(), "one");
    parent.vm.child.kill().expect("it is ours");
    parent.vm.child.wait().expect("it ends");
    let two = child(&mut one, directory.path(), "two");
    for vm in [&one, &two] {
        assert_eq!(value(&vm.ask("mem-check"), "checksum"), checksum);
        vm.ask("blk-verify vda 0 1M 1");
    }
    for vm in [one, two] {
        assert_eq!(vm.stop(), Some(0));
    }
    // Those that were never told to run, if there are any, are in the way of nobody but the tests that follow.
    for number in 1..=2 {
        let socket = root.join(format!("gone-{number}/control.sock"));
        tool(&["stop", "--force", "--control", path(&socket)]);
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("plain text")
}

/// Runs the program and kills it at the first change in a directory, or after its end if there is none.
fn kill_when_changed(directory: &Path, words: &[&str]) {
    let changes = Changes::of(directory);
    let (near, far) = UnixStream::pair().expect("sockets");
    let mut command = Command::new(given("SANDGLASS_VMM"));
    // Its end closes the socket.
    command.args(words).stdin(Stdio::from(OwnedFd::from(far))).stdout(Stdio::null());
    let mut client = command.spawn().expect("it runs");
    drop(command);
    assert_eq!(changes.wait(1, &near), 1, "it changes something");
    client.kill().expect("it is ours");
    client.wait().expect("it ends");
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn a_full_file_system_leaves_the_old_snapshot_and_the_vm() {
    let directory = Directory::new();
    let mut vm = Running::boot(directory.path(), &config(directory.path()));
    let elsewhere = directory.join("elsewhere");
    snapshot(&mut vm, &elsewhere, SnapshotKind::Full);
    // As much as one snapshot takes, and a little more.
    let size = used_bytes(&elsewhere) + (8 << 20);
    let small = directory.join("small");
    fs::create_dir(&small).expect("a directory");
    let options = std::ffi::CString::new(format!("size={size}")).expect("no zero");
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("tmpfs", &small, "tmpfs", flags, Some(options.as_c_str())).expect("the lab's root may mount");

    let old = snapshot(&mut vm, &small, SnapshotKind::Full);
    let names = names(&small);
    let checksum = value(&vm.ask("mem-fill 32 3"), "checksum").to_owned();
    let error = try_snapshot(vm.client(), directory.path(), &small, SnapshotKind::Full).expect_err("no room");
    let text = error.to_string();
    for part in ["No space left on device", "make room there", "the snapshot that was there is unharmed"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(verified(&[&small]), old.id);
    assert_eq!(self::names(&small), names, "nothing is left of the new one");

    // It runs on, and its next snapshot lacks nothing that the failed one had.
    assert_eq!(value(&vm.ask("mem-check"), "checksum"), checksum);
    let new = snapshot(&mut vm, &elsewhere, SnapshotKind::Full);
    assert_eq!(verified(&[&elsewhere]), new.id);
    let restored = restore(&directory.join("restored"), &[&elsewhere]);
    assert_eq!(value(&restored.ask("mem-check"), "checksum"), checksum);
    assert_eq!(restored.stop(), Some(0));
    // The old one is as good as it was, also to go on from.
    let mut old = restore_paused(&directory.join("old"), &[&small], &[]);
    old.client().resume().expect("it runs");
    assert!(old.wait_ready().starts_with("ready 1 "), "{}", said(&directory.join("old")));
    assert_eq!(old.stop(), Some(0));
    assert_eq!(vm.stop(), Some(0));
    rustix::mount::unmount(&small, rustix::mount::UnmountFlags::DETACH).expect("it goes");
}

fn names(directory: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        fs::read_dir(directory).expect("a directory").flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    names
}
