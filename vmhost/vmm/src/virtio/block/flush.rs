//! Flushes: when they end, everything written before them is on the medium.
//!
//! One round runs at a time and serves all flushes that came before it began; those
//! that come later wait for the next. A round over an overlay is: sync the data,
//! write the bitmap's bits for them, sync again.

use virtio_bindings::virtio_blk::{VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_OK};

use super::engine::{Job, Work};
use super::image::Pending;
use super::{Block, SYNC};
use crate::virtio::{Fault, Io};

/// Who waits for what.
#[derive(Default)]
pub(super) struct Flush {
    /// Places of requests that this round serves; none if there is no round.
    serving: Vec<usize>,
    waiting: Vec<usize>,
    pending: Option<Pending>,
    /// The bits are in the file.
    written: bool,
}

impl Flush {
    /// The request at `place` is over with the next round.
    pub(super) fn wait(&mut self, place: usize) {
        self.waiting.push(place);
    }
}

impl Block {
    /// Begins a round if none runs and somebody waits.
    pub(super) fn begin_flush(&mut self) {
        if self.flush.serving.is_empty() && !self.flush.waiting.is_empty() {
            let serving = std::mem::take(&mut self.flush.waiting);
            self.flush = Flush { serving, pending: self.image.take_pending(), ..Flush::default() };
            self.begin_sync();
        }
    }

    fn begin_sync(&mut self) {
        let job = Job { file: self.image.target().clone(), offset: 0, length: 0, work: Work::Sync };
        self.engine.begin(SYNC, job);
    }

    /// The data are synced, or the bitmap is, or neither.
    pub(super) fn synced(&mut self, synced: bool, io: &mut Io<'_>) -> Result<(), Fault> {
        if let Some(pending) = self.flush.pending.as_ref().filter(|_| synced && !self.flush.written)
            && self.image.write_pending(pending).is_ok()
        {
            self.flush.written = true;
            self.begin_sync();
            return Ok(());
        }
        let complete = synced && (self.flush.pending.is_none() || self.flush.written);
        if !complete {
            self.give_up_flush();
        }
        self.flush.pending = None;
        for place in std::mem::take(&mut self.flush.serving) {
            self.answer(place, if complete { VIRTIO_BLK_S_OK } else { VIRTIO_BLK_S_IOERR }, io)?;
        }
        self.begin_flush();
        Ok(())
    }

    /// What the round would have written is to be written later.
    pub(super) fn give_up_flush(&mut self) {
        if let Some(pending) = self.flush.pending.take() {
            self.image.put_back(pending);
        }
    }
}
