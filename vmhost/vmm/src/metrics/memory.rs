//! Where the process's memory goes: to the guest, and beside it.
//!
//! The kernel's `smaps` tells it by mapping; mappings within the guest's memory
//! are the guest's. The file is opened before the process shuts itself in.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::ops::Range;

use vmm_control::ProcessMemory;

/// The kernel's account of our mappings.
pub struct Mappings(File);

impl Mappings {
    /// Opens it; reading works later without any path.
    ///
    /// # Errors
    /// When `/proc` isn't there.
    pub fn open() -> io::Result<Self> {
        File::open("/proc/self/smaps").map(Self)
    }

    /// Adds up; `guest` are the host addresses of guest memory. Takes time that grows with resident
    /// memory, so it isn't for every tick.
    ///
    /// # Errors
    /// When the kernel won't tell.
    pub fn measure(&mut self, guest: &[Range<u64>]) -> io::Result<ProcessMemory> {
        let mut text = String::new();
        self.0.rewind()?;
        self.0.read_to_string(&mut text)?;
        Ok(add_up(&text, guest))
    }
}

fn add_up(smaps: &str, guest: &[Range<u64>]) -> ProcessMemory {
    let mut memory = ProcessMemory::default();
    let mut is_guest = false;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        if let Some(name) = first.strip_suffix(':') {
            let kib: u64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            let (resident, private) = if is_guest {
                (&mut memory.guest_resident_kib, &mut memory.guest_private_kib)
            } else {
                (&mut memory.vmm_resident_kib, &mut memory.vmm_private_kib)
            };
            match name {
                "Rss" => *resident += kib,
                "Private_Clean" | "Private_Dirty" => *private += kib,
                _ => {}
            }
        } else if let Some(start) = first.split('-').next().and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
            is_guest = guest.iter().any(|range| range.contains(&start));
        }
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_told_apart_by_address() {
        let smaps = "\
7f0000000000-7f0008000000 rw-s 00000000 00:01 1 /memfd:guest-memory (deleted)
Size:             131072 kB
Rss:                 500 kB
Private_Clean:         1 kB
Private_Dirty:       399 kB
VmFlags: rd wr sh
7f1000000000-7f1000021000 rw-p 00000000 00:00 0
Rss:                  40 kB
Shared_Clean:         10 kB
Private_Clean:        10 kB
Private_Dirty:        20 kB
7f2000000000-7f2000021000 r-xp 00000000 00:00 0 /usr/bin/with space
Rss:                   2 kB
Private_Clean:         0 kB
";
        let expected = ProcessMemory {
            guest_resident_kib: 500,
            guest_private_kib: 400,
            vmm_resident_kib: 42,
            vmm_private_kib: 30,
        };
        #[allow(clippy::single_range_in_vec_init, reason = "guest memory may be one range")]
        let guest = [0x7f00_0000_0000..0x7f00_0800_0000];
        assert_eq!(add_up(smaps, &guest), expected);
    }

    #[test]
    fn our_own_process_has_some() {
        let memory = Mappings::open().expect("proc").measure(&[]).expect("smaps");
        assert!(memory.vmm_resident_kib > 100, "{memory:?}");
        assert_eq!(memory.guest_resident_kib, 0);
    }
}
