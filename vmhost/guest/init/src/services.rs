//! Raw streams for the host to measure and verify: vsock ports 5000 to 5002.
//!
//! | port | what it does |
//! | --- | --- |
//! | 5000 | echo: sends back what it gets, ends its side when the peer ended its own |
//! | 5001 | discard: reads to the end, then writes `ok bytes=N fnv=HEX\n` (FNV-1a, 64 bits) and closes |
//! | 5002 | source: reads one line `N SEED\n`, writes N bytes of [`crate::pattern`] and closes |

use std::io::{self, BufRead as _, BufReader, Read};
use std::net::Shutdown;

use crate::pattern::{Fnv, Pattern};
use crate::stream::{CHUNK, Duplex, send_pattern};
use crate::verbs::Args;

/// Port of the echo service.
pub const ECHO: u32 = 5000;
/// Port of the service that counts and sums.
pub const DISCARD: u32 = 5001;
/// Port of the service that sends pattern bytes.
pub const SOURCE: u32 = 5002;

/// Longest line that asks the source for bytes.
const REQUEST_LIMIT: u64 = 128;

/// Sends back what arrives, until the peer ends its side.
pub(crate) fn echo<S: Duplex>(mut stream: S) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    each_part(&mut stream.handle()?, &mut buffer, |part| stream.write_all(part))?;
    stream.end(Shutdown::Write)
}

/// Counts and sums what arrives, then tells.
pub(crate) fn discard<S: Duplex>(mut stream: S) -> io::Result<()> {
    let (mut bytes, mut sum) = (0, Fnv::new());
    each_part(&mut stream, &mut vec![0; CHUNK], |part| {
        bytes += part.len() as u64;
        sum.add(part);
        Ok(())
    })?;
    stream.write_all(format!("ok bytes={bytes} fnv={:016x}\n", sum.value()).as_bytes())?;
    stream.end(Shutdown::Write)
}

/// Sends as many pattern bytes as one line asks for.
pub(crate) fn source<S: Duplex>(mut stream: S) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(stream.handle()?.take(REQUEST_LIMIT)).read_line(&mut line)?;
    let mut args = Args::new(&line);
    match (args.number("N"), args.number("SEED")) {
        (Ok(bytes), Ok(seed)) => send_pattern(&mut stream, bytes, Pattern::new(seed))?,
        (Err(failure), _) | (_, Err(failure)) => stream.write_all(format!("error {failure}\n").as_bytes())?,
    }
    stream.end(Shutdown::Write)
}

fn each_part(from: &mut impl Read, buffer: &mut [u8], mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    loop {
        match from.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => take(&buffer[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
