//! Writers that end in the middle: by a signal at each step, or because the disk is full.
//!
//! A writer is this test binary once more, told by its environment what to do.

use std::process::{Command, Output};

use super::*;

const PLACE: &str = "VMM_TEST_SNAPSHOT_PLACE";
const CRASH_AT: &str = "VMM_TEST_SNAPSHOT_CRASH_AT";
const WRITER: &str = "snapshot::tests::crash::writer";
const FULL_DISK: &str = "snapshot::tests::crash::full_disk";

/// Runs one of the tests below in a process of its own.
fn command(test: &str, place: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", test, "--ignored", "--nocapture"]).env(PLACE, place);
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
#[ignore = "a part of others, run by them"]
fn writer() {
    let path = std::env::var_os(PLACE).expect("run by another test");
    let crash_at = std::env::var(CRASH_AT).ok().map(|at| at.parse::<u32>().expect("a number"));
    let place = File::open(path).expect("a directory");
    let mut vm = Vm::new();
    vm.write(1);
    vm.freeze();
    vm.write(2);
    let mut step = 0;
    let result = save(place.as_fd(), &vm.freeze(), 2, None, &mut |_| {
        // Ends the process as a signal from outside would: nothing is cleaned up.
        if crash_at == Some(step) {
            std::process::abort();
        }
        step += 1;
        ControlFlow::Continue(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Lets a writer of generation 2 crash at each of its steps, where there's a snapshot of generation `old` or none.
fn crash_everywhere(old: bool) {
    let mut replaced = 0;
    for at in 0.. {
        let place = Place::new();
        if old {
            let mut vm = Vm::new();
            vm.write(1);
            save(place.fd(), &vm.freeze(), 1, None, &mut go_on).expect("written");
        }
        let output = command(WRITER, &place.path).env(CRASH_AT, at.to_string()).output().expect("it runs");
        let finished = output.status.success();
        match place.open() {
            Ok(snapshot) if snapshot.machine == b"machine 2" => {
                check(&snapshot, 2);
                replaced += 1;
            }
            Ok(snapshot) => check(&snapshot, 1),
            Err(error) => assert!(!old && matches!(error, OpenError::Missing), "step {at}: {error}"),
        }
        // Whatever is left over, the next writer removes.
        let mut vm = Vm::new();
        vm.write(1);
        save(place.fd(), &vm.freeze(), 1, None, &mut go_on).expect("written");
        check(&place.open().expect("readable"), 1);
        assert_eq!(place.names().len(), 2, "step {at}: {:?}", place.names());
        if finished {
            assert!(at > 10, "only {at} steps: {}", text(&output));
            // The crashes after the commit, and the run without one.
            assert_eq!(replaced, 3);
            return;
        }
    }
}

#[test]
fn a_killed_writer_leaves_the_old_snapshot_or_the_new_one() {
    crash_everywhere(true);
}

#[test]
fn a_killed_first_writer_leaves_no_snapshot_or_a_complete_one() {
    crash_everywhere(false);
}

#[test]
fn a_full_disk_is_an_error_and_the_old_snapshot_stays() {
    let place = Place::new();
    // A tmpfs of 1 MiB that only the child sees; who may not mount one may in a user namespace.
    let mount = r#"mount -t tmpfs -o size=1m none "$VMM_TEST_SNAPSHOT_PLACE" || exit 99"#;
    let mut command = Command::new("unshare");
    let program = std::env::current_exe().expect("this binary");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "sh", "-c", &format!("{mount}; exec \"$@\""), "sh"]);
    command.arg(program).args(["--exact", FULL_DISK, "--ignored", "--nocapture"]).env(PLACE, &place.path);
    let output = command.output().expect("unshare is installed");
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
#[ignore = "a part of another, run by it"]
fn full_disk() {
    let path = PathBuf::from(std::env::var_os(PLACE).expect("run by another test"));
    let place = File::open(&path).expect("a directory");
    let mut vm = Vm::new();
    vm.write(1);
    let record = save(place.as_fd(), &vm.freeze(), 1, None, &mut go_on).expect("240 KiB fit");
    let before = names(&path);
    for page in 1000..1300 {
        vm.ram.memory().write_obj(page, GuestAddress(page * PAGE_BYTES)).expect("in memory");
    }
    let error = save(place.as_fd(), &vm.freeze(), 2, None, &mut go_on).expect_err("1.2 MiB don't").to_string();
    assert!(error.contains("cannot write: No space left on device") && error.contains("make room there"), "{error}");
    assert_eq!(names(&path), before);
    let snapshot = Snapshot::open(place.as_fd(), &[]).expect("readable");
    // To restore it here wouldn't do: tmpfs takes room for a hole that is read through a mapping.
    snapshot.verify(|_| ControlFlow::Continue(())).expect("intact");
    assert_eq!((snapshot.record(), snapshot.machine), (record, b"machine 1".to_vec()));
}
