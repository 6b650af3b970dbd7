//! Drives registers as a driver does, and as none should.

use std::sync::Arc;

use vmm_sys_util::epoll::{Epoll, EpollEvent};

use super::*;
use crate::memory::GuestRam;
use crate::virtio::Chain;

/// Notes what is asked of it; its second queue takes one byte a request, and a zero there is a fault.
struct Probe {
    calls: Arc<Mutex<Vec<String>>>,
    kept: u8,
}

impl Probe {
    fn note(&self, call: impl Into<String>) {
        self.calls.lock().expect("no test panics with it").push(call.into());
    }

    fn serve(&self, queue: usize, io: &mut Io<'_>) -> Result<(), Fault> {
        while let Some(chain) = io.pop(queue)? {
            let [byte] = Chain::reader(&chain, io.memory).array()?;
            if byte == 0 {
                return Err(Fault::Request("a zero"));
            }
            io.push(queue, chain.head(), 0)?;
            io.notify(queue)?;
        }
        Ok(())
    }
}

impl Device for Probe {
    fn kind(&self) -> Kind {
        Kind::Entropy
    }
    fn features(&self) -> u64 {
        1 << 5
    }
    fn queue_sizes(&self) -> &[u16] {
        &[8, 16]
    }
    fn read_config(&self, offset: u64, data: &mut [u8]) {
        for (byte, value) in data.iter_mut().zip(offset..4) {
            *byte = 0xA0 + u8::try_from(value).expect("below 4");
        }
    }
    fn write_config(&mut self, offset: u64, data: &[u8]) {
        self.note(format!("config {offset} {data:?}"));
    }
    fn start(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        self.note("start");
        self.serve(1, io)
    }
    fn on_queue(&mut self, queue: usize, io: &mut Io<'_>) -> Result<(), Fault> {
        self.note(format!("queue {queue}"));
        self.serve(queue, io)
    }
    fn on_event(&mut self, source: u32, _: Ready, io: &mut Io<'_>) -> Result<(), Fault> {
        self.note(format!("event {source}"));
        self.serve(1, io)
    }
    fn reset(&mut self) {
        self.note("reset");
    }
    fn save(&self) -> Vec<u8> {
        vec![self.kept]
    }
    fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        let &[kept] = state else {
            return Err(StateError::Invalid { part: "probe", reason: "length".into() });
        };
        self.kept = kept;
        Ok(())
    }
    fn on_new_generation(&mut self, _: &mut Io<'_>) -> Result<(), Fault> {
        self.note("generation");
        Ok(())
    }
    fn metrics(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

const STATUS: u64 = 0x70;
const INTERRUPT_STATUS: u64 = 0x60;
/// Of the second queue, all within 32 MiB.
const DESCRIPTORS: u64 = 0x10_0000;
const AVAILABLE: u64 = 0x11_0000;
const USED: u64 = 0x12_0000;
const BUFFER: u64 = 0x13_0000;

struct Fixture {
    mmio: Mmio,
    ram: GuestRam,
    epoll: Arc<Epoll>,
    calls: Arc<Mutex<Vec<String>>>,
}

/// One step of a driver, or what it finds.
#[derive(Debug, Clone, Copy)]
enum Step {
    Write(u64, u32),
    Read(u64, u32),
    /// The device thread gets to run.
    Run,
    /// The next request in the second queue: its byte.
    Request(u8),
}
use Step::{Read, Request, Run, Write};

impl Fixture {
    fn new() -> Self {
        let ram = GuestRam::create(32).expect("memory");
        let epoll = Arc::new(Epoll::new().expect("epoll"));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let probe = Probe { calls: calls.clone(), kept: 7 };
        let line = EventFd::new(EFD_NONBLOCK).expect("eventfd");
        let mmio =
            Mmio::new(Box::new(probe), ram.memory().clone(), line, Poll::new(epoll.clone(), 3)).expect("a device");
        Self { mmio, ram, epoll, calls }
    }

    fn read(&self, offset: u64) -> u32 {
        let mut data = [0xFF; 4];
        self.mmio.read(offset, &mut data);
        u32::from_le_bytes(data)
    }

    /// Serves all events that are pending.
    fn run(&self) {
        let mut events = [EpollEvent::default(); 8];
        loop {
            let count = self.epoll.wait(0, &mut events).expect("epoll");
            for event in &events[..count] {
                let (owner, source) = crate::events::of_token(event.data());
                assert_eq!(owner, 3);
                self.mmio.on_event(source, event.event_set().into());
            }
            if count == 0 {
                return;
            }
        }
    }

    fn request(&self, byte: u8) {
        use vm_memory::{Bytes as _, GuestAddress};
        let memory = self.ram.memory();
        let index: u16 = memory.read_obj(GuestAddress(AVAILABLE + 2)).expect("in memory");
        let mut descriptor = [0; 16];
        descriptor[..8].copy_from_slice(&BUFFER.to_le_bytes());
        descriptor[8] = 1;
        memory.write_slice(&descriptor, GuestAddress(DESCRIPTORS)).expect("in memory");
        memory.write_obj(byte, GuestAddress(BUFFER)).expect("in memory");
        memory.write_obj(0u16, GuestAddress(AVAILABLE + 4 + 2 * u64::from(index % 16))).expect("in memory");
        memory.write_obj(index + 1, GuestAddress(AVAILABLE + 2)).expect("in memory");
    }

    fn steps(&self, steps: &[Step]) {
        for (number, step) in steps.iter().enumerate() {
            match *step {
                Write(offset, value) => self.mmio.write(offset, &value.to_le_bytes()),
                Read(offset, expected) => {
                    assert_eq!(self.read(offset), expected, "step {number}, {offset:#x}, of {steps:x?}");
                }
                Run => self.run(),
                Request(byte) => self.request(byte),
            }
        }
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().expect("no test panics with it"))
    }
}

