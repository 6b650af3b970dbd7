//! One byte to an I/O port: the cheapest sign to a VMM, one exit without a device behind it.

#![allow(unsafe_code, reason = "port permission and the OUT instruction")]

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::check;

/// Writes `value` to `port`, by the instruction if the kernel grants it, else by `/dev/port`.
pub(crate) fn write(port: u16, value: u8) -> io::Result<()> {
    match write_directly(port, value) {
        Ok(()) => Ok(()),
        Err(_) => OpenOptions::new().write(true).open("/dev/port")?.write_all_at(&[value], port.into()),
    }
}

fn write_directly(port: u16, value: u8) -> io::Result<()> {
    // SAFETY: takes plain numbers.
    check(unsafe { libc::ioperm(port.into(), 1, 1) })?;
    // SAFETY: the kernel just granted this thread this port, and OUT touches neither memory nor flags.
    unsafe {
        std::arch::asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags));
    }
    Ok(())
}
