//! Starting processes: each child is this very test binary, as a VM that pretends.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use vmm::control::Listener;
use vmm_control::spawn::{
    ChildNetwork, ChildOptions, Launch, SpawnError, clone_vm, fresh_overlays, inherited_document, inherited_image,
    keep_or_discard,
};
use vmm_control::{Code, Console, ControlError, ExitReason, NetworkBackend, Readiness, Ready};
use vmm_sys_util::eventfd::EventFd;

use super::fixture::{DEADLINE, Directory, Served, Shared, config, run};

/// Where a child finds what it was started with.
const ARGUMENTS: &str = "VMM_TEST_CHILD";

/// A program that takes `vmm`'s arguments and goes on as `child_process`, below.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/control/child.sh");

#[test]
#[ignore = "the other tests start it as a process of its own"]
fn child_process() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let words: Vec<&str> = arguments.split(' ').collect();
    let option = |name: &str| words.iter().skip_while(|word| **word != name).nth(1).copied();
    let number = |name: &str| option(name).map(|text| text.parse::<u32>().expect("a number"));
    let control = PathBuf::from(option("--control").expect("a socket"));
    let ready = Ready::inherited(number("--ready-fd").expect("an end")).expect("inherited");

    let report = match (number("--config-fd"), number("--image-fd")) {
        (Some(document), None) => inherited_document(document).expect("a document"),
        (None, Some(image)) => {
            let (image, descriptors) = inherited_image(image).expect("an image");
            let top = image.disks[0].top.expect("an overlay").0 as usize;
            let mut texts = Vec::new();
            for (place, fd) in descriptors.into_iter().enumerate() {
                let mut file = File::from(fd);
                if place == top {
                    file.write_all(b"written by the child").expect("room");
                } else {
                    let mut text = String::new();
                    file.read_to_string(&mut text).expect("text");
                    texts.push(text);
                }
            }
            format!("{texts:?} {}", image.config.vsock.expect("a vsock").socket.display())
        }
        _ => panic!("{arguments}"),
    };
    std::fs::write(control.with_extension("report"), report).expect("a file");

    match option("--behave") {
        Some("refuse") => {
            let error = ControlError::new(Code::Host, "no kernel").remedy("make one");
            return ready.tell(&Readiness::Failed(error));
        }
        Some("crash") => std::process::exit(3),
        Some("hang") => loop {
            std::thread::park();
        },
        _ => {}
    }
    let listener = Listener::bind(&control).expect("a socket");
    ready.tell(&Readiness::Ready);
    run(listener, Shared::new(), &EventFd::new(0).expect("an eventfd"));
}

fn launch(directory: &Directory, name: &str, behave: &str) -> Launch {
    let mut launch = Launch::new(Path::new(PROGRAM), &directory.0.join(format!("{name}.sock")));
    launch.arguments = vec!["--behave".into(), behave.into()];
    launch.timeout = DEADLINE;
    launch
}

fn report(launch: &Launch) -> String {
    std::fs::read_to_string(launch.control.with_extension("report")).expect("a report")
}

#[test]
fn a_vm_is_started_and_heard_of() {
    let directory = Directory::new();
    let launch = launch(&directory, "a", "well");
    let mut vm = launch.boot(&config()).expect("a VM");
    assert_eq!(report(&launch), serde_json::to_string(&config()).expect("JSON"));
    assert_eq!(vm.client.info().expect("an answer").pid, vm.child.id());
    vm.client.stop(true).expect("stopped");
    assert!(vm.child.wait().expect("an end").success());
}

