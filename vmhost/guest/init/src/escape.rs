//! Makes any bytes fit on one line of printable ASCII, and back.
//!
//! In:  `a<newline>b\`
//! Out: `a\nb\\`

/// Escapes backslash, tab, newline, carriage return and all that isn't printable ASCII (`\xNN`).
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut line = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\\' => line.push_str("\\\\"),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            b' '..=b'~' => line.push(char::from(byte)),
            _ => line.push_str(&format!("\\x{byte:02x}")),
        }
    }
    line
}

/// Reverses [`escape`]. An escape that isn't one stays as written.
pub(crate) fn unescape(line: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'\\', [b'\\', after @ ..]) => (b'\\', after),
            (b'\\', [b'n', after @ ..]) => (b'\n', after),
            (b'\\', [b'r', after @ ..]) => (b'\r', after),
            (b'\\', [b't', after @ ..]) => (b'\t', after),
            (b'\\', [b'x', high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (first, &rest[1..]),
            },
            _ => (first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    bytes
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], line: &str) {
        assert_eq!(escape(bytes), line);
        assert_eq!(unescape(line), bytes);
    }

    #[test]
    fn round_trips() {
        check(b"", "");
        check(b"plain text", "plain text");
        check(b"a\nb\\\tc\r", "a\\nb\\\\\\tc\\r");
        check(b"\0\xff\x7f", "\\x00\\xff\\x7f");
    }

    #[test]
    fn broken_escapes_stay() {
        for line in ["\\", "\\q", "\\x", "\\x4", "\\xzz"] {
            assert_eq!(unescape(line), line.as_bytes());
        }
    }

    #[test]
    fn hex_is_lower_case() {
        assert_eq!(hex(&[0, 0xAB]), "00ab");
    }
}
