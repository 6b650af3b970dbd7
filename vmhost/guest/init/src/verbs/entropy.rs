//! Random numbers, to see that clones get their own.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use super::{Args, Failure, Step as _};
use crate::Guest;
use crate::escape::hex;
use crate::sys::kernel;

/// Most bytes of one reply, which has to fit on a line.
const LIMIT: u64 = 32 << 10;

pub(super) fn random(_: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let mut bytes = vec![0; args.number_to("N", LIMIT)? as usize];
    kernel::random(&mut bytes).step("getrandom")?;
    Ok(hex(&bytes))
}

pub(super) fn hwrng(_: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let mut bytes = vec![0; args.number_to("N", LIMIT)? as usize];
    File::open("/dev/hwrng").and_then(|mut device| device.read_exact(&mut bytes)).step("read /dev/hwrng")?;
    Ok(hex(&bytes))
}
