//! A guest that does its worst to one device, and the promises that hold nevertheless.
//!
//! In:  a device, and a script.
//! Out: a panic, if after any step
//! - memory has changed where no buffer was offered since the last reset,
//! - or without the dirty bitmap's knowing, so that a snapshot would miss it;
//! - the device holds more chains than its queue does;
//! - it gives back chains that it was never offered;
//! - it keeps the event loop busy though nothing happens any more;
//! - it doesn't run after a reset, whatever came before;
//! - what it saves is refused by an equal device.
//!
//! The transport and the event loop are the real ones; there is no vCPU.

use std::sync::Arc;

use vmm::events::{Poll, Ready, of_token};
use vmm::virtio::testing::{INDIRECT, NEXT, WRITE};
use vmm::virtio::{Device, Mmio, MmioState};
use vmm_sys_util::epoll::{Epoll, EpollEvent};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::memory::Memory;
use crate::script::{RINGS, Script};

/// A device goes quiet within so many events, if nobody disturbs it.
const MOST_EVENTS: usize = 2_000;
const RUNNING: u32 = 1 | 2 | 4 | 8;
const NEEDS_RESET: u32 = 64;

/// What is particular to a device.
pub trait Subject {
    /// A new device, equal to each other one of this subject.
    fn device(&mut self) -> Box<dyn Device>;

    /// Bytes that begin a request to `queue`, nearly right.
    fn request(&mut self, queue: usize, script: &mut Script<'_>) -> Vec<u8> {
        let _ = queue;
        script.bytes(8).to_vec()
    }

    /// Whether its device lets the kernel write into guest memory whenever it likes, and marks that later.
    fn works_in_background(&self) -> bool {
        false
    }

    /// Something happens on the host's side.
    fn host(&mut self, mmio: &Mmio, script: &mut Script<'_>) {
        let _ = (mmio, script);
    }
}

/// Plays `bytes` as a guest of `subject`'s device.
///
/// # Panics
/// When a promise is broken.
pub fn play(subject: &mut dyn Subject, bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut guest = Guest::new(subject);
    guest.set_up(&mut script);
    while !script.is_over() {
        guest.step(subject, &mut script);
    }
    guest.watched(|guest| guest.write_register(STATUS, 0));
    guest.device_runs(|_| {});
    // The script is over, so what follows is what a good driver does.
    guest.set_up(&mut script);
    assert_eq!(guest.read_register(STATUS), RUNNING, "the device doesn't run after a reset");
}

const STATUS: u64 = 0x70;
const QUEUE_SELECT: u64 = 0x30;
const QUEUE_SIZE: u64 = 0x38;
const QUEUE_READY: u64 = 0x44;
const NOTIFY: u64 = 0x50;

struct Guest {
    memory: Memory,
    mmio: Mmio,
    epoll: Arc<Epoll>,
    /// How many descriptors each queue has, if the guest has set it up as it should.
    sizes: Vec<u16>,
    /// Per queue: what its available index is.
    available: Vec<u16>,
    /// Indices may be anything now: they are of a made-up snapshot.
    restored: bool,
    /// What the device has written may be marked later, but not after it was drained or reset.
    background: bool,
}

impl Guest {
    fn new(subject: &mut dyn Subject) -> Self {
        let device = subject.device();
        let sizes = device.queue_sizes().to_vec();
        let memory = Memory::new();
        let (mmio, epoll) = behind_registers(device, &memory);
        Self {
            available: vec![0; sizes.len()],
            memory,
            mmio,
            epoll,
            sizes,
            restored: false,
            background: subject.works_in_background(),
        }
    }

