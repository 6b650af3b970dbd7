//! The `vmm` program against VMs that run: each verb in words and as JSON, its errors and exit codes.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use serde_json::Value;
use vmm_control::{Balloon, Client, Mac, Network, NetworkBackend, RateLimit};

use super::going_on::{disk, refused_restore, restore_paused, snapshot, tool, tool_says, try_snapshot};
use super::vm::{Directory, PATIENCE, Running, config, given};

/// The program's verbs for one VM under a run root.
struct Vmm<'a> {
    root: &'a Path,
    name: &'a str,
}

impl Vmm<'_> {
    fn words<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        let root = self.root.to_str().expect("plain text");
        [words, &["--run-root", root, "--vm", self.name]].concat()
    }

    fn says(&self, words: &[&str]) -> String {
        tool_says(&self.words(words))
    }

    fn json(&self, words: &[&str]) -> Value {
        let text = self.says(&[&["--json"], words].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The exit code must be 1; its words.
    fn refuses(&self, words: &[&str]) -> String {
        let Output { status, stdout, stderr } = tool(&self.words(words));
        assert_eq!((status.code(), stdout.as_slice()), (Some(1), &[][..]), "{words:?}");
        String::from_utf8(stderr).expect("text")
    }

    /// One that ends with the VM.
    fn follows(&self, words: &[&str]) -> Child {
        let mut command = Command::new(given("SANDGLASS_VMM"));
        command.args(self.words(words)).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it runs")
    }
}

fn lines(child: Child) -> (Option<i32>, Vec<String>) {
    let Output { status, stdout, .. } = child.wait_with_output().expect("it ends");
    (status.code(), String::from_utf8(stdout).expect("text").lines().map(str::to_owned).collect())
}

fn boot(root: &Path, name: &str) -> Running {
    let home = root.join(name);
    std::fs::create_dir(&home).expect("a directory");
    let mut config = config(&home);
    config.disks = vec![disk(&home, "data", 1 << 20)];
    config.balloon = Some(Balloon { free_page_reporting: true, ..Balloon::default() });
    Running::boot(&home, &config)
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn every_verb_works_in_words_and_as_json() {
    let directory = Directory::new();
    let running = boot(directory.path(), "web1");
    let vmm = Vmm { root: directory.path(), name: "web1" };
    let root = directory.path().to_str().expect("plain text");
    let mut events = vmm.follows(&["--json", "events", "--replay"]);
    let mut output = BufReader::new(events.stdout.take().expect("a pipe"));
    let mut first = String::new();
    // It follows: from here on it hears all.
    output.read_line(&mut first).expect("a line");
    assert_eq!(serde_json::from_str::<Value>(&first).expect("JSON")["event"], "started");
    let wait = vmm.follows(&["--json", "wait"]);

    let list = tool_says(&["ls", "--run-root", root]);
    assert!(list.lines().any(|line| line.starts_with("web1 ") && line.contains(" running ")), "{list}");
    let list: Value = serde_json::from_str(&tool_says(&["--json", "ls", "--run-root", root])).expect("JSON");
    assert_eq!((&list[0]["name"], &list[0]["info"]["state"]), (&"web1".into(), &"running".into()), "{list}");

    let info = vmm.json(&["info"]);
    assert_eq!((&info["state"], &info["config"]["memory_mib"]), (&"running".into(), &128.into()), "{info}");
    assert_eq!(info["pid"], running.vm.child.id(), "{info}");
    let words = vmm.says(&["info"]);
    assert!(words.starts_with("running, process ") && words.contains("block:data       in use"), "{words}");

    running.ask("blk-write vda 0 64K 1");
    let stats = vmm.json(&["stats"]);
    let block = stats["devices"].as_array().expect("a list").iter().find(|device| device["name"] == "block:data");
    assert!(block.is_some_and(|block| block["counters"]["written_bytes"] == 64 << 10), "{stats}");
    assert!(stats["memory"]["guest_resident_kib"].as_u64() > Some(8 << 10), "{stats}");
    let words = vmm.says(&["stats"]);
    assert!(words.contains("memory of the guest ") && words.contains("written_bytes"), "{words}");

    assert_eq!(vmm.says(&["balloon", "16"]), "");
    let start = Instant::now();
    // The guest gives up memory when it gets round to it.
    while vmm.json(&["balloon"])["actual_mib"] != 16 {
        assert!(start.elapsed() < PATIENCE, "{}", vmm.says(&["balloon"]));
    }
    assert!(vmm.says(&["balloon"]).starts_with("given up 16 of 16 MiB asked for\n"));

    vmm.says(&["rate", "--disk", "data", "--bytes", "5000000:6000000"]);
    let rate = vmm.json(&["info"])["config"]["disks"][0]["rate"]["bytes"].clone();
    assert_eq!(rate, serde_json::json!({"per_second": 5_000_000, "burst": 6_000_000}));
    vmm.says(&["rate", "--disk", "data"]);
    assert!(vmm.refuses(&["rate", "--disk", "nope"]).contains("this VM has no device `block:nope`"));

    vmm.says(&["pause"]);
    assert_eq!(vmm.json(&["info"])["state"], "paused");
    let refused = vmm.refuses(&["balloon"]);
    assert!(refused.contains("this one is paused") && refused.contains("remedy: resume it first"), "{refused}");
    let refused: Value = serde_json::from_str(&vmm.refuses(&["--json", "balloon"])).expect("JSON");
    assert_eq!((&refused["code"], &refused["remedy"]), (&"wrong-state".into(), &"resume it first".into()));
    let generation = vmm.says(&["generation"]);
    assert!(generation.len() == 33 && vmm.says(&["info"]).contains(&generation), "{generation}");
    vmm.says(&["resume"]);
    assert!(vmm.refuses(&["start"]).contains("this one is running"));

    let kept = directory.join("kept");
    let done = vmm.json(&["snapshot", kept.to_str().expect("plain text")]);
    assert!(done["memory_bytes"].as_u64() > Some(0), "{done}");

    let nobody = Vmm { name: "nobody", ..vmm };
    let refused = nobody.refuses(&["info"]);
    assert!(refused.starts_with("error: no VM answers at "), "{refused}");
    assert!(refused.contains("the VMs here are web1"), "{refused}");

    assert_eq!(vmm.says(&["stop"]), "");
    assert_eq!(lines(wait), (Some(0), vec!["\"stopped\"".to_owned()]));
    assert_eq!(running.wait(), Some(0));
    let mut told: Vec<Value> =
        output.lines().map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON")).collect();
    assert_eq!(events.wait().expect("it ends").code(), Some(0));
    told.insert(0, serde_json::from_str(&first).expect("JSON"));
    let names: Vec<&str> = told.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(names, ["started", "paused", "resumed", "snapshot-done", "exit"]);
    assert_eq!((&told[3]["id"], &told[4]["reason"]), (&done["id"], &"stopped".into()));
    assert!(told.is_sorted_by_key(|event| event["at_us"].as_u64()), "{told:?}");

    assert!(vmm.refuses(&["info"]).starts_with("error: no VM answers at "));
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn a_vm_serves_several_clients_at_once() {
    let directory = Directory::new();
    let mut running = boot(directory.path(), "web1");
    let home = running.directory.clone();
    let control = home.join("control.sock");
    let connect = || Client::connect_within(&control, PATIENCE).expect("it answers");
    let (mut one, mut two, mut waiting) = (connect(), connect(), connect());
    let waiting = std::thread::spawn(move || waiting.wait());
    // While one has a snapshot written, which takes its time, the other gets its answers.
    let into = directory.join("kept");
    let writer = std::thread::spawn(move || try_snapshot(&mut one, &home, &into, vmm_control::SnapshotKind::Full));
    let mut answers = 0;
    while !writer.is_finished() {
        assert_eq!(two.info().expect("info").config.memory_mib, 128);
        answers += 1;
    }
    let done = writer.join().expect("no panic").expect("a snapshot");
    eprintln!("{answers} answers during a snapshot of {} ms", done.total_us / 1000);
    assert!(answers > 1, "{answers}");
    running.client().stop(true).expect("it stops");
    assert_eq!(waiting.join().expect("no panic").expect("its end"), vmm_control::ExitReason::Stopped);
    assert_eq!(running.wait(), Some(0));
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn disks_keep_what_was_written_when_a_vm_is_stopped() {
    let directory = Directory::new();
    let disk = disk(directory.path(), "data", 4 << 20);
    let boot = |name: &str| {
        let home = directory.join(name);
        std::fs::create_dir(&home).expect("a directory");
        let mut config = config(&home);
        config.disks = vec![disk.clone()];
        Running::boot(&home, &config)
    };
    // Neither is followed by a flush.
    let mut vm = boot("first");
    vm.ask("blk-write vda 0 1M 7");
    vm.client().stop(false).expect("it stops");
    assert_eq!(vm.wait(), Some(0));
    let vm = boot("second");
    vm.ask("blk-verify vda 0 1M 7");
    vm.ask("blk-write vda 1M 1M 8");
    vm.ask("poweroff");
    assert_eq!(vm.wait(), Some(0));
    let vm = boot("third");
    vm.ask("blk-verify vda 0 1M 7");
    vm.ask("blk-verify vda 1M 1M 8");
    assert_eq!(vm.stop(), Some(0));
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn a_restored_vm_gets_another_network() {
    let directory = Directory::new();
    let home = directory.join("web1");
    std::fs::create_dir(&home).expect("a directory");
    let mut config = config(&home);
    let none = RateLimit::default();
    config.networks = vec![Network {
        id: "eth0".into(),
        backend: NetworkBackend::Tap("lab-web1".into()),
        mac: Mac([2, 0, 0, 0, 0, 1]),
        send_rate: none,
        receive_rate: none,
    }];
    // Devices are opened before the process is shut in, so a name that is free makes one.
    let mut vm = Running::boot(&home, &config);
    let kept = directory.join("kept");
    snapshot(&mut vm, &kept, vmm_control::SnapshotKind::Full);
    let refused = refused_restore(&directory.join("none"), &[&kept], &[]);
    assert!(refused.contains("network `eth0` needs a backend of its own"), "{refused}");
    let refused = refused_restore(&directory.join("other"), &[&kept], &["--network", "eth1=tap:lab-web2"]);
    assert!(refused.contains("network `eth"), "{refused}");
    // The first one's device is in use.
    let mut restored = restore_paused(&directory.join("web2"), &[&kept], &["--network", "eth0=tap:lab-web2"]);
    let info = restored.client().info().expect("info");
    assert_eq!(info.config.networks[0].backend, NetworkBackend::Tap("lab-web2".into()));
    restored.client().resume().expect("it runs");
    restored.wait_ready();
    assert!(restored.ask("link eth0").contains("mac=02:00:00:00:00:01"));
    for vm in [vm, restored] {
        assert_eq!(vm.stop(), Some(0));
    }
}
