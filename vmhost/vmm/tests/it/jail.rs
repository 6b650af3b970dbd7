//! What a process can still do once it is shut in.
//!
//! Each case runs in a process of its own: this binary again, with a case's name
//! in its environment.

use std::fs;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, Output};

use vmm::jail::seccomp::{REFUSED, Thread, confine, report_refusals};
use vmm::jail::{Identity, Jail};

const CASE: &str = "VMM_TEST_CASE";
const FOLDER: &str = "VMM_TEST_FOLDER";

/// Runs one case of `inside` in a jail and gives what it wrote and how it ended.
fn run(case: &str) -> (String, Option<i32>) {
    let folder = std::env::temp_dir().join(format!("vmm-jail-{case}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the test");
    fs::write(folder.join("kept"), "kept").expect("a file for the test");
    let Output { status, stdout, stderr } = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "jail::inside", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .env(FOLDER, &folder)
        .output()
        .expect("this binary runs");
    fs::remove_dir_all(&folder).expect("the folder is there");
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    assert_eq!(status.signal(), None, "{text}");
    (text, status.code())
}

fn check(case: &str, expected: &str) {
    let (text, code) = run(case);
    assert!(text.lines().any(|line| line == expected), "{text}");
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn no_path_leads_out() {
    check("path", "/etc/passwd: NotFound, /proc/self/maps: NotFound, /run/kept: kept");
}

#[test]
fn nothing_can_be_written_beside_the_run_directory() {
    check("write", "/new: ReadOnlyFilesystem");
}

#[test]
fn there_is_no_network() {
    check("network", "NetworkUnreachable");
}

#[test]
fn no_capability_and_no_root_is_left() {
    check("identity", "root: false, capabilities: 0, setuid: false");
}

#[test]
fn a_forbidden_call_ends_the_process_and_is_named() {
    for thread in ["vcpu", "device", "worker"] {
        let (text, code) = run(thread);
        assert!(text.contains("forbidden system call 59"), "execve is 59: {text}");
        assert_eq!(code, Some(REFUSED), "{text}");
    }
}

/// Not a test by itself: what the others run.
#[test]
#[ignore = "runs in a process of its own, started by the other tests of this module"]
fn inside() {
    let (Ok(case), Ok(folder)) = (std::env::var(CASE), std::env::var(FOLDER)) else { return };
    let run_directory = PathBuf::from(folder);
    Jail { run_directory, identity: Identity::Unique, limits: None }.enter().expect("the jail holds");
    match case.as_str() {
        "path" => {
            let seen = ["/etc/passwd", "/proc/self/maps", "/run/kept"].map(|path| match fs::read_to_string(path) {
                Ok(text) => format!("{path}: {text}"),
                Err(error) => format!("{path}: {:?}", error.kind()),
            });
            say(&seen.join(", "));
        }
        "write" => {
            let kind = fs::write("/new", "").expect_err("the root is read-only").kind();
            say(&format!("/new: {kind:?}"));
        }
        "network" => {
            let kind = std::net::TcpStream::connect("192.0.2.1:80").expect_err("no way out").kind();
            say(&format!("{kind:?}"));
        }
        "identity" => {
            let root = rustix::process::geteuid().is_root();
            let sets = rustix::thread::capabilities(None).expect("the kernel tells");
            let count = (sets.effective | sets.permitted | sets.inheritable).iter().count();
            let setuid = rustix::thread::set_thread_uid(rustix::fs::Uid::ROOT).is_ok();
            say(&format!("root: {root}, capabilities: {count}, setuid: {setuid}"));
        }
        thread => {
            report_refusals().expect("a handler");
            let thread = match thread {
                "vcpu" => Thread::Vcpu,
                "device" => Thread::Device,
                _ => Thread::Worker,
            };
            confine(thread).expect("seccomp");
            let _ = Command::new("/run/kept").exec();
        }
    }
}

fn say(line: &str) {
    // On a line of its own, whatever the test harness has begun.
    eprintln!("\n{line}");
}
