//! Why a request wasn't done: a code for programs, words and a remedy for people.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The two sides speak different versions.
    Version,
    /// The request can't be understood, or a value in it is out of range.
    BadRequest,
    /// The VM isn't in a state where this is possible.
    WrongState,
    /// There is no such disk, network or device in this VM.
    NotFound,
    /// Too few, too many, or the wrong descriptors came with it.
    Descriptors,
    /// Another long operation is going on.
    Busy,
    /// This VM was configured without what the request needs.
    Unsupported,
    /// The host refused something: no space, no memory, no permission.
    Host,
    /// The guest doesn't do its part.
    Guest,
    /// The VM ended before the request was done.
    Ended,
    /// A mistake of the VMM.
    Internal,
}

/// Why a request wasn't done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlError {
    /// For programs.
    pub code: Code,
    /// For people: what happened.
    pub message: String,
    /// For people: what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl ControlError {
    /// An error without a remedy.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), remedy: None }
    }

    /// The host's refusal of `what`.
    pub fn host(what: &str, error: &dyn std::error::Error) -> Self {
        Self::new(Code::Host, format!("{what}: {error}"))
    }

    /// The same with a remedy.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, " (remedy: {remedy})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ControlError {}
