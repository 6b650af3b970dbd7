//! Host clients that haven't said yet which port they want.
//!
//! In:  `CONNECT port\n`.
//! Out: the port, and a socket whose next byte is the first after the line.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use super::host::HostSocket;
use super::transfer;

/// How many there can be; further ones wait in the listener's queue.
pub const MAX_CLIENTS: usize = 64;

/// No longer line is read: the longest valid one has 19 bytes.
const MAX_LINE: usize = 32;

/// Clients by number.
pub type Clients = HashMap<u32, Client>;

/// A client that hasn't said what it wants.
pub struct Client {
    /// Its socket.
    pub host: HostSocket,
    /// It is dropped then.
    pub deadline: Instant,
    line: Vec<u8>,
}

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// Not all yet.
    Nothing,
    /// The port it wants.
    Port(u32),
    /// Something else, or it has gone.
    Nonsense,
}

impl Client {
    /// A client that has just come.
    pub fn new(host: HostSocket, deadline: Instant) -> Self {
        Self { host, deadline, line: Vec::new() }
    }

    /// Reads what is there of the line, and nothing beyond it.
    pub fn read(&mut self) -> Said {
        let mut bytes = [0; MAX_LINE];
        let room = MAX_LINE - self.line.len();
        let peeked = match transfer::peek(self.host.stream(), &mut bytes[..room]) {
            Ok(0) => return Said::Nonsense,
            Ok(count) => &bytes[..count],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Said::Nothing,
            Err(_) => return Said::Nonsense,
        };
        let end = peeked.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(peeked.len(), |end| end + 1);
        self.line.extend_from_slice(&peeked[..taken]);
        // What was peeked is there: taking it can't fall short.
        if !transfer::take(self.host.stream(), &mut bytes[..taken]).is_ok_and(|count| count == taken) {
            return Said::Nonsense;
        }
        match end {
            Some(_) => parse(&self.line).map_or(Said::Nonsense, Said::Port),
            None if self.line.len() >= MAX_LINE => Said::Nonsense,
            None => Said::Nothing,
        }
    }
}

fn parse(line: &[u8]) -> Option<u32> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let port = match (words.next(), words.next(), words.next()) {
        (Some(word), Some(port), None) if word.eq_ignore_ascii_case("connect") => port,
        _ => return None,
    };
    // `parse` would take a sign.
    port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_port() {
        for (line, expected) in [
            ("CONNECT 52\n", Some(52)),
            ("connect 52\r\n", Some(52)),
            ("CONNECT  4294967295 \n", Some(u32::MAX)),
            ("CONNECT 4294967296\n", None),
            ("CONNECT +5\n", None),
            ("CONNECT -5\n", None),
            ("CONNECT\n", None),
            ("CONNECT 5 6\n", None),
            ("CONNECT5\n", None),
            ("OK 5\n", None),
            ("\n", None),
        ] {
            assert_eq!(parse(line.as_bytes()), expected, "{line:?}");
        }
        assert_eq!(parse(b"CONNECT \xff\n"), None);
    }
}
