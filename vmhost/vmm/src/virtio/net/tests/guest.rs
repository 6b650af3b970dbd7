//! A guest that speaks just enough IP.

use super::super::*;
use super::rig::{MAC, Rig};

pub const UDP: u8 = 17;
pub const TCP: u8 = 6;
/// Where buffers to receive lie: a frame is on two pages.
const BUFFERS: u64 = 0x3F_FF00;

/// A guest with buffers to receive of one size.
pub struct Guest {
    pub rig: Rig,
    size: u32,
    /// The address of the host's side, as seen in its frames.
    pub host: [u8; 6],
    /// Where the last frame lies, with its header; if it is in several buffers, where the last of them does.
    pub last: u64,
    /// IP addresses of the host's side and of this one.
    host_ip: [u8; 4],
    guest_ip: [u8; 4],
}

impl Guest {
    pub fn new(rig: Rig, size: u32, host_ip: [u8; 4], guest_ip: [u8; 4]) -> Self {
        let mut guest = Self { rig, size, host: [0; 6], last: 0, host_ip, guest_ip };
        guest.refill();
        guest
    }

    fn refill(&mut self) {
        let size = u64::from(self.size);
        while self.rig.offered < 16 {
            // One descriptor a buffer: its number says where it lies.
            let head = self.rig.offer(&[(0, 64)]);
            let address = BUFFERS + u64::from(head) * size;
            let memory = self.rig.bench.ram.memory();
            self.rig.bench.drivers[RECEIVE].descriptor(memory, head, address, self.size, 2, 0);
        }
        self.rig.receive();
    }

    /// The next frame with its header.
    pub fn next(&mut self) -> Option<([u8; HEADER], Vec<u8>)> {
        let mut bytes = Vec::new();
        let mut count = 1;
        while count > 0 {
            let Some((head, length)) = self.rig.received() else {
                assert!(bytes.is_empty(), "a frame is delivered as a whole");
                return None;
            };
            let address = BUFFERS + u64::from(head) * u64::from(self.size);
            self.last = address;
            bytes.extend(self.rig.memory(address, length as usize));
            if count == 1 && bytes.len() == length as usize {
                count = u16::from_le_bytes([bytes[10], bytes[11]]);
            }
            count -= 1;
        }
        self.refill();
        let (header, frame) = bytes.split_first_chunk().expect("a header");
        Some((*header, frame.to_vec()))
    }

    /// The next packet of a protocol: header, and what follows the IP header. The kernel sends much else.
    pub fn packet(&mut self, protocol: u8) -> ([u8; HEADER], Vec<u8>) {
        loop {
            while let Some((header, frame)) = self.next() {
                if frame[12..14] == [8, 0] && frame[23] == protocol {
                    assert_eq!((&frame[..6], &frame[26..34]), (&MAC[..], &[self.host_ip, self.guest_ip].concat()[..]));
                    self.host.copy_from_slice(&frame[6..12]);
                    return (header, frame[34..].to_vec());
                }
            }
            self.rig.turn();
        }
    }

    pub fn send(&mut self, header: [u8; HEADER], protocol: u8, payload: &[u8]) {
        let length = u16::try_from(20 + payload.len()).expect("short").to_be_bytes();
        let mut ip = [0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, protocol, 0, 0];
        let sum = checksum(&[&ip, &self.guest_ip, &self.host_ip]).to_be_bytes();
        ip[10..].copy_from_slice(&sum);
        let frame = [&self.host[..], &MAC, &[8, 0], &ip, &self.guest_ip, &self.host_ip, payload].concat();
        self.rig.prepare_with(&header, &frame, &[12, 40, 700]);
        self.rig.transmit();
        assert!(self.rig.transmitted().is_some());
    }
}

/// The internet checksum of parts of even length.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    !fold(parts)
}

/// The same, not inverted: what goes into a header whose sum isn't finished.
pub fn fold(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words.map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0))).sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    u16::try_from(sum).expect("folded")
}
