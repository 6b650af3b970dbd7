//! The control socket's side in the VM's process.
//!
//! In:  frames of several clients, of whom none is trusted to be quick or sane.
//! Out: calls of `Operations`, replies and events.
//!
//! It runs on the device thread and never waits for a client: one that doesn't
//! read is no longer read from, then dropped. It decides nothing about the VM:
//! what a request does, and whether it may now, is `Operations`' business.

mod answer;
mod connection;
mod listener;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;

use vmm_control::{Code, ControlError, Event, EventKind, ExitReason, FromVm, Outcome, Request, Response};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use crate::events::{Interest, Poll, Ready};
use crate::log::Log;

pub use answer::Answer;
use answer::Returns;
use connection::{Connection, Incoming};
pub use listener::Listener;

/// Most clients at once: a descriptor leak of a client is not to become ours.
const MAX_CLIENTS: usize = 16;
/// How many past events a new subscriber can see.
const HISTORY: usize = 256;

const LISTENER: u32 = 0;
const WAKE: u32 = 1;
const FIRST_CLIENT: u32 = 2;

/// Who does what clients ask for.
pub trait Operations {
    /// Does it and sends the answer, now or later, from this thread or another.
    /// `Wait` and `Events` never come here. `descriptors` are as many as the request needs only if
    /// `Request::check` says so.
    fn handle(&mut self, request: Request, descriptors: Vec<OwnedFd>, answer: Answer);
}

/// All clients of one VM.
pub struct Server {
    listener: Listener,
    poll: Poll,
    log: Log,
    wake: Arc<EventFd>,
    returns: Arc<Returns>,
    clients: BTreeMap<u32, Connection>,
    next_source: u32,
    history: VecDeque<Event>,
    waiting: Vec<(u32, u64)>,
    ended: Option<ExitReason>,
}

impl Server {
    /// Serves `listener` on the event loop behind `poll`; subscribers get what `log` records from now on.
    /// To be called once the process is the user that it stays.
    ///
    /// # Errors
    /// When the host has no descriptor left.
    pub fn new(mut listener: Listener, poll: Poll, log: &Log) -> io::Result<Self> {
        listener.settle();
        let wake = Arc::new(EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?);
        poll.add(listener.as_raw_fd(), LISTENER, Interest::Read)?;
        poll.add(wake.as_raw_fd(), WAKE, Interest::Read)?;
        log.feed(Arc::clone(&wake));
        Ok(Self {
            listener,
            poll,
            log: log.clone(),
            returns: Arc::new(Returns::new(Arc::clone(&wake))),
            wake,
            clients: BTreeMap::new(),
            next_source: FIRST_CLIENT,
            history: VecDeque::new(),
            waiting: Vec::new(),
            ended: None,
        })
    }

    /// One of the descriptors is ready.
    pub fn on_event(&mut self, source: u32, ready: Ready, operations: &mut dyn Operations) {
        match source {
            LISTENER => self.accept(),
            WAKE => {
                // A counter without a count is no reason to worry: it was read before.
                let _ = self.wake.read();
                self.deliver();
                // Those that had asked for too much at once may have room again.
                let sources: Vec<u32> = self.clients.keys().copied().collect();
                sources.into_iter().for_each(|source| self.serve(source, operations));
            }
            _ => self.on_client(source, ready, operations),
        }
    }

    /// The last words, after `EventKind::Exit` was recorded: whoever waits is answered, as far as
    /// sockets take it without waiting.
    pub fn finish(mut self) {
        self.deliver();
    }

    fn accept(&mut self) {
        while let Some(stream) = self.listener.accept() {
            if self.clients.len() >= MAX_CLIENTS && !self.drop_silent_client() {
                let error = ControlError::new(Code::Busy, format!("this VM has {MAX_CLIENTS} clients already"));
                Connection::refuse(&stream, error.remedy("close one of them"));
                continue;
            }
            let source = self.free_source();
            if self.poll.add(stream.as_raw_fd(), source, Interest::Read).is_ok() {
                self.clients.insert(source, Connection::new(stream));
            }
        }
    }

    /// Makes room by dropping the oldest one that hasn't even said hello.
    fn drop_silent_client(&mut self) -> bool {
        let silent = self.clients.iter().find(|(_, client)| !client.greeted).map(|(source, _)| *source);
        silent.is_some_and(|source| {
            self.drop_client(source);
            true
        })
    }

