//! A hostile guest and careless host clients, made of arbitrary bytes: for fuzzers.
//!
//! In:  bytes, read as a list of things that the guest and the host do.
//! Out: nothing; it panics if the device breaks one of its promises.

use std::collections::VecDeque;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use vm_memory::{Bytes as _, GuestAddress};
use vmm_sys_util::epoll::{Epoll, EpollEvent};

use super::packet::{HOST_CID, Header, STREAM};
use super::table::MAX_CONNECTIONS;
use super::{PeerConnector, VsockDevice};
use crate::events::{Poll, Ready, of_token};
use crate::virtio::testing::{Bench, Driver};
use crate::virtio::{Device as _, Fault};

const CID: u32 = 3;
const QUEUE: u16 = 64;
const SERVICE: u32 = 80;
const RX_BUFFERS: u64 = 0x80_0000;
const TX_BUFFER: u64 = 0x100_0000;
/// No more host sockets than this: descriptors are shared by all of a fuzzer's threads.
const MAX_SOCKETS: usize = 64;

/// Does what `data` says to a device.
///
/// # Panics
/// When the device holds more than it may or spins, and when the host has no descriptors left.
pub fn fuzz_vsock(data: &[u8]) {
    let mut stage = Stage::new();
    let mut script = Script(data);
    while !script.0.is_empty() {
        if stage.step(&mut script).is_err() {
            stage.start_afresh();
        }
        stage.check();
    }
    stage.calm_down();
}

/// What is left of the bytes; beyond them there are zeros.
struct Script<'d>(&'d [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    fn word(&mut self) -> u32 {
        u32::from(self.short()) | u32::from(self.short()) << 16
    }

    /// One of the numbers that matter, or any.
    fn count(&mut self) -> u32 {
        match self.byte() {
            0 => 0,
            1 => u32::MAX,
            2 => 1 << 31,
            3 => 256 << 10,
            4 => self.word(),
            _ => u32::from(self.short()),
        }
    }
}