/// Runs `steps` on a new device, which then was asked for `calls`.
fn check(steps: &[&[Step]], calls: &[&str]) -> Fixture {
    let fixture = Fixture::new();
    fixture.steps(&steps.concat());
    assert_eq!(fixture.calls(), calls, "{steps:x?}");
    fixture
}

const FEATURES: &[Step] = &[
    Write(STATUS, 1),
    Write(STATUS, 3),
    Write(0x24, 0),
    Write(0x20, 1 << 5),
    Write(0x24, 1),
    Write(0x20, 1),
    Write(STATUS, 11),
    Read(STATUS, 11),
];
const QUEUE: &[Step] = &[
    Write(0x30, 1),
    Read(0x34, 16),
    Write(0x38, 16),
    Write(0x80, DESCRIPTORS as u32),
    Write(0x90, AVAILABLE as u32),
    Write(0xA0, USED as u32),
    Write(0x44, 1),
    Read(0x44, 1),
];
const DRIVER_OK: &[Step] = &[Write(STATUS, 15), Read(STATUS, 15)];

#[test]
fn a_driver_finds_and_starts_the_device() {
    let find = [
        Read(0, 0x7472_6976),
        Read(4, 2),
        Read(8, 4),
        Write(0x14, 0),
        Read(0x10, 1 << 5 | 1 << 28 | 1 << 29),
        Write(0x14, 1),
        Read(0x10, 1),
        Write(0x14, 2),
        Read(0x10, 0),
        Write(0x30, 2),
        Read(0x34, 0),
        Write(0xAC, 0),
        Read(0xB0, u32::MAX),
        Read(0xB4, u32::MAX),
    ];
    let serve = [
        Request(1),
        Write(0x50, 1),
        Run,
        Read(INTERRUPT_STATUS, 1),
        Write(0x64, 1),
        Read(INTERRUPT_STATUS, 0),
        Request(1),
        Write(0x50, 1),
        Run,
        Read(INTERRUPT_STATUS, 1),
    ];
    check(&[&find, FEATURES, QUEUE, DRIVER_OK, &[Run], &serve], &["start", "queue 1", "queue 1"]);
}

