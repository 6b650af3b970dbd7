//! Reads and writes of the register window (virtio 1.2, 4.2.2). vCPU threads.
//!
//! Accesses that the specification forbids read as zeros and write nothing: a
//! driver that makes them can harm no one but itself.

use virtio_bindings::virtio_mmio::{
    VIRTIO_MMIO_CONFIG, VIRTIO_MMIO_CONFIG_GENERATION, VIRTIO_MMIO_DEVICE_FEATURES, VIRTIO_MMIO_DEVICE_FEATURES_SEL,
    VIRTIO_MMIO_DEVICE_ID, VIRTIO_MMIO_DRIVER_FEATURES, VIRTIO_MMIO_DRIVER_FEATURES_SEL, VIRTIO_MMIO_INTERRUPT_ACK,
    VIRTIO_MMIO_INTERRUPT_STATUS, VIRTIO_MMIO_MAGIC_VALUE, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, VIRTIO_MMIO_QUEUE_AVAIL_LOW,
    VIRTIO_MMIO_QUEUE_DESC_HIGH, VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_NOTIFY, VIRTIO_MMIO_QUEUE_NUM,
    VIRTIO_MMIO_QUEUE_NUM_MAX, VIRTIO_MMIO_QUEUE_READY, VIRTIO_MMIO_QUEUE_SEL, VIRTIO_MMIO_QUEUE_USED_HIGH,
    VIRTIO_MMIO_QUEUE_USED_LOW, VIRTIO_MMIO_SHM_BASE_HIGH, VIRTIO_MMIO_SHM_BASE_LOW, VIRTIO_MMIO_SHM_LEN_HIGH,
    VIRTIO_MMIO_SHM_LEN_LOW, VIRTIO_MMIO_STATUS, VIRTIO_MMIO_VENDOR_ID, VIRTIO_MMIO_VERSION,
};

use super::status::{self, DRIVER, DRIVER_OK, FAILED, FEATURES_OK, NEEDS_RESET};
use super::{Inner, Mmio, event_index};
use crate::virtio::{Fault, Queue};

/// "virt".
const MAGIC: u32 = 0x7472_6976;
/// Not the legacy interface.
const VERSION: u32 = 2;
/// No vendor has registered us.
const VENDOR: u32 = 0;

impl Mmio {
    /// Reads registers at `offset`.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if let Some(offset) = offset.checked_sub(u64::from(VIRTIO_MMIO_CONFIG)) {
            if matches!(data.len(), 1 | 2 | 4 | 8) {
                self.lock().device.read_config(offset, data);
            }
        } else if let (Ok(data), Ok(offset)) = (<&mut [u8; 4]>::try_from(data), u32::try_from(offset)) {
            *data = self.register(offset).to_le_bytes();
        }
    }

    fn register(&self, offset: u32) -> u32 {
        // Those of interrupts must not wait for a device that is at work.
        match offset {
            VIRTIO_MMIO_MAGIC_VALUE => return MAGIC,
            VIRTIO_MMIO_VERSION => return VERSION,
            VIRTIO_MMIO_DEVICE_ID => return self.kind as u32,
            VIRTIO_MMIO_VENDOR_ID => return VENDOR,
            VIRTIO_MMIO_INTERRUPT_STATUS => return self.interrupt.status(),
            VIRTIO_MMIO_CONFIG_GENERATION => return self.interrupt.generation(),
            // There is no shared memory region (4.2.2).
            VIRTIO_MMIO_SHM_LEN_LOW
            | VIRTIO_MMIO_SHM_LEN_HIGH
            | VIRTIO_MMIO_SHM_BASE_LOW
            | VIRTIO_MMIO_SHM_BASE_HIGH => return u32::MAX,
            _ => {}
        }
        let inner = self.lock();
        match offset {
            VIRTIO_MMIO_DEVICE_FEATURES => half(self.offered, inner.offered_select),
            VIRTIO_MMIO_STATUS => inner.status,
            VIRTIO_MMIO_QUEUE_NUM_MAX => inner.selected().map_or(0, |queue| queue.max_size().into()),
            VIRTIO_MMIO_QUEUE_READY => inner.selected().map_or(0, |queue| queue.is_ready().into()),
            _ => 0,
        }
    }

    /// Writes registers at `offset`.
    pub fn write(&self, offset: u64, data: &[u8]) {
        if let Some(offset) = offset.checked_sub(u64::from(VIRTIO_MMIO_CONFIG)) {
            let mut inner = self.lock();
            if matches!(data.len(), 1 | 2 | 4 | 8) && inner.status & (DRIVER | NEEDS_RESET | FAILED) == DRIVER {
                inner.device.write_config(offset, data);
            }
        } else if let (Ok(&data), Ok(offset)) = (<&[u8; 4]>::try_from(data), u32::try_from(offset)) {
            self.set_register(offset, u32::from_le_bytes(data));
        }
    }

    fn set_register(&self, offset: u32, value: u32) {
        match offset {
            VIRTIO_MMIO_INTERRUPT_ACK => return self.interrupt.acknowledge(value),
            // Usually KVM does this. A full counter means that it is notified already.
            VIRTIO_MMIO_QUEUE_NOTIFY => {
                if let Some(event) = self.notified.get(value as usize) {
                    let _ = event.write(1);
                }
                return;
            }
            _ => {}
        }
        let inner = &mut *self.lock();
        match offset {
            VIRTIO_MMIO_STATUS => self.set_status(inner, value),
            VIRTIO_MMIO_DEVICE_FEATURES_SEL => inner.offered_select = value,
            VIRTIO_MMIO_DRIVER_FEATURES_SEL => inner.accepted_select = value,
            VIRTIO_MMIO_DRIVER_FEATURES => inner.accept(value),
            VIRTIO_MMIO_QUEUE_SEL => inner.queue_select = value,
            VIRTIO_MMIO_QUEUE_READY => self.set_ready(inner, value),
            _ => {
                if let Some(queue) = inner.in_setup() {
                    set_queue(queue, offset, value);
                }
            }
        }
    }

    fn set_status(&self, inner: &mut Inner, value: u32) {
        if value == 0 {
            return self.reset(inner);
        }
        match status::step(inner.status, value) {
            Some(FEATURES_OK) if !self.acceptable(inner.accepted) => {} // the bit stays clear (3.1.1, step 6)
            Some(added) => {
                inner.status |= added;
                if added == DRIVER_OK {
                    self.wake_start();
                }
            }
            None => {}
        }
    }

    fn reset(&self, inner: &mut Inner) {
        inner.started = false;
        inner.device.reset();
        inner.queues.iter_mut().for_each(Queue::reset);
        inner.status = 0;
        inner.accepted = 0;
        (inner.offered_select, inner.accepted_select, inner.queue_select) = (0, 0, 0);
        self.interrupt.restore(0, self.interrupt.generation());
    }

    fn set_ready(&self, inner: &mut Inner, value: u32) {
        let event_index = event_index(inner.accepted);
        if value == 1 {
            let Some(queue) = inner.in_setup() else { return };
            queue.state_mut().event_index = event_index;
            if let Err(fault) = queue.enable(&self.memory) {
                self.stop(inner, &fault);
            }
        } else if value == 0 {
            let runs = inner.status & DRIVER_OK != 0;
            let Some(queue) = inner.selected_mut().filter(|queue| queue.is_ready()) else { return };
            queue.reset();
            // Without `RING_RESET` a device doesn't go on with a part of its queues. By
            // the time this is read back, nothing in flight touches the queue's buffers.
            if runs {
                self.stop(inner, &Fault::Request("a queue was taken from a running device"));
            }
        }
    }
}

