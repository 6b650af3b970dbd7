//! Content hashes, as they stand in names.

use sha2::{Digest, Sha256};

/// 32 hex digits: the first half of SHA-256.
pub fn hex(bytes: &[u8]) -> String {
    digits(bytes, 16)
}

/// 10 hex digits, for names that people see.
pub fn short(bytes: &[u8]) -> String {
    digits(bytes, 5)
}

fn digits(bytes: &[u8], count: usize) -> String {
    Sha256::digest(bytes)[..count].iter().map(|byte| format!("{byte:02x}")).collect()
}
