//! The `vmm` program against a served socket.

use std::process::{Command, Output};

use expect_test::{Expect, expect};

use super::fixture::{Directory, Served};

fn vmm(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmm"));
    command.args(arguments).env_remove("XDG_RUNTIME_DIR").output().expect("vmm")
}

/// Exit code, standard output and standard error, with paths made the same everywhere.
#[allow(clippy::needless_pass_by_value, reason = "expectations are given away")]
fn check(served: &Served, arguments: &[&str], expected: Expect) {
    let socket = served.socket.to_str().expect("UTF-8");
    let output = vmm(&[arguments, &["--control", socket]].concat());
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).replace(socket, "SOCKET");
        text.replace(&std::process::id().to_string(), "PID")
    };
    let found =
        format!("{}\n{}{}", output.status.code().map_or(-1, |code| code), text(&output.stdout), text(&output.stderr));
    expected.assert_eq(&found);
}

#[test]
fn verbs_print_words_or_json() {
    let served = Served::start();
    check(
        &served,
        &["pause"],
        expect![[r#"
        0
    "#]],
    );
    check(
        &served,
        &["info"],
        expect![[r#"
        0
        running, process PID
        1 vCPUs, 64 MiB, kernel vmlinux
        up 2.000 s, running 1.500 s
        generation 0123
        block:root       in use
    "#]],
    );
    check(
        &served,
        &["info", "--json"],
        expect![[r#"
            0
            {"pid":PID,"user":0,"state":"running","config":{"boot":{"kernel":"vmlinux","initramfs":null,"command_line":""},"vcpus":1,"memory_mib":64,"huge_pages":false,"cpu":"host","console":"off","disks":[{"id":"root","path":"root.img","read_only":false,"overlay":"top","rate":{"bytes":null,"operations":null}}],"networks":[],"vsock":{"cid":3,"socket":"v"},"balloon":null,"entropy":true},"uptime_us":2000000,"running_us":1500000,"parent":null,"generation":"0123","devices":[{"name":"block:root","ready":true,"faulted":false}]}
        "#]],
    );
    check(
        &served,
        &["start"],
        expect![[r#"
        1
        error: `start` needs a VM that is created; this one is running
    "#]],
    );
    check(
        &served,
        &["balloon", "64"],
        expect![[r#"
        1
        error: the request was given up without an answer
    "#]],
    );
    check(
        &served,
        &["balloon"],
        expect![[r#"
        1
        error: this VM only pretends
        remedy: boot one
    "#]],
    );
    check(
        &served,
        &["resume", "--json"],
        expect![[r#"
        1
        {"error":"this VM only pretends","code":"unsupported","remedy":"boot one"}
    "#]],
    );
    check(
        &served,
        &["rate", "--bytes", "5"],
        expect![[r#"
        2
        error: the following required arguments were not provided:
          <--disk <ID>|--send <ID>|--receive <ID>>

        Usage: vmm rate --bytes <PER_SECOND[:BURST]> --control <SOCKET> <--disk <ID>|--send <ID>|--receive <ID>>

        For more information, try '--help'.
    "#]],
    );
    check(
        &served,
        &["rate", "--disk", "root", "--bytes", "5:x"],
        expect![[r#"
        2
        error: invalid value '5:x' for '--bytes <PER_SECOND[:BURST]>': expected one or two numbers from 1, like 1000000 or 1000000:8000000

        For more information, try '--help'.
    "#]],
    );
    check(
        &served,
        &["clone", "3"],
        expect![[r#"
        1
        error: the children need names: use --prefix
    "#]],
    );
    check(
        &served,
        &["clone", "3", "--prefix", "a", "--network", "eth0=bridge"],
        expect![[r#"
        1
        error: `eth0=bridge` is no network: expected ID=tap:NAME or ID=passt:SOCKET
    "#]],
    );
}

#[test]
fn a_snapshot_takes_a_directory_and_makes_overlays() {
    let served = Served::start();
    let directory = Directory::new();
    let (to, overlays) = (directory.0.join("snapshot"), directory.0.join("overlays"));
    std::fs::create_dir(&overlays).expect("a directory");
    let arguments = ["snapshot", to.to_str().expect("UTF-8"), "--overlays", overlays.to_str().expect("UTF-8")];
    check(
        &served,
        &arguments,
        expect![[r#"
            0
            snapshot s1: 0 KiB of memory in 2 µs, the guest stood still for 1 µs
        "#]],
    );
    assert_eq!(std::fs::read_to_string(to.join("state")).expect("a file"), "a snapshot");
    assert_eq!(std::fs::read_dir(overlays).expect("a directory").count(), 1);
}

#[test]
fn events_go_on_until_the_end() {
    let served = Served::start();
    let socket = served.socket.to_str().expect("UTF-8");
    check(
        &served,
        &["pause"],
        expect![[r#"
        0
    "#]],
    );
    let mut events = Command::new(env!("CARGO_BIN_EXE_vmm"))
        .args(["events", "--replay", "--json", "--control", socket])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("vmm");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(events.stdout.take().expect("piped")));
    let mut next = || lines.next().map(|line| line.expect("text"));
    assert!(next().expect("a line").ends_with(r#""event":"paused"}"#));
    check(
        &served,
        &["stop"],
        expect![[r#"
        0
    "#]],
    );
    assert!(next().expect("a line").ends_with(r#""event":"exit","reason":"stopped"}"#));
    assert_eq!(next(), None);
    assert!(events.wait().expect("an end").success());
}

#[test]
fn a_list_shows_the_living_and_the_dead() {
    let served = Served::start();
    let root = Directory::new();
    for name in ["alive", "dead", "no-vm"] {
        std::fs::create_dir(root.0.join(name)).expect("a directory");
    }
    std::os::unix::fs::symlink(&served.socket, root.0.join("alive/control.sock")).expect("a link");
    drop(std::os::unix::net::UnixListener::bind(root.0.join("dead/control.sock")).expect("a socket"));
    let root = root.0.to_str().expect("UTF-8").to_owned();
    let output = vmm(&["ls", "--run-root", &root]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[1].starts_with("alive ") && lines[1].ends_with("running       1   64 MiB         2s"), "{text}");
    assert!(lines[2].starts_with("dead ") && lines[2].ends_with("- gone"), "{text}");

    let output = vmm(&["pause", "--vm", "alvie", "--run-root", &root]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.starts_with("error: no VM answers at "), "{words}");
    assert!(words.ends_with("; the VMs here are alive, dead\n"), "{words}");
    assert_eq!(output.status.code(), Some(1));
}
