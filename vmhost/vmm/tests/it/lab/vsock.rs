//! Sockets between guest and host: whole in both directions, and peers that go take nothing along.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use guest_init::pattern::{Fnv, Pattern};

use super::tools::{KIB, MIB, counter, eventually, exchange, serve_echo, transfer, value};
use super::vm::{Directory, PATIENCE, Running, accept, config, dial, listen};

const ECHO: u32 = 5000;
const DISCARD: u32 = 5001;
const SOURCE: u32 = 5002;
/// Ports of the host.
const HOST_ECHO: u32 = 7000;
const HOST_LEAVES: u32 = 7001;
const NOBODY: u32 = 7999;

#[test]
#[ignore = "runs in the lab: `cargo xtask test lab`"]
fn sockets_carry_all_bytes_both_ways() {
    let directory = Directory::new();
    serve_echo(listen(directory.path(), HOST_ECHO));
    let leaves = listen(directory.path(), HOST_LEAVES);
    let mut config = config(directory.path());
    config.vcpus = 2;
    let mut vm = Running::boot(directory.path(), &config);
    let socket = directory.join("vsock.sock");

    let bytes = transfer(16);
    exchange(dial(&socket, ECHO), bytes);
    let reply = vm.ask(&format!("vsock-connect {HOST_ECHO} {bytes} 3"));
    eprintln!("vsock, from the guest: {reply}");
    assert_eq!(value(&reply, "bytes"), bytes);
    assert!(counter(&mut vm, "vsock", "sent_bytes") >= 2 * bytes);
    assert!(counter(&mut vm, "vsock", "received_bytes") >= 2 * bytes);

    sums(&socket);
    many(&mut vm, &socket);
    refused(&mut vm, &socket);
    vanishing(&mut vm, &socket, &leaves);
    assert_eq!(counter(&mut vm, "vsock", "protocol_errors"), 0);
    assert_eq!(vm.stop(), Some(0));
}

/// One direction at a time, with an end of stream in the midst of the connection.
fn sums(socket: &Path) {
    let mut sent = vec![0; (MIB + 7) as usize];
    Pattern::new(11).fill(&mut sent, 0);
    let mut sum = Fnv::new();
    sum.add(&sent);
    let mut stream = dial(socket, DISCARD);
    stream.write_all(&sent).expect("the guest reads");
    stream.shutdown(Shutdown::Write).expect("it is connected");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("the guest answers");
    assert_eq!(reply, format!("ok bytes={} fnv={:016x}\n", sent.len(), sum.value()));

    let mut stream = dial(socket, SOURCE);
    stream.write_all(format!("{} 12\n", 2 * MIB + 3).as_bytes()).expect("the guest reads");
    let mut received = Vec::new();
    stream.read_to_end(&mut received).expect("the guest sends");
    assert_eq!(received.len() as u64, 2 * MIB + 3);
    assert_eq!(Pattern::new(12).verify(&received, 0), Ok(()));
}

fn many(vm: &mut Running, socket: &Path) {
    let reply = vm.ask(&format!("vsock-many {HOST_ECHO} 100 64K"));
    assert_eq!((value(&reply, "connections"), value(&reply, "bytes")), (100, 100 * 64 * KIB));
    let opened: Vec<UnixStream> = (0..100).map(|_| dial(socket, ECHO)).collect();
    let threads: Vec<_> =
        opened.into_iter().map(|stream| std::thread::spawn(move || exchange(stream, 64 * KIB))).collect();
    threads.into_iter().for_each(|thread| thread.join().expect("all came back"));
}

/// Nobody listens: an error, at once, for the one who asks.
fn refused(vm: &mut Running, socket: &Path) {
    let refused = counter(vm, "vsock", "refused_connections");
    let reply = vm.guest().reply(&format!("vsock-connect {NOBODY} 1 1"));
    assert!(reply.starts_with(&format!("error connect to port {NOBODY}")), "{reply}");
    let mut stream = UnixStream::connect(socket).expect("the VM listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    stream.write_all(format!("CONNECT {NOBODY}\n").as_bytes()).expect("the VM reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it is closed");
    assert_eq!(answer, b"", "no OK");
    assert_eq!(counter(vm, "vsock", "refused_connections"), refused + 2);
}

/// Peers of the host that go in the middle of a transfer.
fn vanishing(vm: &mut Running, socket: &Path, leaves: &UnixListener) {
    let idle = counter(vm, "vsock", "open_connections");
    for _ in 0..8 {
        // The guest's echo is in the way: neither side is read to its end.
        let mut stream = dial(socket, ECHO);
        stream.write_all(&vec![1; 100_000]).expect("the guest reads");
        stream.read_exact(&mut [0; 1000]).expect("the guest answers");
        drop(stream);
        // One that sends without end, to somebody who doesn't listen any more.
        let mut stream = dial(socket, SOURCE);
        stream.write_all(b"1G 1\n").expect("the guest reads");
        stream.read_exact(&mut [0; 1000]).expect("the guest sends");
    }
    let mut guest = vm.guest();
    let asking = std::thread::spawn(move || guest.reply(&format!("vsock-connect {HOST_LEAVES} 64M 1")));
    let (mut stream, _) = accept(leaves, &vm.directory);
    stream.read_exact(&mut vec![0; 100_000]).expect("the guest sends");
    drop(stream);
    let reply = asking.join().expect("a reply");
    assert!(reply.starts_with("error "), "{reply}");
    eventually(vm, "all connections of those that have gone are forgotten", |vm| {
        (counter(vm, "vsock", "open_connections") <= idle).then_some(())
    });
    exchange(dial(socket, ECHO), MIB);
}
