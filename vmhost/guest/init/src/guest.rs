//! What verbs share: where they run, and the memory that outlives a request.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sys;
use crate::verbs::{Churn, Filled};

/// State of the whole program, shared by every connection.
#[derive(Debug)]
pub struct Guest {
    /// How the host is reached.
    pub(crate) host: HostSide,
    /// How often this guest became another one, see [`crate::generation`].
    pub(crate) generation: AtomicU64,
    filled: Mutex<Option<Filled>>,
    churn: Mutex<Option<Churn>>,
}

/// The other end of connections that the guest opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostSide {
    /// The host behind the virtio-vsock device, context id 2.
    Vsock,
    /// Outside a guest: port N is the unix socket `PATH_N`.
    Unix(PathBuf),
}

impl HostSide {
    /// Connects to a port of the host.
    ///
    /// # Errors
    /// As the socket's `connect` says; refused when nobody listens.
    pub fn connect(&self, port: u32) -> io::Result<UnixStream> {
        match self {
            Self::Vsock => sys::vsock::connect(libc::VMADDR_CID_HOST, port),
            Self::Unix(path) => UnixStream::connect(port_path(path, port)),
        }
    }
}

/// The unix socket that stands for a vsock port.
pub(crate) fn port_path(path: &std::path::Path, port: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("_{port}"));
    name.into()
}

impl Guest {
    /// A guest with nothing in memory yet.
    pub fn new(host: HostSide) -> Self {
        Self { host, generation: AtomicU64::new(0), filled: Mutex::new(None), churn: Mutex::new(None) }
    }

    /// Whether the machine is ours to change: this process is PID 1 of a guest, not of a container
    /// nor an ordinary one.
    pub(crate) fn is_init(&self) -> bool {
        self.host == HostSide::Vsock
    }

    pub(crate) fn filled(&self) -> MutexGuard<'_, Option<Filled>> {
        lock(&self.filled)
    }

    pub(crate) fn churn(&self) -> MutexGuard<'_, Option<Churn>> {
        lock(&self.churn)
    }
}

/// A verb that panicked must not take the verbs after it along.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