    fn step(&mut self, subject: &mut dyn Subject, script: &mut Script<'_>) {
        match script.below(20) {
            0..=5 => self.request(subject, script),
            6 => self.memory.write(script.address(), script.bytes(16)),
            7 | 8 => self.stray_descriptor(script),
            9 => {
                let (queue, head) = (self.queue(script), script.any::<u8>());
                self.put_head(queue, head.into());
            }
            10 => {
                let queue = self.queue(script);
                self.set_available(queue, script.any());
            }
            11 => {
                let queue = self.queue(script);
                self.notify(queue);
            }
            12 => self.stray_register(script),
            13 => self.access_config(script),
            14 => {
                self.watched(|guest| guest.write_register(STATUS, 0));
                self.set_up(script);
            }
            15 | 16 => self.device_runs(|mmio| subject.host(mmio, script)),
            17 => {
                let ready = Ready { readable: script.any(), writable: script.any(), hangup: script.once_in(4) };
                let source = script.below(8);
                self.device_runs(|mmio| mmio.on_event(u32::try_from(source).expect("small"), ready));
            }
            18 => self.drain(),
            _ => self.become_another(subject, script),
        }
    }

    /// What a driver does first (virtio 1.2, 3.1.1), in most respects.
    fn set_up(&mut self, script: &mut Script<'_>) {
        for status in [1, 3] {
            self.write_register(STATUS, status);
        }
        let mut offered = [0; 2];
        for (select, half) in (0..).zip(&mut offered) {
            self.write_register(0x14, select);
            *half = self.read_register(0x10);
        }
        // The upper half is the transport's, which the device needs to get going.
        let declined = if script.once_in(4) { script.any() } else { 0 };
        for (select, value) in (0..).zip([offered[0] & !declined, offered[1]]) {
            self.write_register(0x24, select);
            self.write_register(0x20, value);
        }
        self.write_register(STATUS, 11);
        let odd = script.any::<u8>();
        for queue in 0..self.sizes.len() {
            let number = u32::try_from(queue).expect("few queues");
            self.write_register(QUEUE_SELECT, number);
            let size = [4, 8, 16, 1][usize::from(odd) % 4].min(self.read_register(0x34));
            let left_out = odd >> 2 & 7 == 7 && odd >> 5 == u8::try_from(number).unwrap_or_default();
            let (table, driver, device) = rings(queue, size);
            self.sizes[queue] = u16::try_from(size).unwrap_or_default();
            self.available[queue] = 0;
            self.memory.write(driver, &[0; 4]);
            for (offset, value) in [(QUEUE_SIZE, size.into()), (0x80, table), (0x90, driver), (0xA0, device)] {
                self.write_register(offset, u32::try_from(value).expect("rings lie low"));
            }
            self.write_register(QUEUE_READY, u32::from(!left_out));
        }
        self.write_register(STATUS, RUNNING);
        self.device_runs(|_| {});
    }

    /// A chain as a driver makes one, now and then with one thing wrong.
    fn request(&mut self, subject: &mut dyn Subject, script: &mut Script<'_>) {
        let queue = self.queue(script);
        let size = self.sizes[queue].max(1);
        let shape = script.any::<u8>();
        let (readable, writable) = (shape & 3, shape >> 2 & 3);
        let first = script.any::<u8>() % u8::try_from(size.min(255)).expect("at most 255");
        let count = readable + writable;
        let bytes = subject.request(queue, script);
        let indirect = shape >> 4 & 3 == 3;
        let table = if indirect { script.address() & !15 } else { rings(queue, size.into()).0 };
        for number in 0..count {
            let (address, mut length) = (script.address(), script.length());
            if number == 0 && readable > 0 {
                self.memory.write(address, &bytes);
                if script.any::<u8>() < 200 {
                    length = u32::try_from(bytes.len()).expect("short");
                }
            }
            let mut flags = if number < readable { 0 } else { WRITE };
            if number + 1 < count {
                flags |= NEXT;
            }
            if script.once_in(32) {
                flags ^= script.any::<u16>() & 7;
            }
            let at = |number: u8| if indirect { number.into() } else { u16::from(first + number) % size };
            self.descriptor(table, at(number), address, length, flags, at(number + 1));
        }
        if indirect {
            let length = 16 * u32::from(count) + u32::from(script.once_in(16));
            self.descriptor(rings(queue, size.into()).0, first.into(), table, length, INDIRECT, 0);
        }
        self.put_head(queue, first.into());
        if shape >> 6 != 3 {
            self.notify(queue);
        }
    }

