//! The way of an answer back to its client, from any thread.

use std::mem;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use vmm_control::{Code, ControlError, Outcome, Response};
use vmm_sys_util::eventfd::EventFd;

/// An answer, with the client's source and the request's number before it.
type Return = (u32, u64, Outcome, Vec<OwnedFd>);

/// Answers that wait for the device thread. As many as there are open requests, which are bounded.
pub struct Returns {
    queue: Mutex<Vec<Return>>,
    wake: Arc<EventFd>,
}

impl Returns {
    /// None yet; `wake` tells of new ones.
    pub fn new(wake: Arc<EventFd>) -> Self {
        Self { queue: Mutex::new(Vec::new()), wake }
    }

    /// Those since the last call.
    pub fn take(&self) -> Vec<Return> {
        mem::take(&mut *self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, value: Return) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push(value);
        // Only a counter at its end makes this fail, and then the device thread is awake already.
        let _ = self.wake.write(1);
    }
}

/// The duty to answer one request. Dropped without, it tells the client of a mistake of ours.
#[must_use]
pub struct Answer {
    returns: Arc<Returns>,
    source: u32,
    id: u64,
    sent: bool,
}

impl Answer {
    pub(super) fn new(returns: &Arc<Returns>, source: u32, id: u64) -> Self {
        Self { returns: Arc::clone(returns), source, id, sent: false }
    }

    /// Answers without descriptors.
    pub fn send(self, result: Result<Response, ControlError>) {
        self.send_with(result, Vec::new());
    }

    /// Answers with descriptors, which are closed here once they are on their way.
    pub fn send_with(mut self, result: Result<Response, ControlError>, descriptors: Vec<OwnedFd>) {
        self.sent = true;
        self.returns.push((self.source, self.id, result.into(), descriptors));
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.sent {
            let error = ControlError::new(Code::Internal, "the request was given up without an answer");
            self.returns.push((self.source, self.id, Outcome::Failed(error), Vec::new()));
        }
    }
}
