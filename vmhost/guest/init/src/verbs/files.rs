//! Files and file systems.

use std::fs::{self, File};
use std::io::Read as _;
use std::sync::Arc;

use super::{Args, Failure, Step as _};
use crate::Guest;
use crate::escape::{escape, unescape};
use crate::sys::kernel;

/// Most bytes of a file in one reply.
const CAT_LIMIT: u64 = 64 << 10;

pub(super) fn cat(_: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let path = args.word("PATH")?;
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(CAT_LIMIT).read_to_end(&mut bytes)).step(format!("read {path}"))?;
    Ok(escape(&bytes))
}

pub(super) fn write(_: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let path = args.word("PATH")?;
    let bytes = unescape(args.rest());
    fs::write(path, &bytes).step(format!("write {path}"))?;
    Ok(format!("bytes={}", bytes.len()))
}

pub(super) fn mount(_: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let (device, place, kind) = (args.word("DEV")?, args.word("DIR")?, args.word("FSTYPE")?);
    let read_only = match args.next() {
        None => false,
        Some("ro") => true,
        Some(word) => return Err(Failure::Argument { name: "ro", word: word.to_owned() }),
    };
    fs::create_dir_all(place).step(format!("make {place}"))?;
    // Types without a device take any word, so only a name that is there becomes a path.
    let path = super::disk::path(device);
    let source = if path.exists() { path.to_string_lossy() } else { device.into() };
    kernel::mount(&source, place, kind, read_only).step(format!("mount {source}"))?;
    Ok(String::new())
}

pub(super) fn umount(_: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let place = args.word("DIR")?;
    kernel::unmount(place).step(format!("unmount {place}"))?;
    Ok(String::new())
}