struct Stage {
    bench: Bench<VsockDevice>,
    epoll: Arc<Epoll>,
    directory: PathBuf,
    service: UnixListener,
    sockets: VecDeque<UnixStream>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Stage {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("vsock-fuzz-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let socket = directory.join("s");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let service = UnixListener::bind(directory.join(format!("s_{SERVICE}"))).expect("a socket");
        service.set_nonblocking(true).expect("set");
        let device = VsockDevice::new(CID, listener, PeerConnector::new(socket)).expect("descriptors");
        let epoll = Arc::new(Epoll::new().expect("an epoll"));
        let mut bench = Bench::new(device, QUEUE);
        bench.device.attach(Poll::new(Arc::clone(&epoll), 0)).expect("watched");
        let mut stage = Self { bench, epoll, directory, service, sockets: VecDeque::new() };
        let _ = stage.bench.with(VsockDevice::start);
        stage
    }

    /// As a driver would after a fault.
    fn start_afresh(&mut self) {
        let drivers: Vec<_> = (1..=3).map(|number| Driver::new(0x10_0000 * number, QUEUE)).collect();
        let _ = self.bench.with(|device, io| {
            device.reset();
            for (number, (driver, queue)) in (1..).zip(drivers.iter().zip(io.queues.iter_mut())) {
                let rings = [0; QUEUE as usize * 32 + 64];
                io.memory.write_slice(&rings, GuestAddress(0x10_0000 * number)).expect("in memory");
                queue.reset();
                driver.set_up(io.memory, queue);
            }
            device.start(io)
        });
        self.bench.drivers = drivers;
    }

    fn step(&mut self, script: &mut Script<'_>) -> Result<(), Fault> {
        match script.byte() % 12 {
            0..3 => self.packet(script),
            3 => self.chain(script),
            4 | 5 => self.buffers(script),
            6 => self.client(script),
            7 | 8 => self.host(script),
            9 => self.pump().map(drop),
            10 => self.other(script),
            _ => self.bench.kick(usize::from(script.byte() % 4)),
        }
    }

    /// The guest sends a packet that is nearly valid.
    fn packet(&mut self, script: &mut Script<'_>) -> Result<(), Fault> {
        let ports = script.byte();
        let payload = usize::from(script.short());
        let len = if ports & 0x80 == 0 { u32::try_from(payload).unwrap_or(0) } else { script.count() };
        let host_port = if ports & 0x40 == 0 { SERVICE } else { (1 << 30) + u32::from(script.byte() % 8) };
        let header = Header {
            src_cid: if ports == 0xff { 9 } else { u64::from(CID) },
            dst_cid: if ports == 0xfe { 9 } else { HOST_CID },
            src_port: u32::from(ports & 7),
            dst_port: host_port,
            len,
            kind: if ports == 0xfd { script.short() } else { STREAM },
            op: u16::from(script.byte() % 9),
            flags: u32::from(script.byte() % 4),
            buf_alloc: script.count(),
            fwd_cnt: script.count(),
        };
        let memory = self.bench.ram.memory();
        memory.write_slice(&header.encode(), GuestAddress(TX_BUFFER)).expect("in memory");
        let buffers = [(TX_BUFFER, 44), (TX_BUFFER + 44, u32::try_from(payload.max(1)).unwrap_or(1))];
        self.bench.drivers[1].chain(memory, &buffers, &[]);
        self.bench.kick(1)
    }

    /// The guest offers any chain in any queue.
    fn chain(&mut self, script: &mut Script<'_>) -> Result<(), Fault> {
        let queue = usize::from(script.byte() % 3);
        let memory = self.bench.ram.memory();
        for _ in 0..script.byte() % 5 {
            let index = u16::from(script.byte()) % QUEUE;
            let address = TX_BUFFER + u64::from(script.count());
            self.bench.drivers[queue].descriptor(
                memory,
                index,
                address,
                script.count(),
                script.short() % 8,
                u16::from(script.byte()),
            );
        }
        self.bench.drivers[queue].offer(memory, u16::from(script.byte()) % (QUEUE + 1));
        self.bench.kick(queue)
    }

    /// The guest offers buffers that the device writes.
    fn buffers(&mut self, script: &mut Script<'_>) -> Result<(), Fault> {
        let queue = if script.byte().is_multiple_of(8) { 2 } else { 0 };
        let memory = self.bench.ram.memory();
        for number in 0..u64::from(script.byte() % 32) {
            let length = 40 + u32::from(script.byte()) * 16;
            self.bench.drivers[queue].chain(memory, &[], &[(RX_BUFFERS + number * 4096, length)]);
        }
        self.bench.kick(queue)
    }

    /// A host client comes.
    fn client(&mut self, script: &mut Script<'_>) -> Result<(), Fault> {
        if self.sockets.len() < MAX_SOCKETS {
            let mut client = UnixStream::connect(self.directory.join("s")).expect("the device listens");
            client.set_nonblocking(true).expect("set");
            let line = match script.byte() % 8 {
                0 => "CONNECT ".into(),
                1 => "nonsense\n".into(),
                port => format!("CONNECT {port}\nearly"),
            };
            let _ = client.write_all(line.as_bytes());
            self.sockets.push_back(client);
        }
        self.pump().map(drop)
    }

    /// A host peer does something.
    fn host(&mut self, script: &mut Script<'_>) -> Result<(), Fault> {
        while let Ok((stream, _)) = self.service.accept() {
            stream.set_nonblocking(true).expect("set");
            self.sockets.push_back(stream);
        }
        let Some(mut socket) = self.sockets.pop_front() else { return Ok(()) };
        let mut bytes = vec![0; 16 << 10];
        let gone = match script.byte() % 8 {
            0 => true,
            1 => socket.shutdown(std::net::Shutdown::Write).is_err(),
            2 => socket.shutdown(std::net::Shutdown::Read).is_err(),
            3..5 => socket.read(&mut bytes).is_err(),
            _ => socket.write(&bytes[..usize::from(script.short()) % bytes.len()]).is_err(),
        };
        if !gone || script.byte().is_multiple_of(2) {
            self.sockets.push_back(socket);
        }
        if self.sockets.len() > MAX_SOCKETS {
            self.sockets.pop_front();
        }
        Ok(())
    }

    /// What happens to a device as a whole.
    fn other(&mut self, script: &mut Script<'_>) -> Result<(), Fault> {
        match script.byte() % 6 {
            0 => self.start_afresh(),
            1 => self.bench.with(VsockDevice::on_new_generation)?,
            2 => {
                let state = self.bench.device.save();
                self.bench.device.restore(&state).expect("its own state");
                self.bench.with(VsockDevice::start)?;
            }
            // An event for a socket that may not be there any more, or not be ready.
            3 | 4 => self.bench.fire(u32::from(script.byte()))?,
            _ => {
                let index = script.short();
                let queue = usize::from(script.byte() % 3);
                self.bench.drivers[queue].set_available_index(self.bench.ram.memory(), index);
                self.bench.kick(queue)?;
            }
        }
        Ok(())
    }

    /// Handles what the event loop has now; whether there was anything.
    fn pump(&mut self) -> Result<bool, Fault> {
        let mut events = [EpollEvent::default(); 64];
        let count = self.epoll.wait(0, &mut events).expect("epoll");
        for event in &events[..count] {
            let (_, source) = of_token(event.data());
            self.bench.with(|device, io| device.on_event(source, Ready::from(event.event_set()), io))?;
        }
        Ok(count > 0)
    }

    fn check(&self) {
        let device = &self.bench.device;
        assert!(device.table.len() <= MAX_CONNECTIONS);
        assert!(device.ready.len() <= device.table.len(), "a turn for a connection that has gone");
        assert!(device.replies.len() <= 3 * MAX_CONNECTIONS);
        for (_, connection) in device.table.iter() {
            assert_eq!(connection.backlog.len(), connection.credit.held() as usize);
            assert!(connection.backlog.len() <= 256 << 10);
        }
    }

    /// When nobody does anything any more, the event loop comes to rest.
    fn calm_down(&mut self) {
        for _ in 0..10_000 {
            match self.pump() {
                Ok(true) => self.check(),
                Ok(false) => return,
                Err(_) => self.start_afresh(),
            }
        }
        panic!("the event loop spins");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_breaks_nothing() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        for _ in 0..200 {
            let data: Vec<u8> = (0..600)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    (state >> 32) as u8
                })
                .collect();
            fuzz_vsock(&data);
        }
    }
}
