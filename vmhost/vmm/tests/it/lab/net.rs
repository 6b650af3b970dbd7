//! Network cards: frames by passt and by a tap device, limits, a sender who lies, a link that goes.

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use vmm_control::{Mac, Network, NetworkBackend, RateLimit, RateTarget};

use super::tools::{KIB, bytes_limit, counter, echo, eventually, exchange, host, transfer, value};
use super::vm::{Directory, PATIENCE, Running, config};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The longest frame on a wire of this MTU; what is longer on average was never segmented.
const FRAME: u64 = 1514;
/// A connection's bytes, which fit into one segment.
const SHORT: u64 = KIB;
/// What passt gives the guest, and itself.
const GATEWAY: &str = "10.0.2.2";
const GUEST: &str = "10.0.2.15";

fn network(backend: NetworkBackend) -> Network {
    let rate = RateLimit::default();
    Network { id: "eth0".into(), backend, mac: Mac(MAC), send_rate: rate, receive_rate: rate }
}

/// An echo server of the host, for as long as the test runs.
fn serve(address: &str) -> u16 {
    let listener = TcpListener::bind((address, 0)).expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || echo(stream));
        }
    });
    port
}

/// Ends with the test, be it by a panic.
struct Passt(Child);

impl Passt {
    /// Runs one that listens at `socket`, and returns when it does: it goes to the background then.
    fn start(socket: &Path) -> Self {
        // A copy has no build for AVX2 beside it, and does without: that one has crashed in the lab's emulation.
        let program = socket.with_extension("program");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let installed = std::env::split_paths(&path).map(|folder| folder.join("passt")).find(|path| path.is_file());
        std::fs::copy(installed.expect("passt is installed"), &program).expect("there is room");
        let mut command = Command::new(program);
        command.args(["--foreground", "--socket"]).arg(socket);
        command.args(["--address", GUEST, "--netmask", "24", "--gateway", GATEWAY]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("passt is installed");
        let mut said = Vec::new();
        let mut stderr = child.stderr.take().expect("it is a pipe");
        let mut byte = [0];
        // Its last words before it waits for a connection tell how to make one.
        while !String::from_utf8_lossy(&said).contains("qrap") {
            assert_eq!(stderr.read(&mut byte).expect("a pipe"), 1, "{}", String::from_utf8_lossy(&said));
            said.extend(byte);
        }
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::stderr()));
        Self(child)
    }
}

impl Drop for Passt {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn passt_carries_all_bytes_and_may_go() {
    // passt wants a way out of the host, as most hosts have one.
    host("ip link add out0 type veth peer name out1");
    host("ip address add 192.0.2.2/24 dev out0");
    host("ip link set out1 up");
    host("ip link set out0 up");
    host("ip route add default via 192.0.2.1 dev out0");
    let directory = Directory::new();
    let socket = std::env::temp_dir().join(format!("passt-{}.sock", std::process::id()));
    std::fs::set_permissions(std::env::temp_dir(), std::os::unix::fs::PermissionsExt::from_mode(0o1777))
        .expect("passt becomes nobody, and makes its socket then");
    let passt = Passt::start(&socket);
    let mut config = config(directory.path());
    config.networks = vec![network(NetworkBackend::Passt(socket))];
    let mut vm = Running::boot(directory.path(), &config);

    vm.ask(&format!("net-up eth0 {GUEST}/24 {GATEWAY}"));
    assert!(vm.ask("link eth0").contains("mac=02:00:00:00:00:01 mtu=1500 carrier=1"));
    let port = serve("127.0.0.1");
    // One segment each way. In the lab the passt of 2023-03-09 sends longer streams with bytes of earlier segments in
    // place of later ones, under checksums that the guest finds right; the server had got what was sent.
    let bytes = 32 * SHORT;
    for seed in 0..32 {
        vm.ask(&format!("tcp-connect {GATEWAY} {port} {SHORT} {seed}"));
    }
    assert!(counter(&mut vm, "net:eth0", "sent_bytes") > bytes);
    assert!(counter(&mut vm, "net:eth0", "received_bytes") > bytes);

