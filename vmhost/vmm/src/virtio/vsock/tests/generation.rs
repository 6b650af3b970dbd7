use std::io::Read as _;

use super::guest::{CID, EVENT, Guest};
use crate::virtio::Device as _;
use crate::virtio::vsock::VsockDevice;
use crate::virtio::vsock::packet::Op;
use vm_memory::{Bytes as _, GuestAddress};

const EVENT_BUFFER: u64 = 0x70_0000;

fn offer_event(guest: &mut Guest) {
    guest.bench.ram.memory().write_slice(&[0xff; 4], GuestAddress(EVENT_BUFFER)).expect("in memory");
    guest.bench.drivers[EVENT].chain(guest.bench.ram.memory(), &[], &[(EVENT_BUFFER, 4)]);
    guest.bench.kick(EVENT).expect("a valid buffer");
}

fn event(guest: &mut Guest) -> Option<u32> {
    let (_, written) = guest.bench.drivers[EVENT].used(guest.bench.ram.memory())?;
    assert_eq!(written, 4);
    let mut bytes = [0; 4];
    guest.bench.ram.memory().read_slice(&mut bytes, GuestAddress(EVENT_BUFFER)).expect("in memory");
    Some(u32::from_le_bytes(bytes))
}

fn cid(guest: &Guest) -> u64 {
    let mut bytes = [0; 8];
    guest.bench.device.read_config(0, &mut bytes);
    u64::from_le_bytes(bytes)
}

#[test]
fn a_new_generation_has_no_connections_and_says_so() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    offer_event(&mut guest);
    assert_eq!(event(&mut guest), None);
    guest.bench.device.set_cid(43);
    guest.bench.with(VsockDevice::on_new_generation).expect("no fault");
    assert_eq!(event(&mut guest), Some(0));
    assert_eq!(cid(&guest), 43);
    assert_eq!(stream.read(&mut [0; 16]).expect("closed"), 0);
    guest.expect_nothing();
    offer_event(&mut guest);
    assert_eq!(event(&mut guest), None, "told once");
}

#[test]
fn a_reset_waits_for_a_buffer() {
    let mut guest = Guest::new();
    guest.bench.with(VsockDevice::on_new_generation).expect("no fault");
    assert_eq!(event(&mut guest), None);
    offer_event(&mut guest);
    assert_eq!(event(&mut guest), Some(0));
}

#[test]
fn saving_disturbs_no_connection_and_the_state_has_none() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    guest.bench.with(VsockDevice::drain).expect("no fault");
    let state = guest.bench.device.save();
    guest.send(guest.header(1000, 80, Op::Data), b"goes on");
    let mut bytes = [0; 7];
    stream.read_exact(&mut bytes).expect("read");

    let mut child = Guest::new();
    child.bench.device.set_cid(9);
    child.bench.device.restore(&state).expect("its own state");
    assert_eq!(cid(&child), CID);
    offer_event(&mut child);
    child.bench.with(VsockDevice::start).expect("no fault");
    assert_eq!(event(&mut child), Some(0));
    child.send(child.header(1000, 80, Op::Data), b"?");
    child.expect(Op::Reset);
}

#[test]
fn state_of_anything_else_is_refused() {
    let mut guest = Guest::new();
    let before = guest.bench.device.save();
    for state in [&[][..], &[0xff; 3], &[2, 0], &[42, 0, 0]] {
        guest.bench.device.restore(state).expect_err("no state of this device");
    }
    assert_eq!(guest.bench.device.save(), before);
}

#[test]
fn configuration_is_the_context_id_and_nothing_beyond() {
    let guest = Guest::new();
    let mut bytes = [0; 4];
    guest.bench.device.read_config(6, &mut bytes);
    assert_eq!(bytes, [0; 4]);
    for offset in [8, u64::MAX] {
        guest.bench.device.read_config(offset, &mut bytes);
        assert_eq!(bytes, [0; 4]);
    }
    let mut low = [0; 1];
    guest.bench.device.read_config(0, &mut low);
    assert_eq!(u64::from(low[0]), CID);
}

#[test]
fn a_reset_of_the_device_closes_everything_and_the_next_driver_starts_afresh() {
    let mut guest = Guest::new();
    let service = guest.listen(80);
    let mut stream = guest.connect(1000, 80, &service);
    guest.bench.device.reset();
    assert_eq!(stream.read(&mut [0; 16]).expect("closed"), 0);
    guest.settle();
    guest.connect(1000, 80, &service);
    assert_eq!(guest.metric("closed_connections"), 1);
}
