//! A driver that does its worst: whatever it offers ends in answers or a fault.

use super::*;
use crate::virtio::testing::{INDIRECT, NEXT, WRITE as DEVICE_WRITES};

#[test]
fn no_driver_brings_the_disk_down() {
    let mut seed = 0x9E37_79B9_7F4A_7C15u64;
    let mut next = |limit: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % limit
    };
    for engine in ENGINES {
        let top = overlay(1 << 20);
        let image = Image::open(memory(&pattern(1 << 20, 0)), Vec::new(), Some(top)).expect("layers");
        let mut disk = Disk::new(image, engine);
        let (mut faults, mut answers) = (0, 0);
        for _ in 0..3000 {
            let ram = disk.bench.ram.memory().clone();
            let driver = &mut disk.bench.drivers[0];
            let header = HEADERS + next(4) * 32;
            let kind = [READ, WRITE, FLUSH, ID_REQUEST, DISCARD, ZEROES, 7][next(7) as usize];
            ram.write_slice(&head(kind, next(2100)), GuestAddress(header)).expect("in memory");
            ram.write_slice(&range(next(2100), next(3000) as u32, next(3) as u32), GuestAddress(header + 16))
                .expect("in memory");
            let first = next(256) as u16;
            let count = 1 + next(5) as u16;
            for number in 0..count {
                let address = match next(100) {
                    0 => next(u64::MAX),
                    1 => 0x10_0000 + next(0x4000), // the rings themselves
                    _ if number == 0 => header,
                    _ => DATA + next(0x10_0000),
                };
                let length = [16, 32, 1, 512, 4096, 65536, next(1 << 20) as u32][next(7) as usize];
                let mut flags = if number + 1 < count { NEXT } else { DEVICE_WRITES };
                if number > 0 && next(6) == 0 {
                    flags |= DEVICE_WRITES; // and perhaps the next one isn't
                }
                if next(200) == 0 {
                    flags ^= [NEXT, DEVICE_WRITES, INDIRECT][next(3) as usize];
                }
                let length = if number == 0 { 16 + 16 * next(2) as u32 } else { length };
                driver.descriptor(&ram, (first + number) % 256, address, length, flags, (first + number + 1) % 256);
            }
            driver.offer(&ram, first);
            if next(3) != 0 {
                continue;
            }
            let served =
                disk.bench.kick(0).and_then(|()| if next(2) == 0 { disk.bench.with(Block::drain) } else { Ok(()) });
            if served.is_err() || next(40) == 0 {
                faults += u64::from(served.is_err());
                disk.bench.device.reset();
                assert_eq!(disk.metric("in_flight"), 0);
                let mut again = Disk { bench: Bench::new(disk.bench.device, 256), offered: Vec::new(), count: 0 };
                assert_eq!(again.read(2000, 1).len(), 512, "it is as good as new");
                disk = again;
            }
            while disk.bench.drivers[0].used(disk.bench.ram.memory()).is_some() {
                answers += 1;
            }
        }
        assert!(faults > 20 && answers > 500, "the driver was too tame: {faults} faults, {answers} answers");
    }
}