#[test]
fn a_status_goes_forward_one_step_at_a_time() {
    // written, then read
    for (steps, expected) in [
        (vec![2], 0),
        (vec![4], 0),
        (vec![15], 0),
        (vec![1, 7], 1),
        (vec![1, 3, 7], 3),
        (vec![1, 3, 1], 3),
        (vec![1, 3, 11], 3), // no features
        (vec![64], 0),
        (vec![1, 0xFFFF_FFFF], 1),
        (vec![1, 129], 129),
        (vec![1, 129, 131], 129),
        (vec![1, 129, 0], 0),
        (vec![128], 128),
    ] {
        let fixture = Fixture::new();
        for value in &steps {
            fixture.steps(&[Write(STATUS, *value)]);
        }
        assert_eq!(fixture.read(STATUS), expected, "{steps:?}");
    }
}

#[test]
fn features_are_agreed_on_or_not() {
    // low, high, accepted
    for (low, high, accepted) in [
        (0, 1, true),
        (1 << 5 | 1 << 28 | 1 << 29, 1, true),
        (1 << 5, 0, false),     // not version 1
        (1 << 6, 1, false),     // not offered
        (0, 1 | 1 << 8, false), // ring reset isn't
    ] {
        let steps = [Write(STATUS, 1), Write(STATUS, 3), Write(0x24, 0), Write(0x20, low), Write(0x24, 1)];
        let fixture = check(&[&steps, &[Write(0x20, high), Write(STATUS, 11)]], &[]);
        assert_eq!(fixture.read(STATUS), if accepted { 11 } else { 3 }, "{low:x} {high:x}");
    }
}

#[test]
fn what_comes_too_early_or_too_late_changes_nothing() {
    // Features before DRIVER, and after FEATURES_OK.
    let early = [Write(0x24, 1), Write(0x20, 1), Write(STATUS, 1), Write(STATUS, 3), Write(STATUS, 11)];
    check(&[&early, &[Read(STATUS, 3)]], &[]);
    let fixture = check(&[FEATURES, &[Write(0x20, 0xFF)]], &[]);
    assert_eq!(fixture.mmio.save().features, 1 << 32 | 1 << 5);
    // Queues before FEATURES_OK, after DRIVER_OK, and while they are ready.
    check(&[&[Write(STATUS, 1), Write(0x44, 1), Read(0x44, 0)]], &[]);
    let late = [Write(0x30, 0), Write(0x44, 1), Read(0x44, 0), Write(0x30, 1), Write(0x38, 8)];
    let fixture = check(&[FEATURES, QUEUE, DRIVER_OK, &late], &[]);
    assert_eq!(fixture.mmio.save().queues[1].size, 16);
    // Notifications and events before the start find no request.
    let waiting = [Request(0), Write(0x50, 1), Write(0x50, 9), Run, Read(0x44, 1), Read(STATUS, 11)];
    check(&[FEATURES, QUEUE, &waiting], &[]);
    let fixture = check(&[FEATURES, QUEUE, &[Request(0)]], &[]);
    fixture.mmio.on_event(5, Ready { readable: true, writable: false, hangup: false });
    assert_eq!((fixture.calls(), fixture.read(STATUS)), (vec!["event 5".to_owned()], 11));
}

#[test]
fn a_reset_ends_everything_and_a_later_event_is_ignored() {
    let reset = [Request(1), Write(0x50, 1), Write(STATUS, 0), Run, Read(STATUS, 0), Read(0x44, 0), Read(0x34, 8)];
    let fixture = check(&[FEATURES, QUEUE, DRIVER_OK, &[Run], &reset], &["start", "reset"]);
    assert_eq!(fixture.mmio.save().features, 0);
    // Also the start may be late.
    check(&[FEATURES, QUEUE, DRIVER_OK, &[Write(STATUS, 0), Run]], &["reset"]);
    // And the device can be had again.
    let again = [Run, Write(STATUS, 0)];
    check(&[FEATURES, QUEUE, DRIVER_OK, &again, FEATURES, QUEUE, DRIVER_OK, &[Run]], &["start", "reset", "start"]);
}

