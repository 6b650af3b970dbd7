//! Notices that this guest became another one: restored from a snapshot, or cloned.
//!
//! The kernel's driver for the VM generation id keeps the id to itself, but logs that it reseeded
//! the random number generator when the id changed. Each such line counts as one generation, and
//! is announced to the host: it can wait for a clone like it waits for a boot.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::guest::Guest;
use crate::{console, server};

/// The kernel's words (drivers/char/random.c).
const FORKED: &[u8] = b"crng reseeded due to virtual machine fork";

/// Longest record that the kernel hands out.
const RECORD: usize = 8 << 10;

/// A restore also resets the vsock device, and that may hit the connection of an announcement.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);

/// Starts the thread that reads the kernel's log.
pub(crate) fn watch(guest: &Arc<Guest>) -> io::Result<()> {
    let log = File::open("/dev/kmsg")?;
    let guest = Arc::clone(guest);
    server::spawn("generation", move || {
        if let Err(error) = follow(log, &guest) {
            console::say(&format!("kernel log: error {error}"));
        }
    })
}

/// Reads records for ever, one a read.
fn follow(mut log: File, guest: &Guest) -> io::Result<()> {
    let mut record = vec![0; RECORD];
    loop {
        match log.read(&mut record) {
            Ok(0) => return Ok(()),
            Ok(length) if contains(&record[..length], FORKED) => {
                guest.generation.fetch_add(1, Ordering::Relaxed);
                announce(guest);
            }
            Ok(_) => {}
            // Records were overwritten before they were read; the next read goes on after them.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            Err(error) => return Err(error),
        }
    }
}

fn announce(guest: &Guest) {
    for _ in 0..TRIES {
        if server::announce(guest).is_ok() {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_fork() {
        for (record, wanted) in [
            ("6,341,5072,-;random: crng reseeded due to virtual machine fork\n", true),
            ("6,341,5072,-;random: crng init done\n", false),
            ("", false),
        ] {
            assert_eq!(contains(record.as_bytes(), FORKED), wanted, "{record}");
        }
    }
}
