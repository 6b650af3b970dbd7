//! How parts of a machine put what they are into bytes, and back.
//!
//! Each part has a struct of its own for this, never the live one: a snapshot
//! must outlive a change of the code. The bytes are postcard's, whose wire
//! format is specified; version and checksum are kept by the file around them.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Saved state can't be taken back.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The bytes are no such struct: of another version, or damaged.
    #[error("saved state of {part} can't be read: {source}")]
    Decode {
        /// Whose state it is.
        part: &'static str,
        /// What the decoder says.
        source: postcard::Error,
    },
    /// The bytes are a struct, with values that no machine of ours can have.
    #[error("saved state of {part} is invalid: {reason}")]
    Invalid {
        /// Whose state it is.
        part: &'static str,
        /// Which value, and why not.
        reason: String,
    },
}

/// The bytes of one part.
///
/// # Panics
/// Never for our state structs: encoding into memory fails only for types that have no encoding.
pub fn encode<T: Serialize>(state: &T) -> Vec<u8> {
    postcard::to_stdvec(state).expect("state structs are plain data")
}

/// The part that `bytes` are.
///
/// # Errors
/// When they are something else, or have a tail.
pub fn decode<T: DeserializeOwned>(part: &'static str, bytes: &[u8]) -> Result<T, StateError> {
    match postcard::take_from_bytes(bytes) {
        Ok((state, [])) => Ok(state),
        Ok(_) => Err(StateError::Invalid { part, reason: "there are bytes after its end".into() }),
        Err(source) => Err(StateError::Decode { part, source }),
    }
}