#[test]
fn a_fault_stops_the_device_until_it_is_reset() {
    let fault = [Request(0), Write(0x50, 1), Run, Read(STATUS, 79), Read(INTERRUPT_STATUS, 2), Read(0xFC, 1)];
    let nothing = [Request(1), Write(0x50, 1), Write(STATUS, 15), Run, Read(STATUS, 79)];
    let reset = [Write(STATUS, 0), Read(STATUS, 0), Read(INTERRUPT_STATUS, 0), Read(0xFC, 1)];
    let fixture =
        check(&[FEATURES, QUEUE, DRIVER_OK, &[Run], &fault, &nothing, &reset], &["start", "queue 1", "reset", "reset"]);
    assert_eq!(fixture.mmio.take_fault().as_deref(), Some("a zero"));
    assert_eq!(fixture.mmio.take_fault(), None);
    assert_eq!(fixture.mmio.metrics(), [("faults", 1)]);
}

#[test]
fn a_queue_that_cannot_be_is_refused() {
    for (offset, value) in [
        (0x38, 0),
        (0x38, 3),
        (0x38, 32),
        (0x38, 1 << 16),
        (0x80, 0x10_0008),
        (0x84, 1),
        (0x90, 0x11_0001),
        (0x94, u32::MAX),
        (0xA0, 0x12_0002),
        (0xA0, (32 << 20) - 64),
        (0xA4, u32::MAX),
    ] {
        let (last, setup) = QUEUE.split_at(QUEUE.len() - 2);
        check(
            &[FEATURES, last, &[Write(offset, value), setup[0], Read(0x44, 0), Read(STATUS, 75), Write(STATUS, 79)]],
            &["reset"],
        );
    }
}

#[test]
fn a_queue_taken_from_a_running_device_stops_it() {
    let fixture = check(
        &[FEATURES, QUEUE, DRIVER_OK, &[Run, Write(0x44, 0), Read(0x44, 0), Read(STATUS, 79), Run]],
        &["start", "reset"],
    );
    assert_eq!(fixture.mmio.take_fault().as_deref(), Some("a queue was taken from a running device"));
    // Before it runs, that is nothing special.
    check(&[FEATURES, QUEUE, &[Write(0x44, 0), Read(0x44, 0), Read(STATUS, 11)], QUEUE, DRIVER_OK], &[]);
}

#[test]
fn configuration_is_read_in_any_width() {
    for (offset, length, expected) in [
        (0x100, 1, &[0xA0][..]),
        (0x101, 2, &[0xA1, 0xA2]),
        (0x100, 4, &[0xA0, 0xA1, 0xA2, 0xA3]),
        (0x100, 8, &[0xA0, 0xA1, 0xA2, 0xA3, 0, 0, 0, 0]),
        (0x102, 4, &[0xA2, 0xA3, 0, 0]),
        (0x100, 3, &[0, 0, 0]),
        (0xFFF, 8, &[0; 8]),
        (0x70, 2, &[0, 0]),
        (0x71, 4, &[0; 4]),
        (u64::MAX, 4, &[0; 4]),
    ] {
        let mut data = vec![0xFF; length];
        Fixture::new().mmio.read(offset, &mut data);
        assert_eq!(data, expected, "{offset:#x}");
    }
    check(&[&[Write(0x104, 9)], &[Write(STATUS, 1), Write(STATUS, 3), Write(0x108, 1)]], &["config 8 [1, 0, 0, 0]"]);
}

