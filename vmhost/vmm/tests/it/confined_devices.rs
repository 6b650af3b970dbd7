//! Entropy, balloon and net do their work with the system calls that a device's thread may make,
//! and are reset with those of a vCPU's.

#![allow(unsafe_code, reason = "the standard library has no unshare")]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use vm_memory::{Bytes as _, GuestAddress, GuestMemoryBackend as _, GuestMemoryRegion as _};
use vmm::events::Poll;
use vmm::jail::seccomp::{Thread, confine, report_refusals};
use vmm::memory::GuestRam;
use vmm::virtio::Device;
use vmm::virtio::balloon::{Balloon, BalloonOptions};
use vmm::virtio::entropy::{Entropy, EntropyOptions};
use vmm::virtio::net::{Net, NetOptions, open_tap};
use vmm::virtio::testing::Bench;
use vmm_control::{Bucket, Mac, RateLimit};
use vmm_sys_util::epoll::Epoll;
use vmm_sys_util::write_zeroes::PunchHole as _;

const CASE: &str = "VMM_TEST_CONFINED_DEVICE";

fn check(case: &str) {
    let output = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "confined_devices::inside", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .output()
        .expect("this binary runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn entropy_works_confined() {
    check("entropy");
}

#[test]
fn balloon_works_confined() {
    check("balloon");
}

#[test]
fn net_on_passt_works_confined() {
    check("passt");
}

#[test]
fn net_on_a_tap_device_works_confined() {
    check("tap");
}

/// Not a test by itself: what the others run.
#[test]
#[ignore = "runs in a process of its own, started by the other tests of this module"]
fn inside() {
    let Ok(case) = std::env::var(CASE) else { return };
    report_refusals().expect("a handler");
    // One request and no more, so that timers are armed.
    let bucket = Some(Bucket { per_second: 0, burst: 1 });
    let rate = RateLimit { bytes: None, operations: bucket };
    let net = NetOptions { mac: Mac([2, 0, 0, 0, 0, 1]), mtu: 1500, send_rate: rate, receive_rate: rate };
    match case.as_str() {
        "entropy" => {
            let bench = bench(Entropy::new(EntropyOptions { rate }).expect("a timer"));
            finish(bench, |bench| {
                for _ in 0..2 {
                    bench.drivers[0].chain(bench.ram.memory(), &[], &[(0x1000, 64)]);
                }
                bench.kick(0).expect("a valid request");
                assert!(bench.drivers[0].used(bench.ram.memory()).is_some());
            });
        }
        "balloon" => {
            let file = GuestRam::create(32).expect("memory");
            let region = file.memory().iter().next().expect("one region");
            let mut backing = region.file_offset().expect("a memfd").file().try_clone().expect("a descriptor");
            let options =
                BalloonOptions { statistics_interval: Some(Duration::from_secs(9)), ..BalloonOptions::default() };
            let discard = Box::new(move |at: GuestAddress, length| backing.punch_hole(at.0, length));
            finish(bench(Balloon::new(options, discard).expect("a timer")), |bench| {
                bench.ram.memory().write_obj(0x900u32, GuestAddress(0x1000)).expect("in memory");
                bench.drivers[0].chain(bench.ram.memory(), &[(0x1000, 4)], &[]);
                bench.kick(0).expect("a valid request");
                assert!(bench.device.metrics().contains(&("discard_failures_count", 0)));
                assert!(bench.device.metrics().contains(&("inflated_pages", 1)));
            });
        }
        "passt" => {
            let (ours, mut peer) = UnixStream::pair().expect("a socket pair");
            let (other, mut second) = UnixStream::pair().expect("a socket pair");
            finish(bench(Net::passt(net, ours).expect("a card")), |bench| {
                exchange(bench);
                let mut sent = [0; 34];
                peer.read_exact(&mut sent).expect("one frame, with its length");
                peer.write_all(&sent).expect("the card is there");
                bench.fire(0x100).expect("a valid driver");
                assert!(bench.drivers[0].used(bench.ram.memory()).is_some());
                bench.with(|net, io| Ok(net.reconnect(io, other))).expect("no fault").expect("a descriptor");
                second.write_all(&sent).expect("the card is there");
                bench.fire(0x101).expect("a valid driver");
            });
        }
        "tap" => {
            // SAFETY: the call takes no pointers, and moves this thread only.
            let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            assert_eq!(result, 0, "a network namespace needs root");
            let tap = open_tap("guest0").expect("/dev/net/tun is there and ours to use");
            let up = Command::new("ip").args(["link", "set", "guest0", "up"]).status().expect("iproute2 is installed");
            assert!(up.success());
            finish(bench(Net::tap(net, tap).expect("a tap device")), |bench| {
                exchange(bench);
                bench.fire(0x100).expect("a valid driver");
                assert!(bench.device.metrics().contains(&("sent_frames", 1)), "{:?}", bench.device.metrics());
            });
        }
        other => panic!("no such case: {other}"),
    }
}

fn bench<D: Device>(device: D) -> Bench<D> {
    let mut bench = Bench::new(device, 16);
    let epoll = Arc::new(Epoll::new().expect("epoll"));
    bench.device.attach(Poll::new(epoll, 0)).expect("watched");
    bench
}

/// Two frames to send, of which the rate allows one, and room for one.
fn exchange(bench: &mut Bench<Net>) {
    let frame = [&[0; 12][..], &[0xFF; 6], &[2, 0, 0, 0, 0, 1], &[8, 0], &[0; 16]].concat();
    bench.ram.memory().write_slice(&frame, GuestAddress(0x1000)).expect("in memory");
    for _ in 0..2 {
        bench.drivers[1].chain(bench.ram.memory(), &[(0x1000, 42)], &[]);
    }
    bench.drivers[0].chain(bench.ram.memory(), &[], &[(0x2000, 2048)]);
    bench.kick(1).expect("a valid driver");
    bench.kick(0).expect("a valid driver");
}

/// Shuts the thread in and works; another one, shut in as a vCPU's, resets.
fn finish<D: Device>(mut bench: Bench<D>, work: impl FnOnce(&mut Bench<D>) + Send) {
    std::thread::scope(|scope| {
        let worked = scope.spawn(|| {
            confine(Thread::Device).expect("seccomp");
            bench.with(D::start).expect("a valid driver");
            work(&mut bench);
            bench.device.save();
            bench
        });
        let mut bench = worked.join().expect("the device works");
        let reset = scope.spawn(move || {
            confine(Thread::Vcpu).expect("seccomp");
            bench.device.read_config(0, &mut [0; 16]);
            bench.device.write_config(4, &[1; 4]);
            bench.device.reset();
            bench
        });
        drop(reset.join().expect("the device is reset"));
    });
}
