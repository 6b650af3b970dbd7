//! Sockets, with host clients and peers that come, talk and vanish as they like.

use std::collections::VecDeque;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::OnceLock;

use vmm::virtio::vsock::{PeerConnector, VsockDevice};
use vmm::virtio::{Device, Mmio};

use crate::hostile::Subject;
use crate::script::Script;

const CID: u64 = 3;
const SERVICE: u32 = 80;
const MOST_SOCKETS: usize = 16;

/// The host's side of the device.
pub struct Vsock {
    sockets: VecDeque<UnixStream>,
}

/// Where clients connect, and where the guest's connections arrive: bound once a process.
struct Places {
    folder: PathBuf,
    clients: UnixListener,
    service: UnixListener,
}

fn places() -> &'static Places {
    static PLACES: OnceLock<Places> = OnceLock::new();
    PLACES.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("vmm-fuzz-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a temporary folder");
        let bind = |name: &str| {
            let listener = UnixListener::bind(folder.join(name)).expect("a socket");
            listener.set_nonblocking(true).expect("a socket");
            listener
        };
        let (clients, service) = (bind("s"), bind(&format!("s_{SERVICE}")));
        Places { folder, clients, service }
    })
}

impl Vsock {
    /// Nobody there yet.
    pub fn new() -> Self {
        // Those of the script before.
        while places().clients.accept().is_ok() || places().service.accept().is_ok() {}
        Self { sockets: VecDeque::new() }
    }
}

impl Default for Vsock {
    fn default() -> Self {
        Self::new()
    }
}

impl Subject for Vsock {
    fn device(&mut self) -> Box<dyn Device> {
        let listener = places().clients.try_clone().expect("the host has a descriptor");
        let peers = PeerConnector::new(places().folder.join("s"));
        Box::new(VsockDevice::new(3, listener, peers).expect("the host has descriptors"))
    }

    fn request(&mut self, _: usize, script: &mut Script<'_>) -> Vec<u8> {
        let odd = script.any::<u8>();
        let payload = script.bytes(usize::from(odd & 15) * 4);
        let port = |script: &mut Script<'_>| match script.below(4) {
            0 | 1 => SERVICE,
            2 => (1 << 30) + u32::from(script.any::<u8>() % 4),
            _ => u32::from(script.any::<u8>()),
        };
        let count = |script: &mut Script<'_>| script.pick(&[0, 1, 64, 4096, 1 << 18, 1 << 31, u32::MAX, 300]);
        let mut bytes = Vec::new();
        for cid in [if odd == 0xFF { 9 } else { CID }, if odd == 0xFE { 9 } else { 2 }] {
            bytes.extend(cid.to_le_bytes());
        }
        bytes.extend(u32::from(script.any::<u8>() % 4).to_le_bytes());
        bytes.extend(port(script).to_le_bytes());
        let length = if odd & 0x30 == 0x30 { count(script) } else { u32::try_from(payload.len()).expect("short") };
        bytes.extend(length.to_le_bytes());
        bytes.extend(if odd == 0xFD { 2_u16 } else { 1 }.to_le_bytes());
        bytes.extend(u16::from(script.any::<u8>() % 9).to_le_bytes());
        bytes.extend(u32::from(script.any::<u8>() % 4).to_le_bytes());
        bytes.extend(count(script).to_le_bytes());
        bytes.extend(count(script).to_le_bytes());
        bytes.extend(payload);
        bytes
    }

    fn host(&mut self, _: &Mmio, script: &mut Script<'_>) {
        while let Ok((stream, _)) = places().service.accept() {
            self.keep(stream);
        }
        if script.once_in(3) {
            let stream = UnixStream::connect(places().folder.join("s")).expect("somebody listens");
            self.keep(stream);
            let line = script.pick(&["CONNECT 1\n", "CONNECT 2\nearly", "CONNECT ", "what\n", "CONNECT 99999999999\n"]);
            if let Some(stream) = self.sockets.back_mut() {
                let _ = stream.write_all(line.as_bytes());
            }
        }
        let at = script.below(self.sockets.len().max(1));
        let Some(socket) = self.sockets.get_mut(at) else { return };
        match script.below(8) {
            0 => drop(self.sockets.remove(at)),
            1 => drop(socket.shutdown(Shutdown::Write)),
            2 => drop(socket.shutdown(Shutdown::Read)),
            3 | 4 => drop(socket.read(&mut [0; 4096])),
            _ => drop(socket.write(&script.bytes(16).repeat(1 + 64 * script.below(8)))),
        }
    }
}

impl Vsock {
    fn keep(&mut self, stream: UnixStream) {
        stream.set_nonblocking(true).expect("a socket");
        self.sockets.push_back(stream);
        if self.sockets.len() > MOST_SOCKETS {
            self.sockets.pop_front();
        }
    }
}
