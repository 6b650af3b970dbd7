//! Verifies bytes against a subresource integrity text.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::Digest as _;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntegrityError {
    /// The text names no hash that can be computed.
    #[error("the integrity {0:?} names no hash that is known here")]
    Unknown(String),
    /// The bytes are others.
    #[error("its contents hash to {found}, and not to {expected} as expected")]
    Mismatch {
        /// What the integrity says, its strongest hashes.
        expected: String,
        /// What the bytes hash to.
        found: String,
    },
}

/// Checks bytes against `sha512-BASE64`; of several hashes only the strongest
/// kind counts, as browsers and npm have it. Forty hex digits are a `shasum`.
///
/// # Errors
/// Says what was expected and what was found.
pub fn verify(bytes: &[u8], integrity: &str) -> Result<(), IntegrityError> {
    let hashes: Vec<(Algorithm, Vec<u8>)> = integrity.split_ascii_whitespace().filter_map(parse).collect();
    let Some(strongest) = hashes.iter().map(|(algorithm, _)| *algorithm).max() else {
        return Err(IntegrityError::Unknown(crate::name::shown(integrity)));
    };
    let found = strongest.hash(bytes);
    let expected: Vec<&Vec<u8>> =
        hashes.iter().filter(|(algorithm, _)| *algorithm == strongest).map(|(_, hash)| hash).collect();
    if expected.iter().any(|hash| **hash == found) {
        return Ok(());
    }
    let write = |hash: &[u8]| format!("{strongest}-{}", STANDARD.encode(hash));
    let expected = expected.iter().map(|hash| write(hash)).collect::<Vec<_>>().join(" or ");
    Err(IntegrityError::Mismatch { expected, found: write(&found) })
}

/// Whether [`verify`] could ever succeed with this.
pub(crate) fn is_integrity(text: &str) -> bool {
    text.split_ascii_whitespace().any(|part| parse(part).is_some())
}

/// A registry's old `shasum`, in the form of today.
pub(crate) fn from_shasum(hex: &str) -> Option<String> {
    unhex(hex).map(|bytes| format!("sha1-{}", STANDARD.encode(bytes)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => sha1::Sha1::digest(bytes).to_vec(),
            Self::Sha256 => sha2::Sha256::digest(bytes).to_vec(),
            Self::Sha384 => sha2::Sha384::digest(bytes).to_vec(),
            Self::Sha512 => sha2::Sha512::digest(bytes).to_vec(),
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        })
    }
}

fn parse(text: &str) -> Option<(Algorithm, Vec<u8>)> {
    if let Some(bytes) = unhex(text) {
        return Some((Algorithm::Sha1, bytes));
    }
    let (name, rest) = text.split_once('-')?;
    let algorithm = match name {
        "sha1" => Algorithm::Sha1,
        "sha256" => Algorithm::Sha256,
        "sha384" => Algorithm::Sha384,
        "sha512" => Algorithm::Sha512,
        _ => return None,
    };
    // Options may follow; none has a meaning.
    let encoded = rest.split('?').next().unwrap_or(rest);
    let bytes = STANDARD_NO_PAD.decode(encoded.trim_end_matches('=')).ok()?;
    (bytes.len() == algorithm.length()).then_some((algorithm, bytes))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 40 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..40).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
