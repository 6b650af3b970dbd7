//! The bound socket, and who may connect to it.
#![allow(unsafe_code, reason = "the standard library can't read a peer's credentials")]

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use vmm_control::{Code, ControlError};

use super::connection::Connection;

/// What the kernel calls users that our user namespace doesn't know.
const UNKNOWN_USER: u32 = 65534;

/// A control socket that is bound; made before the process shuts itself in.
pub struct Listener {
    socket: UnixListener,
    /// Who started the VM.
    owner: u32,
    /// Who we are now; the process may have become another user since.
    own: u32,
    /// Given up to accept and drop a client when there is no other descriptor left: it can't wait in the
    /// socket's queue, as the event loop would be told of it for ever.
    spare: Option<OwnedFd>,
}

impl Listener {
    /// Binds it for the user who runs us. A socket that nobody listens on is replaced.
    ///
    /// # Errors
    /// When the path is in use, or the host refuses.
    pub fn bind(path: &Path) -> io::Result<Self> {
        remove_dead_socket(path)?;
        let socket = UnixListener::bind(path)?;
        // Until here the peers' credentials alone keep others out.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        socket.set_nonblocking(true)?;
        let spare = Some(OwnedFd::from(socket.try_clone()?));
        let owner = rustix::process::geteuid().as_raw();
        Ok(Self { socket, owner, own: owner, spare })
    }

    /// Takes note of who we are, once that won't change any more. Asking for each client would be a system
    /// call that a confined process has no other need for.
    pub(super) fn settle(&mut self) {
        self.own = rustix::process::geteuid().as_raw();
    }

    /// The next client that may be one.
    pub(super) fn accept(&mut self) -> Option<UnixStream> {
        loop {
            match self.socket.accept() {
                Ok((stream, _)) => {
                    // A client that can't be set up is dropped, which is all it can be told.
                    let peer = stream.set_nonblocking(true).and_then(|()| peer_user(&stream)).ok();
                    match peer {
                        Some(user) if self.allows(user) => return Some(stream),
                        Some(user) => {
                            let message = format!("user {user} may not control this VM");
                            let error = ControlError::new(Code::Host, message);
                            Connection::refuse(&stream, error.remedy("connect as the user who started it, or as root"));
                        }
                        None => {}
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                    drop(self.spare.take()?);
                    drop(self.socket.accept());
                    self.spare = self.socket.try_clone().ok().map(OwnedFd::from);
                }
                Err(_) => return None,
            }
        }
    }

    fn allows(&self, user: u32) -> bool {
        user != UNKNOWN_USER && [0, self.owner, self.own].contains(&user)
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// A process that was killed leaves its socket behind.
fn remove_dead_socket(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// The peer's effective user, as our user namespace knows it.
///
/// Not by rustix: a peer in a process namespace above ours has the process id 0, which its type can't hold.
fn peer_user(stream: &UnixStream) -> io::Result<u32> {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).map_err(io::Error::other)?;
    // SAFETY: `credentials` is a plain struct of `length` bytes, and both live through the call.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(credentials.uid) }
}