    fn stray_descriptor(&mut self, script: &mut Script<'_>) {
        let queue = self.queue(script);
        let table = if script.once_in(3) { script.address() } else { rings(queue, self.sizes[queue].into()).0 };
        let index = script.any::<u16>() & 15;
        let (address, length) = (script.address(), script.length());
        let (flags, next) = (script.any::<u16>() & 7, script.any::<u16>() & 31);
        self.descriptor(table, index, address, length, flags, next);
    }

    fn stray_register(&mut self, script: &mut Script<'_>) {
        let offset = 4 * u64::from(script.any::<u8>() & 63);
        let value = match script.below(8) {
            0 => {
                let mut data = [0; 8];
                let length = script.below(9);
                return self.mmio.read(offset + script.below(4) as u64, &mut data[..length]);
            }
            1 => {
                let bytes = script.bytes(9);
                return self.device_runs(|mmio| mmio.write(offset, bytes));
            }
            2 => script.any(),
            3 => u32::try_from(script.address() & 0xFFFF_FFF0).expect("masked"),
            _ => u32::from(script.any::<u8>() & 15),
        };
        // Most is decided in `Status`.
        let offset = if script.once_in(4) { STATUS } else { offset };
        self.watched(|guest| guest.write_register(offset, value));
    }

    fn access_config(&mut self, script: &mut Script<'_>) {
        let offset = if script.once_in(8) { script.any() } else { u64::from(script.any::<u8>() & 127) };
        let offset = 0x100_u64.saturating_add(offset);
        let length = script.pick(&[1, 2, 4, 8]);
        if script.any() {
            let mut data = [0xFF; 8];
            self.mmio.read(offset, &mut data[..length]);
        } else {
            let bytes = script.bytes(length);
            self.device_runs(|mmio| mmio.write(offset, bytes));
        }
    }

    /// The machine is saved and goes on elsewhere, be it from a state that somebody has made up.
    fn become_another(&mut self, subject: &mut dyn Subject, script: &mut Script<'_>) {
        self.drain();
        let saved = self.mmio.save();
        let mut forged = saved.clone();
        let kind = script.below(4);
        if kind == 3 {
            forge(&mut forged, script);
        }
        let (mmio, epoll) = behind_registers(subject.device(), &self.memory);
        match mmio.restore(&forged) {
            Ok(()) => self.restored |= kind == 3,
            Err(error) if kind == 3 => {
                drop(error);
                mmio.restore(&saved).expect("a refused state leaves the device as it was");
            }
            Err(error) => panic!("a device refuses what its equal has saved: {error}"),
        }
        (self.mmio, self.epoll) = (mmio, epoll);
        if kind == 0 {
            self.device_runs(Mmio::new_generation);
        } else {
            self.device_runs(|_| {});
        }
    }

    fn drain(&mut self) {
        self.watched(|guest| guest.mmio.drain());
        self.memory.check_marked();
    }

    fn queue(&self, script: &mut Script<'_>) -> usize {
        script.below(self.sizes.len().max(1))
    }

