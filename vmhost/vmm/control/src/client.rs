//! A blocking connection to one VM, one method a verb.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::loan::Loan;
use crate::{
    BalloonStats, Cloned, ControlError, Event, ExitReason, FrameError, FrameReader, FromVm, GenerationId, Hello, Info,
    NewOverlay, Outcome, Outgoing, RateLimit, RateTarget, Request, RequestFrame, Response, SnapshotDone, SnapshotKind,
    Stats, VERSION, Welcome,
};

/// A request brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no VM answers at {path}: {source}")]
    Connect {
        /// The control socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The VM understood, and refused.
    #[error(transparent)]
    Refused(#[from] ControlError),
    /// The connection broke, or a time limit passed.
    #[error("connection to the VM: {0}")]
    Io(#[from] io::Error),
    /// The VM's process closed the connection: it has ended, or it dropped us as too slow.
    #[error("the VM closed the connection")]
    Closed,
    /// The other side doesn't speak the protocol.
    #[error("the other side speaks no control protocol: {0}")]
    Frame(#[from] FrameError),
    /// The VM's user can't be let write into a directory, or the directory not taken back.
    #[error("the snapshot's directory can't be lent to the VM's user: {0}")]
    Lend(io::Error),
    /// The answer is one to something else.
    #[error("the VM answered `{request}` with something else")]
    Answer {
        /// What was asked.
        request: &'static str,
    },
}

/// A connection to one VM.
pub struct Client {
    stream: UnixStream,
    reader: FrameReader,
    next_id: u64,
    events: VecDeque<Event>,
    welcome: Welcome,
}

impl Client {
    /// Connects and shakes hands.
    ///
    /// # Errors
    /// When nobody listens, or the VM is of another version.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let connect = |source| ClientError::Connect { path: path.to_owned(), source };
        Self::over(UnixStream::connect(path).map_err(connect)?)
    }

    /// The same, with a limit for the handshake and for each later call.
    ///
    /// # Errors
    /// When nobody listens or answers in time, or the VM is of another version.
    pub fn connect_within(path: &Path, limit: Duration) -> Result<Self, ClientError> {
        let connect = |source| ClientError::Connect { path: path.to_owned(), source };
        let stream = UnixStream::connect(path).map_err(connect)?;
        stream.set_read_timeout(Some(limit)).map_err(connect)?;
        stream.set_write_timeout(Some(limit)).map_err(connect)?;
        Self::over(stream)
    }

    /// Shakes hands over a socket that is connected already.
    ///
    /// # Errors
    /// When the VM is of another version, or the other side is none.
    pub fn over(stream: UnixStream) -> Result<Self, ClientError> {
        let welcome = Welcome { version: VERSION, program: String::new() };
        let mut client = Self { stream, reader: FrameReader::default(), next_id: 1, events: VecDeque::new(), welcome };
        let hello = Hello::of_this_build(concat!("vmm-control ", env!("CARGO_PKG_VERSION")));
        Outgoing::new(&hello, Vec::new())?.send(&client.stream)?;
        match client.receive()? {
            FromVm::Welcome(welcome) => client.welcome = welcome,
            FromVm::Refused(error) => return Err(error.into()),
            FromVm::Reply { .. } | FromVm::Event(_) => return Err(ClientError::Answer { request: "hello" }),
        }
        Ok(client)
    }

    /// What the VM said of itself.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// How long any later call may wait for the VM; without a limit at first.
    /// After a call has run into it, the connection is of no use.
    ///
    /// # Errors
    /// When the limit is zero.
    pub fn set_timeout(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(limit)?;
        self.stream.set_write_timeout(limit)
    }

    /// Any request, with descriptors both ways.
    ///
    /// # Errors
    /// When the VM refuses, or the connection breaks.
    pub fn call(&mut self, request: Request, send: Vec<OwnedFd>) -> Result<(Response, Vec<OwnedFd>), ClientError> {
        let id = self.next_id;
        self.next_id += 1;
        let descriptors = u32::try_from(send.len()).map_err(|_| FrameError::TooManyDescriptors)?;
        Outgoing::new(&RequestFrame { id, descriptors, request }, send)?.send(&self.stream)?;
        loop {
            match self.receive()? {
                FromVm::Event(event) => self.events.push_back(event),
                FromVm::Refused(error) => return Err(error.into()),
                FromVm::Reply { id: of, descriptors, outcome } => {
                    let received = self.reader.take_descriptors(descriptors)?;
                    match outcome {
                        _ if of != id => return Err(ClientError::Answer { request: "an earlier request" }),
                        Outcome::Done(response) => return Ok((response, received)),
                        Outcome::Failed(error) => return Err(error.into()),
                    }
                }
                FromVm::Welcome(_) => return Err(ClientError::Answer { request: "hello" }),
            }
        }
    }

    /// The next event, after `subscribe`; waits for it.
    ///
    /// # Errors
    /// When the connection breaks, `Closed` when the VM has ended.
    pub fn next_event(&mut self) -> Result<Event, ClientError> {
        if let Some(event) = self.events.pop_front() {
            return Ok(event);
        }
        match self.receive()? {
            FromVm::Event(event) => Ok(event),
            FromVm::Refused(error) => Err(error.into()),
            FromVm::Welcome(_) | FromVm::Reply { .. } => Err(ClientError::Answer { request: "events" }),
        }
    }

    fn receive(&mut self) -> Result<FromVm, ClientError> {
        loop {
            if let Some(frame) = self.reader.next_frame()? {
                return Ok(frame);
            }
            if !self.reader.fill(&self.stream)? {
                return Err(ClientError::Closed);
            }
        }
    }

    fn unit(&mut self, request: Request) -> Result<(), ClientError> {
        let name = request.name();
        match self.call(request, Vec::new())? {
            (Response::Unit, _) => Ok(()),
            _ => Err(ClientError::Answer { request: name }),
        }
    }
}

/// The verbs. Each fails when the VM refuses or the connection breaks.
#[allow(clippy::missing_errors_doc, reason = "all fail alike, as said above")]
impl Client {
    /// `Request::Info`.
    pub fn info(&mut self) -> Result<Info, ClientError> {
        match self.call(Request::Info, Vec::new())? {
            (Response::Info(info), _) => Ok(*info),
            _ => Err(ClientError::Answer { request: "info" }),
        }
    }

    /// `Request::Start`.
    pub fn start(&mut self) -> Result<(), ClientError> {
        self.unit(Request::Start)
    }

    /// `Request::Pause`.
    pub fn pause(&mut self) -> Result<(), ClientError> {
        self.unit(Request::Pause)
    }

    /// `Request::Resume`.
    pub fn resume(&mut self) -> Result<(), ClientError> {
        self.unit(Request::Resume)
    }

    /// `Request::Snapshot` into an opened directory. Each overlay comes with its opened file.
    ///
    /// A VM that is shut in is a user of its own: the directory is lent to it meanwhile, which only root can do.
    pub fn snapshot(
        &mut self,
        directory: OwnedFd,
        kind: SnapshotKind,
        resume: bool,
        overlays: Vec<(NewOverlay, OwnedFd)>,
    ) -> Result<SnapshotDone, ClientError> {
        let (overlays, files): (Vec<_>, Vec<_>) = overlays.into_iter().unzip();
        let loan = Loan::of(&directory, self.info()?.user).map_err(ClientError::Lend)?;
        let mut descriptors = vec![directory];
        descriptors.extend(files);
        let answer = self.call(Request::Snapshot { kind, resume, overlays }, descriptors);
        loan.end().map_err(ClientError::Lend)?;
        match answer? {
            (Response::Snapshot(done), _) => Ok(done),
            _ => Err(ClientError::Answer { request: "snapshot" }),
        }
    }

    /// `Request::Clone`. Each overlay of the parent comes with its opened file.
    /// The image's handles are places in the returned descriptors.
    pub fn freeze(&mut self, overlays: Vec<(NewOverlay, OwnedFd)>) -> Result<(Cloned, Vec<OwnedFd>), ClientError> {
        let (overlays, files) = overlays.into_iter().unzip();
        match self.call(Request::Clone { overlays }, files)? {
            (Response::Cloned(mut cloned), mut descriptors) => {
                let known = |handle: &mut crate::Handle| (handle.0 as usize) < descriptors.len();
                if cloned.image.handles().all(known) {
                    for layer in cloned.image.disks.iter().flat_map(|disk| &disk.layers) {
                        if let Some(file) = descriptors.get_mut(layer.0 as usize) {
                            *file = for_reading(file)?;
                        }
                    }
                    Ok((*cloned, descriptors))
                } else {
                    Err(ClientError::Answer { request: "clone" })
                }
            }
            _ => Err(ClientError::Answer { request: "clone" }),
        }
    }

    /// `Request::Balloon`.
    pub fn balloon(&mut self, target_mib: u32) -> Result<(), ClientError> {
        self.unit(Request::Balloon { target_mib })
    }

    /// `Request::BalloonStats`.
    pub fn balloon_stats(&mut self) -> Result<BalloonStats, ClientError> {
        match self.call(Request::BalloonStats, Vec::new())? {
            (Response::Balloon(stats), _) => Ok(stats),
            _ => Err(ClientError::Answer { request: "balloon-stats" }),
        }
    }

    /// `Request::Resize`.
    pub fn resize(&mut self, disk: &str) -> Result<(), ClientError> {
        self.unit(Request::Resize { disk: disk.to_owned() })
    }

    /// `Request::SetRate`.
    pub fn set_rate(&mut self, target: RateTarget, rate: RateLimit) -> Result<(), ClientError> {
        self.unit(Request::SetRate { target, rate })
    }

    /// `Request::Stats`.
    pub fn stats(&mut self) -> Result<Stats, ClientError> {
        match self.call(Request::Stats, Vec::new())? {
            (Response::Stats(stats), _) => Ok(*stats),
            _ => Err(ClientError::Answer { request: "stats" }),
        }
    }

    /// `Request::Generation`.
    pub fn new_generation(&mut self) -> Result<GenerationId, ClientError> {
        match self.call(Request::Generation, Vec::new())? {
            (Response::Generation(id), _) => Ok(id),
            _ => Err(ClientError::Answer { request: "generation" }),
        }
    }

    /// `Request::Stop`.
    pub fn stop(&mut self, force: bool) -> Result<(), ClientError> {
        self.unit(Request::Stop { force })
    }

    /// `Request::Wait`: returns when the VM has ended.
    pub fn wait(&mut self) -> Result<ExitReason, ClientError> {
        match self.call(Request::Wait, Vec::new())? {
            (Response::Ended(reason), _) => Ok(reason),
            _ => Err(ClientError::Answer { request: "wait" }),
        }
    }

    /// `Request::Events`: events come by `next_event` from now on.
    pub fn subscribe(&mut self, replay: bool) -> Result<(), ClientError> {
        self.unit(Request::Events { replay })
    }
}
/// The same file for reading only: the VM that gave it out could write it, and no child may.
fn for_reading(file: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))?.into())
}
