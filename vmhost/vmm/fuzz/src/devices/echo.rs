//! A device that does nothing but read and write chains, in every way that chains offer.

use vmm::state::{StateError, decode, encode};
use vmm::virtio::chain::mark_written;
use vmm::virtio::{Chain, Device, Fault, Io, Kind, Mmio};

use crate::hostile::Subject;
use crate::script::Script;

/// Copies what it reads to what it may write; the second queue gives each chain back only when the next has come.
pub struct Echo;

impl Subject for Echo {
    fn device(&mut self) -> Box<dyn Device> {
        Box::new(EchoDevice::default())
    }

    fn host(&mut self, mmio: &Mmio, _: &mut Script<'_>) {
        mmio.with::<EchoDevice, _>(|_, io| io.interrupt.config());
    }
}

#[derive(Default)]
struct EchoDevice {
    config: [u8; 16],
    held: Option<u16>,
}

impl EchoDevice {
    fn serve(&mut self, queue: usize, io: &mut Io<'_>) -> Result<(), Fault> {
        while let Some(chain) = io.pop(queue)? {
            if queue == 1 && self.held.is_none() {
                io.unpop(queue);
                self.held = io.pop(queue)?.map(|chain| chain.head());
                continue;
            }
            let written = copy(&chain, io)?;
            io.push(queue, chain.head(), written)?;
            if let (1, Some(head)) = (queue, self.held.take()) {
                io.push(queue, head, 0)?;
            }
        }
        io.notify(queue)
    }
}

/// The first byte says how; gives how many bytes were written.
fn copy(chain: &Chain, io: &Io<'_>) -> Result<u32, Fault> {
    let (mut reader, mut writer) = (chain.reader(io.memory), chain.writer(io.memory));
    let (readable, writable) = (reader.left(), writer.left());
    assert_eq!(readable, chain.readable().iter().map(|segment| u64::from(segment.length)).sum::<u64>());
    if readable == 0 {
        return Ok(0);
    }
    let [how] = reader.array()?;
    let count = reader.left().min(if how & 1 == 0 { writer.left() } else { u64::MAX });
    let count = usize::try_from(count.min(0x1_0000)).expect("at most 64 KiB");
    let mut bytes = vec![0; count];
    if how & 2 == 0 {
        reader.read(&mut bytes)?;
    } else {
        let mut at = 0;
        for slice in reader.slices(count) {
            slice.copy_to(&mut bytes[at..]);
            at += slice.len();
        }
    }
    assert_eq!(reader.left() + 1 + count as u64, readable);
    if how & 4 == 0 {
        writer.write(&bytes)?;
    } else {
        let slices = writer.slices(count);
        let mut at = 0;
        for slice in &slices {
            slice.copy_from(&bytes[at..]);
            at += slice.len();
        }
        mark_written(&slices, at);
    }
    assert_eq!(writer.left() + u64::from(writer.written()), writable);
    Ok(writer.written())
}

impl Device for EchoDevice {
    fn kind(&self) -> Kind {
        Kind::Entropy
    }

    fn features(&self) -> u64 {
        0b101
    }

    fn queue_sizes(&self) -> &[u16] {
        &[16, 16, 8]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.config.get(offset..)).unwrap_or_default();
        data.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    }

    fn write_config(&mut self, offset: u64, data: &[u8]) {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.config.get_mut(offset..)).unwrap_or_default();
        rest.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
    }

    fn start(&mut self, io: &mut Io<'_>) -> Result<(), Fault> {
        (0..io.queues.len()).try_for_each(|queue| self.serve(queue, io))
    }

    fn on_queue(&mut self, queue: usize, io: &mut Io<'_>) -> Result<(), Fault> {
        self.serve(queue, io)
    }

    fn reset(&mut self) {
        self.held = None;
    }

    fn save(&self) -> Vec<u8> {
        encode(&(self.config, self.held))
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StateError> {
        (self.config, self.held) = decode("the echo", state)?;
        Ok(())
    }

    fn metrics(&self) -> Vec<(&'static str, u64)> {
        vec![]
    }
}
