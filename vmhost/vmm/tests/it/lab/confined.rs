//! A VM's process as the host sees it: shut in, on every thread, while its guest runs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use vmm_control::{Disk, RateLimit};

use super::tools::{MIB, sparse};
use super::vm::{Directory, Running, config, launch, said};

const NAMESPACES: [&str; 5] = ["mnt", "net", "ipc", "uts", "cgroup"];

/// `Name: value` lines of a thread's status.
fn status(path: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(path).expect("the thread lives");
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn a_running_vm_is_shut_in() {
    let directory = Directory::new();
    let mut config = config(directory.path());
    config.vcpus = 2;
    sparse(&directory.join("disk.img"), MIB);
    config.disks = vec![Disk {
        id: "disk".into(),
        path: directory.join("disk.img"),
        read_only: false,
        overlay: None,
        rate: RateLimit::default(),
    }];
    let mut vm = Running::boot(directory.path(), &config);
    vm.ask("blk-random vda 5 1 2");
    let process = PathBuf::from(format!("/proc/{}", vm.vm.child.id()));

    assert_eq!(names(&process.join("root")), ["run"]);
    assert!(names(&process.join("root/run")).contains(&"control.sock".to_owned()));
    for namespace in NAMESPACES {
        let of = |process: &Path| fs::read_link(process.join("ns").join(namespace)).expect("a namespace");
        assert_ne!(of(&process), of(Path::new("/proc/self")), "{namespace}");
    }
    let user = vm.client().info().expect("it runs").user;
    assert!(user >= 700_000_000, "{user}");
    let threads = names(&process.join("task"));
    // The device thread, one for snapshots, and the vCPUs; io_uring's own are not to be seen.
    assert!(threads.len() >= 4, "{threads:?}");
    for thread in &threads {
        let status = status(&process.join("task").join(thread).join("status"));
        let field = |name: &str| status.get(name).map_or("", String::as_str);
        let name = field("Name");
        for capabilities in ["CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"] {
            assert_eq!(u64::from_str_radix(field(capabilities), 16), Ok(0), "{name}: {capabilities}");
        }
        assert_eq!((field("Seccomp"), field("NoNewPrivs")), ("2", "1"), "{name}");
        for ids in ["Uid", "Gid"] {
            assert!(field(ids).split_whitespace().all(|id| id == user.to_string()), "{name}: {}", field(ids));
        }
        assert_eq!(field("Groups"), "", "{name}");
    }
    // No directory is open, by which a path would lead out, and nothing that was only for the start.
    for number in names(&process.join("fd")) {
        let link = process.join("fd").join(&number);
        let target = fs::read_link(&link).expect("an open file");
        assert!(!fs::metadata(&link).is_ok_and(|open| open.is_dir()), "{}", target.display());
        assert_ne!(Some(&target), config.boot.initramfs.as_ref());
        assert_ne!(target, config.boot.kernel);
    }
    denied_paths(&mut vm);
    assert_eq!(vm.stop(), Some(0));
}

/// A guest reaches a socket in the run directory, and none outside, be it by a link that the host itself has made.
fn denied_paths(vm: &mut Running) {
    let elsewhere = Directory::new();
    let outside = UnixListener::bind(elsewhere.join("outside")).expect("a socket");
    outside.set_nonblocking(true).expect("it doesn't wait");
    fs::set_permissions(elsewhere.join("outside"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("mode");
    symlink(elsewhere.join("outside"), vm.directory.join("vsock.sock_7005")).expect("a link");
    let reply = vm.guest().reply("vsock-connect 7005 1 1");
    assert!(reply.starts_with("error connect to port 7005"), "{reply}");
    assert!(outside.accept().is_err(), "nobody got through");
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn each_vm_is_a_user_of_its_own_and_keeps_to_its_directory() {
    let (one, two) = (Directory::new(), Directory::new());
    let mut vms = [&one, &two].map(|directory| {
        let vm = launch(directory.path()).boot(&config(directory.path()));
        vm.unwrap_or_else(|error| panic!("{error}\n{}", said(directory.path())))
    });
    let users = vms.each_mut().map(|vm| vm.client.info().expect("it answers").user);
    assert_ne!(users[0], users[1]);
    for vm in &mut vms {
        vm.client.stop(true).expect("it stops");
        assert_eq!(vm.child.wait().expect("it ends").code(), Some(0));
    }

    let (inside, outside) = (Directory::new(), Directory::new());
    let mut config = config(inside.path());
    let vsock = config.vsock.as_mut().expect("it has sockets");
    vsock.socket = outside.join("vsock.sock");
    let refusal = launch(inside.path()).boot(&config).map(|_| ()).expect_err("it couldn't be reached");
    assert!(refusal.to_string().contains("must lie in the run directory"), "{refusal}");
}