    /// Numbers come back as late as possible: an event of an old client must not reach a new one.
    fn free_source(&mut self) -> u32 {
        loop {
            let source = self.next_source;
            self.next_source = source.checked_add(1).unwrap_or(FIRST_CLIENT);
            if !self.clients.contains_key(&source) {
                return source;
            }
        }
    }

    fn drop_client(&mut self, source: u32) {
        if let Some(client) = self.clients.remove(&source) {
            // It fails only for a descriptor that isn't watched.
            let _ = self.poll.remove(client.as_raw_fd());
        }
        self.waiting.retain(|(of, _)| *of != source);
    }

    fn on_client(&mut self, source: u32, ready: Ready, operations: &mut dyn Operations) {
        let Some(client) = self.clients.get_mut(&source) else { return };
        let alive = if ready.readable && client.may_ask() { client.receive() } else { !ready.hangup };
        if alive {
            self.serve(source, operations);
        } else {
            self.drop_client(source);
        }
    }

    /// Handles the frames that are here, until it has asked for too much at once.
    fn serve(&mut self, source: u32, operations: &mut dyn Operations) {
        while let Some(client) = self.clients.get_mut(&source).filter(|client| client.may_ask()) {
            match client.next() {
                Ok(None) => break,
                Ok(Some(Incoming::Greeted)) => {}
                Ok(Some(Incoming::Request { id, request, descriptors })) => {
                    client.pending += 1;
                    self.handle(source, id, request, descriptors, operations);
                }
                Err(error) => {
                    client.queue(&FromVm::Refused(error), Vec::new());
                    client.flush();
                    return self.drop_client(source);
                }
            }
            self.deliver();
        }
        self.settle(source);
    }

    fn handle(
        &mut self,
        source: u32,
        id: u64,
        request: Result<Request, ControlError>,
        descriptors: Vec<OwnedFd>,
        operations: &mut dyn Operations,
    ) {
        match request {
            Ok(Request::Wait) => match self.ended.clone() {
                Some(reason) => self.reply(source, id, Outcome::Done(Response::Ended(reason)), Vec::new()),
                None => self.waiting.push((source, id)),
            },
            Ok(Request::Events { replay }) => {
                self.reply(source, id, Outcome::Done(Response::Unit), Vec::new());
                self.subscribe(source, replay);
            }
            Ok(request) => operations.handle(request, descriptors, Answer::new(&self.returns, source, id)),
            Err(error) => self.reply(source, id, Outcome::Failed(error), Vec::new()),
        }
    }

    fn subscribe(&mut self, source: u32, replay: bool) {
        // What happened before is history, even if it hasn't been sent to others yet.
        self.publish();
        if let Some(client) = self.clients.get_mut(&source) {
            client.subscribed = true;
            for event in self.history.iter().filter(|_| replay) {
                client.queue(&FromVm::Event(event.clone()), Vec::new());
            }
        }
    }

    /// Takes answers and events to their clients.
    fn deliver(&mut self) {
        for (source, id, outcome, descriptors) in self.returns.take() {
            self.reply(source, id, outcome, descriptors);
        }
        self.publish();
        let sources: Vec<u32> = self.clients.keys().copied().collect();
        sources.into_iter().for_each(|source| self.settle(source));
    }

    fn publish(&mut self) {
        for event in self.log.take() {
            if let EventKind::Exit { reason } = &event.kind {
                self.ended = Some(reason.clone());
                for (source, id) in std::mem::take(&mut self.waiting) {
                    self.reply(source, id, Outcome::Done(Response::Ended(reason.clone())), Vec::new());
                }
            }
            for client in self.clients.values_mut().filter(|client| client.subscribed) {
                client.queue(&FromVm::Event(event.clone()), Vec::new());
            }
            if self.history.len() == HISTORY {
                self.history.pop_front();
            }
            self.history.push_back(event);
        }
    }

    fn reply(&mut self, source: u32, id: u64, outcome: Outcome, descriptors: Vec<OwnedFd>) {
        // Without its client an answer goes nowhere, and its descriptors are closed.
        let Some(client) = self.clients.get_mut(&source) else { return };
        client.pending = client.pending.saturating_sub(1);
        client.reply(id, outcome, descriptors);
    }

    /// Sends what there is, then waits for the right thing, or drops the client.
    fn settle(&mut self, source: u32) {
        let Some(client) = self.clients.get_mut(&source) else { return };
        let watched = client.flush() && client.watch(&self.poll, source).is_ok();
        if !watched {
            self.drop_client(source);
        }
    }
}