#[test]
fn a_vm_that_can_not_start_says_why_and_leaves_no_process() {
    let directory = Directory::new();
    let check = |behave: &str, timeout: Duration, expected: &str| {
        let mut launch = launch(&directory, behave, behave);
        launch.timeout = timeout;
        let error = launch.boot(&config()).map(drop).expect_err("no VM");
        assert_eq!(error.to_string(), expected);
    };
    check("refuse", DEADLINE, "the VM can't start: no kernel (remedy: make one)");
    check("crash", DEADLINE, "the VM's process ended before it was ready, with exit status: 3");
    check("hang", Duration::from_millis(50), "the VM's process was not ready within 50ms");
    let mut nowhere = launch(&directory, "nowhere", "well");
    nowhere.program = directory.0.join("missing");
    assert!(matches!(nowhere.boot(&config()), Err(SpawnError::Host { .. })));
    let mut wrong = config();
    wrong.vcpus = 0;
    assert!(matches!(nowhere.boot(&wrong), Err(SpawnError::Config(_))));
}

fn child(directory: &Directory, number: usize) -> ChildOptions {
    ChildOptions {
        run_directory: directory.0.join(format!("child{number}")),
        launch: launch(directory, &format!("child{number}"), "well"),
        vsock: None,
        networks: Vec::new(),
        console: Console::Off,
    }
}

fn files(directory: &Path) -> usize {
    std::fs::read_dir(directory).map_or(0, Iterator::count)
}

#[test]
fn children_start_from_what_the_parent_gives_out() {
    let parent = Served::start();
    let (directory, overlays) = (Directory::new(), Directory::new());
    // The pretended parent reads its new overlay, which is empty, and hands out pipes, each read by one child.
    let options = child(&directory, 0);
    let mut vms = clone_vm(&mut parent.client(), &overlays.0, std::slice::from_ref(&options)).expect("a child");
    assert_eq!(files(&overlays.0), 1);
    let vsock = options.run_directory.join("vsock.sock");
    assert_eq!(report(&options.launch), format!(r#"["0", "1", "2", ""] {}"#, vsock.display()));
    let top = std::fs::read_to_string(options.run_directory.join("root.overlay")).expect("an overlay");
    assert_eq!(top, "written by the child");
    let mut vm = vms.pop().expect("one");
    let mut waiting = vmm_control::Client::connect(&options.launch.control).expect("a client");
    let waiter = std::thread::spawn(move || waiting.wait());
    vm.client.stop(true).expect("stopped");
    // The child may be gone before the question reached it.
    assert!(matches!(waiter.join().expect("no panic"), Ok(ExitReason::Stopped) | Err(_)));
    assert!(vm.child.wait().expect("an end").success());
}

#[test]
fn what_is_wrong_with_children_is_found_before_the_parent_stands_still() {
    let parent = Served::start();
    let (directory, overlays) = (Directory::new(), Directory::new());
    let mut options = child(&directory, 0);
    let backend = NetworkBackend::Tap("tap1".into());
    options.networks.push(ChildNetwork { id: "eth7".into(), backend, mac: None });
    let error = clone_vm(&mut parent.client(), &overlays.0, &[options]).map(drop).expect_err("refused");
    assert_eq!(error.to_string(), "the VM has no network `eth7`");
    assert_eq!((files(&overlays.0), files(&directory.0.join("child0"))), (0, 0));
}

#[test]
fn overlays_of_a_refused_request_are_removed() {
    let parent = Served::start();
    let overlays = Directory::new();
    let fresh = fresh_overlays(&config(), &overlays.0).expect("overlays");
    let names: Vec<_> = fresh.iter().map(|(overlay, _)| overlay.clone()).collect();
    assert_eq!(files(&overlays.0), 1);
    let refused = keep_or_discard(&names, parent.client().balloon_stats());
    assert!(refused.is_err());
    assert_eq!(files(&overlays.0), 0);
}

#[test]
fn one_child_that_can_not_start_takes_its_siblings_along() {
    let parent = Served::start();
    let (directory, overlays) = (Directory::new(), Directory::new());
    let (well, mut ill) = (child(&directory, 0), child(&directory, 1));
    ill.launch.program = directory.0.join("missing");
    let error = clone_vm(&mut parent.client(), &overlays.0, &[well, ill]).map(drop).expect_err("refused");
    assert!(error.to_string().starts_with("can't run "), "{error}");
}
