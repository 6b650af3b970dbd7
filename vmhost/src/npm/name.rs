//! Package names and versions that are safe in a URL and a file name.

use std::fmt;
use std::str::FromStr;

use crate::error::ApiError;

/// npm's own bound on a name.
const NAME_BYTES: usize = 214;
/// npm's own bound on a version.
const VERSION_BYTES: usize = 256;

/// A package's name: `react`, `@scope/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageName(String);

impl FromStr for PackageName {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        let (scope, name) = match text.strip_prefix('@') {
            Some(scoped) => scoped.split_once('/').unwrap_or((scoped, "")),
            None => ("scope", text),
        };
        if text.len() <= NAME_BYTES && is_word(scope) && is_word(name) {
            return Ok(Self(text.to_owned()));
        }
        Err(ApiError::bad_request(
            format!("`{}` is not a package name.", shown(text)),
            "Write it as in package.json: `name` or `@scope/name`.",
        ))
    }
}

impl PackageName {
    /// As it is written in a registry's URL: one segment.
    pub fn segment(&self) -> String {
        self.0.replacen('/', "%2f", 1)
    }

    /// `@scope` of a scoped name.
    pub fn scope(&self) -> Option<&str> {
        self.0.split_once('/').map(|(scope, _)| scope)
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One exact version of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageVersion(String);

impl FromStr for PackageVersion {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b".+-".contains(&byte);
        let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
        if starts && text.len() <= VERSION_BYTES && text.bytes().all(valid) {
            return Ok(Self(text.to_owned()));
        }
        Err(ApiError::bad_request(
            format!("`{}` is not an exact version.", shown(text)),
            "Write it in full, as 1.2.3; ranges are solved by /__sandglass/npm/lock.",
        ))
    }
}

impl fmt::Display for PackageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_word(text: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    !text.is_empty() && !text.starts_with('.') && text.bytes().all(valid)
}

/// The start of a text that may be anything, for a message.
fn shown(text: &str) -> String {
    text.chars().take(64).map(|c| if c.is_control() { '·' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_nothing_that_leads_elsewhere() {
        for name in ["react", "@types/react", "JSONStream", "lodash.get", "_a", "a~b"] {
            assert!(name.parse::<PackageName>().is_ok(), "{name}");
        }
        let long = "a".repeat(215);
        for name in [
            "", "@a", "@/a", "@a/", "a/b", "@a/b/c", "..", ".a", "@../a", "@a/..", "a b", "a?b", "a#b", "a%2fb", "é",
            &long,
        ] {
            assert!(name.parse::<PackageName>().is_err(), "{name}");
        }
        assert_eq!("@a/b".parse::<PackageName>().unwrap().segment(), "@a%2fb");
    }

    #[test]
    fn versions_are_exact() {
        for version in ["1.2.3", "0.0.0-alpha.1+build-7"] {
            assert!(version.parse::<PackageVersion>().is_ok(), "{version}");
        }
        for version in ["", "^1.0.0", "latest", "1/2", "1..%2f", "1 || 2"] {
            assert!(version.parse::<PackageVersion>().is_err(), "{version}");
        }
    }
}
