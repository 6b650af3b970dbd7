//! The serial port COM1: vm-superio's 16550 between the bus, a console and an irqfd.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use vm_superio::serial::{SerialEvents, SerialState as Registers16550};
use vm_superio::{Serial as Uart, Trigger};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::console::Console;
use crate::bus::Registers;
use crate::state::StateError;

/// First I/O port of COM1.
pub const PORT: u64 = 0x3F8;
/// How many ports it has.
pub const PORTS: u64 = 8;

/// What the port's registers hold, and what the guest hasn't read yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SerialState {
    baud_divisor: [u8; 2],
    interrupt_enable: u8,
    interrupt_identification: u8,
    line_control: u8,
    line_status: u8,
    modem_control: u8,
    modem_status: u8,
    scratch: u8,
    input: Vec<u8>,
}

/// The port.
pub struct Serial {
    uart: Mutex<Uart<Line, Room, Sink>>,
    console: Arc<Console>,
    line: Arc<EventFd>,
    room: Room,
}

impl Serial {
    /// A port after reset, with its output going to `console`.
    ///
    /// # Errors
    /// When the host has no descriptor left.
    pub fn new(console: Arc<Console>) -> io::Result<Self> {
        let line = Arc::new(EventFd::new(EFD_NONBLOCK)?);
        let room = Room(Arc::new((AtomicBool::new(false), EventFd::new(EFD_NONBLOCK)?)));
        let uart = Uart::with_events(Line(Arc::clone(&line)), room.clone(), Sink(Arc::clone(&console)));
        Ok(Self { uart: Mutex::new(uart), console, line, room })
    }

    /// The eventfd of its interrupt.
    pub fn line(&self) -> &EventFd {
        &self.line
    }

    /// Where its output goes.
    pub fn console(&self) -> &Arc<Console> {
        &self.console
    }

    /// How many bytes of input it has room for.
    pub fn room(&self) -> usize {
        self.lock().fifo_capacity()
    }

    /// Asks for `room_event` once the guest has read all its input.
    pub fn want_room(&self) {
        let uart = self.lock();
        self.room.0.0.store(true, Ordering::SeqCst);
        if uart.fifo_capacity() > 0 {
            uart.events().in_buffer_empty();
        }
    }

    /// Rings after `want_room`.
    pub fn room_event(&self) -> &EventFd {
        &self.room.0.1
    }

    /// Input for the guest, at most `room` bytes.
    pub fn input(&self, bytes: &[u8]) {
        // It fails for a full buffer only, which the caller has asked about.
        let _ = self.lock().enqueue_raw_bytes(bytes);
    }

    /// What must be kept.
    pub fn save(&self) -> SerialState {
        let state = self.lock().state();
        SerialState {
            baud_divisor: [state.baud_divisor_low, state.baud_divisor_high],
            interrupt_enable: state.interrupt_enable,
            interrupt_identification: state.interrupt_identification,
            line_control: state.line_control,
            line_status: state.line_status,
            modem_control: state.modem_control,
            modem_status: state.modem_status,
            scratch: state.scratch,
            input: state.in_buffer,
        }
    }

    /// Puts it back and raises the interrupt, which may have been on its way when the state was saved.
    ///
    /// # Errors
    /// When there is more input than the port can hold.
    pub fn restore(&self, state: &SerialState) -> Result<(), StateError> {
        let [baud_divisor_low, baud_divisor_high] = state.baud_divisor;
        let registers = Registers16550 {
            baud_divisor_low,
            baud_divisor_high,
            interrupt_enable: state.interrupt_enable,
            interrupt_identification: state.interrupt_identification,
            line_control: state.line_control,
            line_status: state.line_status,
            modem_control: state.modem_control,
            modem_status: state.modem_status,
            scratch: state.scratch,
            in_buffer: state.input.clone(),
        };
        let (line, sink) = (Line(Arc::clone(&self.line)), Sink(Arc::clone(&self.console)));
        let uart = Uart::from_state(&registers, line, self.room.clone(), sink)
            .map_err(|error| StateError::Invalid { part: "the serial port", reason: error.to_string() })?;
        *self.lock() = uart;
        let _ = self.line.write(1);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Uart<Line, Room, Sink>> {
        self.uart.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registers for Serial {
    fn read(&self, offset: u64, data: &mut [u8]) {
        let mut uart = self.lock();
        // Several bytes are a string instruction: each is one access to the same port.
        data.fill_with(|| uart.read(offset_of(offset)));
    }

    fn write(&self, offset: u64, data: &[u8]) {
        let mut uart = self.lock();
        for byte in data {
            // Neither the line nor the sink can fail.
            let _ = uart.write(offset_of(offset), *byte);
        }
    }
}

/// The bus gives offsets below `PORTS`.
fn offset_of(offset: u64) -> u8 {
    u8::try_from(offset).unwrap_or(u8::MAX)
}

struct Line(Arc<EventFd>);

impl Trigger for Line {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        // Only a full counter could make this fail, and then the line is raised already.
        let _ = self.0.write(1);
        Ok(())
    }
}

struct Sink(Arc<Console>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            self.0.put(*byte);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Rings when there is room for input, if somebody waits for it.
#[derive(Clone)]
struct Room(Arc<(AtomicBool, EventFd)>);

impl SerialEvents for Room {
    fn buffer_read(&self) {}

    fn out_byte(&self) {}

    fn tx_lost_byte(&self) {}

    fn in_buffer_empty(&self) {
        if self.0.0.swap(false, Ordering::SeqCst) {
            // Only a full counter could make this fail, and then it rings already.
            let _ = self.0.1.write(1);
        }
    }
}
