mod guest;
mod passt;
mod rig;
mod stream;
mod tap;

use super::*;
use crate::virtio::Queue;
use rig::{OPTIONS, Rig, metric};

#[test]
fn configuration_is_what_the_options_say() {
    let rig = Rig::passt(OPTIONS);
    let read = |offset, length: usize| {
        let mut bytes = vec![0xFF; length];
        bytes.fill(0);
        rig.bench.device.read_config(offset, &mut bytes);
        bytes
    };
    assert_eq!(read(0, 12), [2, 0, 0, 0, 0, 1, 1, 0, 1, 0, 0xDC, 5]);
    assert_eq!(read(10, 4), [0xDC, 5, 0, 0]);
    assert_eq!(read(12, 2), [0, 0]);
    assert_eq!(read(u64::MAX, 1), [0]);
    // MTU, MAC, mergeable buffers, status; nothing that a stream can't do.
    assert_eq!(rig.bench.features, 1 << 3 | 1 << 5 | 1 << 15 | 1 << 16);
}

#[test]
fn a_restored_driver_finds_what_it_knew() {
    let saved = Rig::passt(OPTIONS).bench.device.save();
    let other = NetOptions { mac: Mac([2, 9, 9, 9, 9, 9]), mtu: 9000, ..OPTIONS };
    let mut rig = Rig::passt(other);
    rig.bench.device.restore(&saved).expect("its own state");
    let mut config = [0; 12];
    rig.bench.device.read_config(0, &mut config);
    assert_eq!(config, [2, 0, 0, 0, 0, 1, 1, 0, 1, 0, 0xDC, 5]);
    rig.start();
    assert_eq!(rig.bench.interrupt.generation(), 0, "the link was up, and is");

    rig.lose_peer();
    let down = rig.bench.device.save();
    let mut rig = Rig::passt(OPTIONS);
    rig.bench.device.restore(&down).expect("its own state");
    rig.start();
    assert_eq!(rig.bench.interrupt.generation(), 1, "the link was down, and is up");

    for length in 0..saved.len() {
        rig.bench.device.restore(&saved[..length]).expect_err("cut off");
    }
    rig.bench.device.restore(&[saved, vec![0]].concat()).expect_err("too long");
}

#[test]
fn a_reset_in_flight_leaves_memory_alone() {
    let mut rig = Rig::passt(OPTIONS);
    rig.offer(&[(0x8000, 2048)]);
    rig.receive();
    rig.bench.device.reset();
    let reset = rig.bench.with(|_, io| {
        io.queues.iter_mut().for_each(Queue::reset);
        Ok(())
    });
    reset.expect("no error");
    rig.peer_sends(&rig::frame(100));
    rig.settle();
    assert_eq!(rig.received(), None);
    assert_eq!(rig.memory(0x8000, 100), [0; 100]);
    assert_eq!(metric(&rig, "received_frames"), 0);
}
