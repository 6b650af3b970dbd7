//! A client that sends requests exactly as written, which a polite one would not.

use std::fmt::Write as _;
use std::io::Read as _;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Headers that every answer of a site carries: shown by the test that is about them.
const SECURITY: [&str; 9] = [
    "access-control-allow-origin",
    "content-security-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "origin-agent-cluster",
    "permissions-policy",
    "referrer-policy",
    "service-worker-allowed",
    "x-content-type-options",
];

/// An answer, taken apart.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    /// The body as text, unpacked if need be.
    pub fn text(&self) -> String {
        if self.header("content-encoding") != "br" {
            return String::from_utf8_lossy(&self.body).into_owned();
        }
        let mut text = String::new();
        brotli::Decompressor::new(&self.body[..], 4096).read_to_string(&mut text).unwrap();
        text
    }

    /// Status, headers that tell answers apart, and the body.
    pub fn shown(&self) -> String {
        self.show(|name| !SECURITY.contains(&name))
    }

    /// Status and the headers that protect a site.
    pub fn security(&self) -> String {
        let mut shown = format!("{}\n", self.status);
        for (name, value) in self.headers.iter().filter(|(name, _)| SECURITY.contains(&name.as_str())) {
            let _ = writeln!(shown, "{name}: {value}");
        }
        shown
    }

    fn show(&self, wanted: impl Fn(&str) -> bool) -> String {
        let mut shown = format!("{}\n", self.status);
        for (name, value) in &self.headers {
            if wanted(name) && !["date", "x-request-id", "content-length", "connection"].contains(&name.as_str()) {
                // A page's hash changes with the ports that stand in it.
                let value = if name == "etag" && value.len() == 34 { "(hash)" } else { value };
                let _ = writeln!(shown, "{name}: {value}");
            }
        }
        let text = self.text();
        let text = if text.len() > 600 { format!("({} bytes)", text.len()) } else { text };
        let _ = write!(shown, "\n{}\n", text.trim_end());
        shown
    }
}

/// Sends one request, lines separated by `\n`, and reads until the server closes.
pub async fn send(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&wire(request)).await.unwrap();
    read(stream).await
}

/// Head lines and after an empty line the body: what goes over the wire.
fn wire(request: &str) -> Vec<u8> {
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let mut wire = String::new();
    for (at, line) in head.lines().enumerate() {
        let version = if at == 0 { " HTTP/1.1" } else { "" };
        let _ = write!(wire, "{line}{version}\r\n");
    }
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let _ = write!(wire, "connection: close\r\n{length}\r\n{body}");
    wire.into_bytes()
}

async fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A server that refuses a body half-way resets the connection behind its answer.
    let _ = stream.read_to_end(&mut bytes).await;
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut headers: Vec<_> = lines.filter_map(pair).collect();
    headers.sort();
    Answer { status, headers, body: bytes[end + 4..].to_vec() }
}
