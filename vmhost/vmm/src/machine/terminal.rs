//! The serial console's two ends on the host, on the device thread.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;

use crate::events::{Interest, Poll, Ready};
use crate::legacy::console::Output;
use crate::legacy::serial::Serial;

/// Sources of the machine's own owner.
const BELL: u32 = 1;
const OUTPUT: u32 = 2;
const INPUT: u32 = 3;
const ROOM: u32 = 4;

/// Moves bytes between the port and two descriptors.
pub(super) struct Terminal {
    output: Output,
    input: Option<File>,
    /// The port is full: its guest must read first.
    full: bool,
    poll: Poll,
}

impl Terminal {
    pub(super) fn new(
        serial: &Serial,
        output: Option<File>,
        input: Option<File>,
        poll: &Poll,
    ) -> std::io::Result<Self> {
        poll.add(serial.console().bell().as_raw_fd(), BELL, Interest::Read)?;
        poll.add(serial.room_event().as_raw_fd(), ROOM, Interest::Read)?;
        // A regular file or /dev/null can't be waited for; it is no terminal, and its end would be reached at once.
        let input = input.filter(|file| poll.add(file.as_raw_fd(), INPUT, Interest::Read).is_ok());
        Ok(Self { output: Output::new(output, poll.clone(), OUTPUT), input, full: false, poll: poll.clone() })
    }

    pub(super) fn has_output(&self) -> bool {
        self.output.exists()
    }

    pub(super) fn on_event(&mut self, serial: &Serial, source: u32, ready: Ready) {
        match source {
            BELL => self.output.on_bell(serial.console()),
            OUTPUT => self.output.on_ready(serial.console()),
            INPUT if ready.readable || ready.hangup => self.read(serial),
            ROOM => {
                let _ = serial.room_event().read();
                self.set_full(false);
            }
            _ => {}
        }
    }

    /// Writes what the guest has said so far, as far as the other end takes it.
    pub(super) fn finish(&mut self, serial: &Serial) {
        self.output.on_bell(serial.console());
        self.output.finish(serial.console());
    }

    fn read(&mut self, serial: &Serial) {
        let Some(file) = &mut self.input else { return };
        let room = serial.room();
        if room == 0 {
            serial.want_room();
            return self.set_full(true);
        }
        let mut bytes = vec![0; room];
        match file.read(&mut bytes) {
            Ok(count) if count > 0 => serial.input(bytes.get(..count).unwrap_or_default()),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::Interrupted | std::io::ErrorKind::WouldBlock) => {}
            // The end, or a broken descriptor: it would be ready for ever.
            Ok(_) | Err(_) => {
                let _ = self.poll.remove(file.as_raw_fd());
                self.input = None;
            }
        }
    }

    fn set_full(&mut self, full: bool) {
        if self.full != full
            && let Some(file) = &self.input
        {
            let interest = if full { Interest::None } else { Interest::Read };
            if self.poll.modify(file.as_raw_fd(), INPUT, interest).is_ok() {
                self.full = full;
            }
        }
    }
}