    spoofs(&mut vm);
    limits(&mut vm, GATEWAY, port);

    drop(passt);
    eventually(&mut vm, "the guest sees that the link is gone", |vm| {
        vm.ask("link eth0").contains("carrier=0").then_some(())
    });
    assert_eq!(counter(&mut vm, "net:eth0", "link_losses_count"), 1);
    assert_eq!(counter(&mut vm, "net:eth0", "link_up"), 0);
    assert_eq!(vm.ask("ping"), "pong");
    assert_eq!(vm.stop(), Some(0));
}

/// Only the card's own address gets out.
fn spoofs(vm: &mut Running) {
    let before = counter(vm, "net:eth0", "dropped_spoofed_frames");
    vm.ask("net-spoof eth0 02:00:00:00:00:02");
    eventually(vm, "the frame is seen", |vm| {
        (counter(vm, "net:eth0", "dropped_spoofed_frames") == before + 1).then_some(())
    });
    let sent = counter(vm, "net:eth0", "sent_frames");
    vm.ask("net-spoof eth0 02:00:00:00:00:01");
    eventually(vm, "the frame is sent", |vm| (counter(vm, "net:eth0", "sent_frames") > sent).then_some(()));
    assert_eq!(counter(vm, "net:eth0", "dropped_spoofed_frames"), before + 1);
}

/// By the guest's own clock: what it sends, then what it gets.
fn limits(vm: &mut Running, address: &str, port: u16) {
    // Far below what the lab carries at its slowest.
    let limit = bytes_limit(8 * KIB, 2 * KIB);
    for (target, throttled) in [
        (RateTarget::Send("eth0".into()), "send_throttled_count"),
        (RateTarget::Receive("eth0".into()), "receive_throttled_count"),
    ] {
        vm.client().set_rate(target.clone(), limit).expect("it has that network");
        let connection = format!("tcp-connect {address} {port} {SHORT} 6");
        let us: u64 = (0..24).map(|_| value(&vm.ask(&connection), "us")).sum();
        // A burst goes at once, the last frame may leave a debt, and between connections time passes that isn't counted.
        assert!(us >= 500_000, "{throttled}: 20 KiB at 8 KiB a second took {us} µs");
        assert!(counter(vm, "net:eth0", throttled) > 0);
        vm.client().set_rate(target, RateLimit::default()).expect("it has that network");
    }
}

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn a_tap_device_carries_all_bytes() {
    host("ip tuntap add labtap0 mode tap");
    host("ip address add 10.77.0.1/24 dev labtap0");
    host("ip link set labtap0 up");
    let directory = Directory::new();
    let mut config = config(directory.path());
    config.vcpus = 2;
    config.networks = vec![network(NetworkBackend::Tap("labtap0".into()))];
    let mut vm = Running::boot(directory.path(), &config);

    vm.ask("net-up eth0 10.77.0.2/24");
    let port = serve("10.77.0.1");
    let large = transfer(4);
    eprintln!("tap: {}", vm.ask(&format!("tcp-connect 10.77.0.1 {port} {large} 5")));
    for (bytes, frames) in [("sent_bytes", "sent_frames"), ("received_bytes", "received_frames")] {
        let (bytes, frames) = (counter(&mut vm, "net:eth0", bytes), counter(&mut vm, "net:eth0", frames));
        assert!(bytes > large && bytes / frames > FRAME, "{bytes} bytes in {frames} frames: all were segmented");
    }
    // And the other way: the guest serves.
    let port = value(&vm.ask("tcp-echo-server 0"), "port");
    let guest = SocketAddr::new(IpAddr::from([10, 77, 0, 2]), u16::try_from(port).expect("a port"));
    let stream = TcpStream::connect_timeout(&guest, PATIENCE).expect("the guest listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    exchange(stream, large);

    spoofs(&mut vm);
    limits(&mut vm, "10.77.0.1", serve("10.77.0.1"));
    assert_eq!(vm.stop(), Some(0));
    host("ip link delete labtap0");
}
