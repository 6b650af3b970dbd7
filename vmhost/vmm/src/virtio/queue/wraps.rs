//! Ring indices, from every place they can start at.

use super::*;
use crate::virtio::testing::Driver;
use vm_memory::GuestAddress;

const SIZE: u16 = 4;

fn queue(at: u16) -> (GuestMemory, Queue, Driver) {
    let memory = GuestMemory::from_ranges(&[(GuestAddress(0), 0x1000)]).expect("a page");
    let mut queue = Queue::new(SIZE);
    let mut driver = Driver::new(0x100, SIZE);
    driver.set_up(&memory, &mut queue);
    driver.descriptor(&memory, 0, 0x800, 16, 0, 0);
    start(&memory, &mut queue, &mut driver, at);
    (memory, queue, driver)
}

fn start(memory: &GuestMemory, queue: &mut Queue, driver: &mut Driver, at: u16) {
    let state = queue.state_mut();
    (state.next_available, state.next_used, state.signalled) = (at, at, at);
    driver.set_available_index(memory, at);
}

#[test]
fn a_queue_goes_on_from_every_index() {
    let (memory, mut queue, mut driver) = queue(0);
    for at in 0..=u16::MAX {
        start(&memory, &mut queue, &mut driver, at);
        for _ in 0..3 {
            driver.offer(&memory, 0);
        }
        let taken = (0..5).filter(|_| queue.pop(&memory).expect("valid").is_some()).count();
        assert_eq!(taken, 3, "from {at}");
        for written in 0..3 {
            queue.push(&memory, 0, written).expect("the ring is there");
            let slot = queue.state().device + 4 + 8 * u64::from(at.wrapping_add(written as u16) % SIZE);
            let [head, length]: [u32; 2] =
                [slot, slot + 4].map(|at| memory.read_obj(GuestAddress(at)).expect("it is there"));
            assert_eq!((head, length), (0, written), "from {at}");
        }
        let index: u16 = memory.read_obj(GuestAddress(queue.state().device + 2)).expect("it is there");
        assert_eq!(index, at.wrapping_add(3));
        assert!(queue.wants_interrupt(&memory).expect("the ring is there"), "from {at}");
        assert!(!queue.wants_interrupt(&memory).expect("the ring is there"), "from {at}");
    }
}

#[test]
fn every_index_that_a_driver_may_write() {
    for at in [0, 1, 0x7FFF, 0x8000, u16::MAX - 1, u16::MAX] {
        let (memory, mut queue, mut driver) = queue(at);
        for index in 0..=u16::MAX {
            start(&memory, &mut queue, &mut driver, at);
            driver.set_available_index(&memory, index);
            // How far it is ahead, as numbers that have no end.
            let ahead = (u32::from(index) + 0x1_0000 - u32::from(at)) % 0x1_0000;
            let found = queue.pop(&memory);
            match ahead {
                0 => assert_eq!(found.expect("nothing is no fault"), None),
                1..=4 => assert!(found.expect("valid").is_some(), "{index} from {at}"),
                _ => assert!(found.is_err(), "{index} from {at}"),
            }
        }
    }
}

#[test]
fn an_event_index_is_passed_from_every_index() {
    for old in 0..=u16::MAX {
        for count in 0..=5_u16 {
            // Which indices are passed, one by one.
            let passed: Vec<u16> = (0..count).map(|step| old.wrapping_add(step)).collect();
            for distance in 0..=12_u16 {
                let event = old.wrapping_add(distance).wrapping_sub(4);
                let found = crossed(event, old.wrapping_add(count), old);
                assert_eq!(found, passed.contains(&event), "{event} between {old} and {count} more");
            }
        }
    }
}

#[test]
fn an_event_index_is_passed_over_every_distance() {
    for old in [0, 1, 0x7FFF, 0x8000, u16::MAX] {
        for count in 0..=u16::MAX {
            for distance in [0, 1, count.wrapping_sub(1), count, count.wrapping_add(1), 0x8000, u16::MAX] {
                let found = crossed(old.wrapping_add(distance), old.wrapping_add(count), old);
                assert_eq!(found, distance < count, "{distance} of {count} from {old}");
            }
        }
    }
}