#[test]
fn a_saved_device_goes_on_elsewhere() {
    let fixture = check(&[FEATURES, QUEUE, DRIVER_OK, &[Run, Request(1), Write(0x50, 1), Run]], &["start", "queue 1"]);
    fixture.mmio.drain();
    let state: MmioState = crate::state::decode("device", &crate::state::encode(&fixture.mmio.save())).expect("ours");
    let other = Fixture::new();
    other.mmio.restore(&state).expect("the same device");
    assert_eq!(other.mmio.save(), state);
    assert!(other.mmio.line().read().is_ok(), "the interrupt was on its way");
    // A copy of the memory, as far as rings go.
    other.steps(&[Request(1)]);
    other.mmio.new_generation();
    other.steps(&[Run, Read(STATUS, 15), Read(INTERRUPT_STATUS, 1), Request(1), Write(0x50, 1), Run]);
    assert_eq!(other.calls(), ["start", "generation", "queue 1"]);
    assert_eq!(other.mmio.save().queues[1].next_used, 2);
}

#[test]
fn a_state_of_another_device_is_refused() {
    let saved = check(&[FEATURES, QUEUE, DRIVER_OK, &[Run]], &["start"]).mmio.save();
    type Change = fn(&mut MmioState);
    let changes: &[(Change, &str)] = &[
        (|state| state.kind = 1, "it is of device type 1, not 4"),
        (|state| state.features |= 1 << 6, "its driver uses features 0x40, which this device lacks"),
        (|state| state.features = 0, "status 0xf with features 0x0"),
        (|state| state.status = 5, "status 0x5 with features 0x100000020"),
        (|state| state.status = 1 << 8, "status 0x100 with features 0x100000020"),
        (|state| state.queues.truncate(1), "it has 1 queues, not 2"),
        (|state| state.interrupt = 4, "interrupt status 0x4"),
        (|state| state.status = 3, "a queue was set up otherwise than its features say"),
        (|state| state.queues[1].event_index = true, "a queue was set up otherwise than its features say"),
        (|state| state.queues[1].size = 64, "descriptor 64 of a table of 16"),
        (|state| state.queues[1].device = 32 << 20, "queue at 0x2000000 is not in guest memory, or misaligned"),
        (|state| state.device.clear(), "length"),
    ];
    for (change, expected) in changes {
        let mut state = saved.clone();
        change(&mut state);
        let fixture = Fixture::new();
        let before = fixture.mmio.save();
        let error = fixture.mmio.restore(&state).expect_err(expected).to_string();
        assert!(error.ends_with(&format!(": {expected}")), "{error} instead of {expected}");
        assert_eq!(fixture.mmio.save(), before);
    }
}

#[test]
fn control_reaches_the_device_by_its_type() {
    let fixture = Fixture::new();
    assert_eq!(fixture.mmio.with(|probe: &mut Probe, _| probe.kept), Some(7));
}

#[test]
fn no_sequence_of_accesses_panics() {
    // A xorshift generator: the same sequences every time.
    let mut seed = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = |limit: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % limit
    };
    let fixture = Fixture::new();
    let values = [0, 1, 2, 3, 8, 11, 15, 16, 79, 128, 1 << 5, 0x10_0000, 0x11_0000, (32 << 20) - 16, u32::MAX];
    for _ in 0..200_000 {
        // Mostly registers that exist; mostly values that lead somewhere.
        let offset = if next(8) == 0 { next(0x1000) } else { 4 * next(0x44) };
        let value = if next(8) == 0 { next(1 << 32) as u32 } else { values[next(values.len() as u64) as usize] };
        match next(4) {
            0 => fixture.mmio.read(offset, &mut vec![0; next(9) as usize]),
            1 => fixture.mmio.write(offset, &value.to_le_bytes()[..next(5) as usize]),
            2 => fixture.mmio.write(offset, &value.to_le_bytes()),
            _ => fixture.run(),
        }
    }
    fixture.steps(&[Write(STATUS, 0)]);
    fixture.calls();
    fixture.steps(&[FEATURES, QUEUE, DRIVER_OK, &[Run]].concat());
    assert_eq!(fixture.calls(), ["start"], "a reset makes it usable after all that");
}