    fn descriptor(&self, table: u64, index: u16, address: u64, length: u32, flags: u16, next: u16) {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&address.to_le_bytes());
        bytes[8..12].copy_from_slice(&length.to_le_bytes());
        bytes[12..14].copy_from_slice(&flags.to_le_bytes());
        bytes[14..].copy_from_slice(&next.to_le_bytes());
        self.memory.write(table.wrapping_add(16 * u64::from(index)), &bytes);
    }

    fn put_head(&mut self, queue: usize, head: u16) {
        let size = self.sizes[queue].max(1);
        let ring = rings(queue, size.into()).1;
        self.memory.write(ring + 4 + 2 * u64::from(self.available[queue] % size), &head.to_le_bytes());
        self.set_available(queue, self.available[queue].wrapping_add(1));
    }

    fn set_available(&mut self, queue: usize, index: u16) {
        self.available[queue] = index;
        let ring = rings(queue, self.sizes[queue].into()).1;
        self.memory.write(ring + 2, &index.to_le_bytes());
    }

    fn notify(&mut self, queue: usize) {
        self.write_register(NOTIFY, u32::try_from(queue).expect("few queues"));
        self.device_runs(|_| {});
    }

    fn read_register(&self, offset: u64) -> u32 {
        let mut bytes = [0; 4];
        self.mmio.read(offset, &mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn write_register(&self, offset: u64, value: u32) {
        self.mmio.write(offset, &value.to_le_bytes());
    }

    /// Something happens, and then the device thread does all there is to do.
    fn device_runs(&mut self, happens: impl FnOnce(&Mmio)) {
        self.watched(|guest| {
            happens(&guest.mmio);
            guest.serve_events();
        });
    }

    fn serve_events(&self) {
        let mut events = [EpollEvent::default(); 16];
        let mut served = 0;
        while served < MOST_EVENTS {
            let count = self.epoll.wait(0, &mut events).expect("waiting for nothing doesn't fail");
            if count == 0 {
                return;
            }
            served += count;
            for event in &events[..count] {
                self.mmio.on_event(of_token(event.data()).1, event.event_set().into());
            }
        }
        let busy: Vec<_> = events.iter().map(|event| of_token(event.data()).1).collect();
        panic!("the event loop is kept busy though nothing happens, by one of the sources {busy:?}");
    }

    /// Checks all promises around `call`.
    fn watched(&mut self, call: impl FnOnce(&Self)) {
        self.memory.offer(self.mmio.save().queues.iter());
        let before = self.memory.before();
        call(self);
        self.memory.check(&before);
        if !self.background {
            self.memory.check_marked();
        }
        let state = self.mmio.save();
        self.restored &= state.status != 0;
        for (number, queue) in state.queues.iter().enumerate().filter(|(_, queue)| queue.ready) {
            let held = queue.next_available.wrapping_sub(queue.next_used);
            assert!(
                held <= queue.size || self.restored,
                "{held} chains of queue {number} are held, of {} there can be",
                queue.size
            );
        }
        if state.status == 0 || state.status & NEEDS_RESET != 0 {
            self.memory.check_marked();
            self.memory.withdraw();
        }
    }
}

fn behind_registers(device: Box<dyn Device>, memory: &Memory) -> (Mmio, Arc<Epoll>) {
    let epoll = Arc::new(Epoll::new().expect("the host has a descriptor"));
    let line = EventFd::new(EFD_NONBLOCK).expect("the host has a descriptor");
    let poll = Poll::new(Arc::clone(&epoll), 0);
    let mmio = Mmio::new(device, memory.guest().clone(), line, poll).expect("the host has descriptors");
    (mmio, epoll)
}

/// Changes a few values of a snapshot.
fn forge(state: &mut MmioState, script: &mut Script<'_>) {
    for _ in 0..=script.below(3) {
        let queue = script.below(state.queues.len().max(1));
        let queue = state.queues.get_mut(queue);
        match (script.below(8), queue) {
            (0, _) => state.status = script.any(),
            (1, _) => state.features ^= 1 << script.below(64),
            (2, Some(queue)) => queue.next_available = script.any(),
            (3, Some(queue)) => queue.next_used = script.any(),
            (4, Some(queue)) => (queue.size, queue.ready) = (script.any(), script.any()),
            (5, Some(queue)) => queue.descriptors = script.address(),
            (6, _) => {
                let at = script.below(state.device.len().max(1));
                if let Some(byte) = state.device.get_mut(at) {
                    *byte = script.any();
                }
            }
            _ => state.device = script.bytes(64).to_vec(),
        }
    }
}

/// The descriptor table, the driver's ring and the device's.
fn rings(queue: usize, size: u32) -> (u64, u64, u64) {
    let table = RINGS * (queue as u64 + 1);
    let driver = table + 16 * u64::from(size);
    (table, driver, (driver + 6 + 2 * u64::from(size)).next_multiple_of(4))
}
