//! Byte streams in both directions, over vsock, unix sockets and TCP alike.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::pattern::Pattern;

/// Bytes moved by one read or write.
pub(crate) const CHUNK: usize = 64 << 10;

/// How long a peer may be silent in the middle of an exercise before that is an error.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connected stream socket.
pub(crate) trait Duplex: Read + Write + Send + Sized {
    /// A second handle of the same connection.
    fn handle(&self) -> io::Result<Self>;
    /// Ends one or both directions.
    fn end(&self, how: Shutdown) -> io::Result<()>;
    /// Makes reads and writes fail after a silence; `None` waits for ever.
    fn set_patience(&self, patience: Option<Duration>) -> io::Result<()>;
}

macro_rules! duplex {
    ($($socket:ty),*) => {$(
        impl Duplex for $socket {
            fn handle(&self) -> io::Result<Self> {
                self.try_clone()
            }

            fn end(&self, how: Shutdown) -> io::Result<()> {
                self.shutdown(how)
            }

            fn set_patience(&self, patience: Option<Duration>) -> io::Result<()> {
                self.set_read_timeout(patience)?;
                self.set_write_timeout(patience)
            }
        }
    )*};
}
duplex!(UnixStream, TcpStream);

/// Sends `bytes` bytes of a pattern and verifies that the peer sends the same back.
pub(crate) fn round_trip<S: Duplex>(mut stream: S, bytes: u64, pattern: Pattern) -> Result<(), String> {
    stream.set_patience(Some(PATIENCE)).map_err(|error| format!("set timeout: {error}"))?;
    let mut sender = stream.handle().map_err(|error| format!("second handle: {error}"))?;
    std::thread::scope(|scope| {
        let sending = scope.spawn(move || {
            send_pattern(&mut sender, bytes, pattern)?;
            sender.end(Shutdown::Write)
        });
        let received = receive_pattern(&mut stream, bytes, pattern);
        if received.is_err() {
            // Otherwise the sender would wait for a peer that nobody reads from.
            let _ = stream.end(Shutdown::Both);
        }
        let sent = sending.join().map_err(|_| "the sender panicked".to_owned())?;
        received?;
        sent.map_err(|error| format!("send: {error}"))
    })
}

/// Writes the first `bytes` bytes of a pattern.
pub(crate) fn send_pattern(to: &mut impl Write, bytes: u64, pattern: Pattern) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK.min(bytes as usize)];
    let mut position = 0;
    while position < bytes {
        let part = &mut buffer[..(bytes - position).min(CHUNK as u64) as usize];
        pattern.fill(part, position);
        to.write_all(part)?;
        position += part.len() as u64;
    }
    Ok(())
}

fn receive_pattern(from: &mut impl Read, bytes: u64, pattern: Pattern) -> Result<(), String> {
    let mut buffer = vec![0; CHUNK.min(bytes as usize)];
    let mut position = 0;
    while position < bytes {
        let limit = (bytes - position).min(CHUNK as u64) as usize;
        let part = match from.read(&mut buffer[..limit]) {
            Ok(0) => return Err(format!("end of stream after {position} of {bytes} bytes")),
            Ok(length) => &buffer[..length],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("receive after {position} of {bytes} bytes: {error}")),
        };
        pattern.verify(part, position).map_err(|mismatch| mismatch.to_string())?;
        position += part.len() as u64;
    }
    Ok(())
}
