//! What tests of devices share: numbers in replies and counters, host-side echoes, programs of the host.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use guest_init::pattern::Pattern;
use vmm_control::{Bucket, RateLimit};

use super::vm::{PATIENCE, Running, said};

pub const KIB: u64 = 1 << 10;
pub const MIB: u64 = 1 << 20;

/// The number at `key=` in a reply.
pub fn value(reply: &str, key: &str) -> u64 {
    let word = reply.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no number `{key}` in `{reply}`"))
}

/// A counter of a device, or of the VM as a whole (`vm`).
pub fn counter(vm: &mut Running, device: &str, name: &str) -> u64 {
    let stats = vm.client().stats().expect("statistics");
    let all = stats.devices.iter().chain([&stats.vm]);
    let found = all.filter(|metrics| metrics.name == device).find_map(|metrics| metrics.counters.get(name));
    *found.unwrap_or_else(|| panic!("no counter `{name}` of `{device}` in {stats:?}"))
}

/// Resident memory of the guest, in KiB.
pub fn resident_kib(vm: &mut Running) -> u64 {
    vm.client().stats().expect("statistics").memory.guest_resident_kib
}

/// Asks again until there is an answer; fails when it takes too long.
///
/// The guest is asked to pause in between, so that it can do what is waited for.
pub fn eventually<T>(vm: &mut Running, what: &str, mut ask: impl FnMut(&mut Running) -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask(vm) {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}\n{}", said(&vm.directory));
        vm.ask("sleep 20");
    }
}

/// How much a test of a transfer moves: what takes seconds in the lab, or as many MiB as `SANDGLASS_TRANSFER_MIB` says.
pub fn transfer(usual_mib: u64) -> u64 {
    let told = std::env::var("SANDGLASS_TRANSFER_MIB").map(|text| text.parse().expect("a number of MiB"));
    told.unwrap_or(usual_mib) * MIB
}

/// Limits bytes only.
pub fn bytes_limit(per_second: u64, burst: u64) -> RateLimit {
    RateLimit { bytes: Some(Bucket { per_second, burst }), operations: None }
}

/// Runs a program of the host that must succeed.
pub fn host(command: &str) {
    let mut words = command.split_whitespace();
    let program = words.next().expect("a program");
    // Where Debian keeps what is for root; a user's PATH often lacks it.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(program).env("PATH", path).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{command}: {error}"));
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A file of a pattern.
pub fn patterned(path: &Path, bytes: u64, seed: u64) {
    let mut buffer = vec![0; usize::try_from(bytes).expect("it fits")];
    Pattern::new(seed).fill(&mut buffer, 0);
    std::fs::write(path, buffer).expect("a file");
}

/// A sparse file of zeros.
pub fn sparse(path: &Path, bytes: u64) -> File {
    let file = File::options().read(true).write(true).create_new(true).open(path).expect("a file");
    file.set_len(bytes).expect("its size");
    file
}

/// Part of a file.
pub fn part(file: &File, offset: u64, length: u64) -> Vec<u8> {
    let mut buffer = vec![0; usize::try_from(length).expect("it fits")];
    file.read_exact_at(&mut buffer, offset).expect("it is that long");
    buffer
}

/// A connected stream socket of either family.
pub trait Stream: io::Read + io::Write + Send + Sized + 'static {
    /// A second handle.
    fn handle(&self) -> Self;
    /// Ends what we send, if there still is somebody to tell.
    fn end(&self);
}

macro_rules! stream {
    ($($socket:ty),*) => {$(
        impl Stream for $socket {
            fn handle(&self) -> Self {
                self.try_clone().expect("a descriptor")
            }

            fn end(&self) {
                let _ = self.shutdown(std::net::Shutdown::Write);
            }
        }
    )*};
}
stream!(UnixStream, std::net::TcpStream);

const CHUNK: usize = 256 << 10;

/// Sends back what comes, to its end. A peer that goes is no trouble.
pub fn echo<S: Stream>(mut stream: S) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
    stream.end();
}

/// Serves echoes on a unix socket for as long as the test runs.
pub fn serve_echo(listener: UnixListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || echo(stream));
        }
    });
}

/// The bytes that `exchange` repeats. Its length is no multiple of anybody's buffer.
fn block() -> Vec<u8> {
    let mut block = vec![0; CHUNK + 13];
    Pattern::new(77).fill(&mut block, 0);
    block
}

/// Sends so many bytes to a peer that echoes, and expects the same back.
pub fn exchange<S: Stream>(mut stream: S, bytes: u64) {
    let start = Instant::now();
    let block = block();
    let mut sender = stream.handle();
    let sent = block.clone();
    let sending = std::thread::spawn(move || {
        let mut left = bytes;
        while left > 0 {
            let part = usize::try_from(left).map_or(sent.len(), |left| left.min(sent.len()));
            sender.write_all(&sent[..part]).expect("the peer reads");
            left -= part as u64;
        }
        sender.end();
    });
    let mut buffer = vec![0; CHUNK];
    let (mut at, mut received) = (0, 0);
    loop {
        // Never past the block's end, so that it compares with one slice.
        let room = buffer.len().min(block.len() - at);
        let count = stream.read(&mut buffer[..room]).expect("the peer answers");
        if count == 0 {
            break;
        }
        assert!(buffer[..count] == block[at..at + count], "other bytes came back after {received}");
        at = (at + count) % block.len();
        received += count as u64;
    }
    assert_eq!(received, bytes);
    sending.join().expect("it sends");
    if bytes >= 4 * MIB {
        eprintln!("{} MiB there and back: {} ms", bytes / MIB, start.elapsed().as_millis());
    }
}