impl Inner {
    fn selected(&self) -> Option<&Queue> {
        self.queues.get(self.queue_select as usize)
    }

    fn selected_mut(&mut self) -> Option<&mut Queue> {
        self.queues.get_mut(self.queue_select as usize)
    }

    /// The selected queue, if the driver may set it up now.
    fn in_setup(&mut self) -> Option<&mut Queue> {
        let now = self.status & (FEATURES_OK | DRIVER_OK | NEEDS_RESET | FAILED) == FEATURES_OK;
        self.selected_mut().filter(|queue| now && !queue.is_ready())
    }

    fn accept(&mut self, value: u32) {
        if self.status & (DRIVER | FEATURES_OK | NEEDS_RESET | FAILED) == DRIVER {
            match self.accepted_select {
                0 => set_low(&mut self.accepted, value),
                1 => set_high(&mut self.accepted, value),
                _ => {}
            }
        }
    }
}

fn set_queue(queue: &mut Queue, offset: u32, value: u32) {
    let state = queue.state_mut();
    match offset {
        // A size that can't be is refused when the queue is made ready.
        VIRTIO_MMIO_QUEUE_NUM => state.size = u16::try_from(value).unwrap_or(0),
        VIRTIO_MMIO_QUEUE_DESC_LOW => set_low(&mut state.descriptors, value),
        VIRTIO_MMIO_QUEUE_DESC_HIGH => set_high(&mut state.descriptors, value),
        VIRTIO_MMIO_QUEUE_AVAIL_LOW => set_low(&mut state.driver, value),
        VIRTIO_MMIO_QUEUE_AVAIL_HIGH => set_high(&mut state.driver, value),
        VIRTIO_MMIO_QUEUE_USED_LOW => set_low(&mut state.device, value),
        VIRTIO_MMIO_QUEUE_USED_HIGH => set_high(&mut state.device, value),
        _ => {}
    }
}

#[allow(clippy::cast_possible_truncation, reason = "halves are 32 bits")]
fn half(value: u64, select: u32) -> u32 {
    match select {
        0 => value as u32,
        1 => (value >> 32) as u32,
        _ => 0,
    }
}

fn set_low(field: &mut u64, value: u32) {
    *field = *field >> 32 << 32 | u64::from(value);
}

fn set_high(field: &mut u64, value: u32) {
    *field = *field & u64::from(u32::MAX) | u64::from(value) << 32;
}
