//! What can stand against a lock, in words.

use std::fmt;

use crate::MAX_PACKAGES;
use crate::spec::SpecError;

/// One reason why there is no lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SolveError {
    /// The dependency in `package.json` through which it came.
    pub package: String,
    /// `name@version` from that dependency down to the one with the problem; empty for a problem of its own.
    pub needed_by: Vec<String>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// What is asked for is nothing that a registry has.
    Spec {
        /// The dependency.
        name: String,
        /// Why not.
        error: SpecError,
    },
    /// No such package.
    NoPackage {
        /// Its name.
        name: String,
    },
    /// The registry couldn't be asked.
    Unreachable {
        /// The package.
        name: String,
        /// The registry's words or ours.
        error: String,
    },
    /// No version is in the range.
    NoVersion {
        /// The package.
        name: String,
        /// The range.
        range: String,
        /// What there is instead.
        latest: Option<String>,
    },
    /// No version has the tag.
    NoTag {
        /// The package.
        name: String,
        /// The tag.
        tag: String,
        /// The tags there are.
        tags: Vec<String>,
    },
    /// A peer that is there in another version.
    Peer {
        /// `name@version` of who expects it.
        who: String,
        /// `name@range`.
        expects: String,
        /// `name@version` that is there instead, if one is.
        found: Option<String>,
        /// Who can't use another, and the `name@range` they ask for.
        other: Option<(String, String)>,
        /// The peer's name.
        peer: String,
    },
    /// The tree is too large.
    TooMany,
    /// Packages that need each other in ever other versions.
    TooDeep {
        /// One of them.
        name: String,
    },
    /// Contradictions without end.
    TooHard,
}

impl SolveError {
    /// What is wrong.
    pub fn message(&self) -> String {
        let what = match &self.problem {
            Problem::Spec { name, error } => format!("{name}: {error}"),
            Problem::NoPackage { name } => format!("There is no package {name} in the registry"),
            Problem::Unreachable { name, error } => {
                format!("{name} can't be looked up: {}", error.trim_end_matches('.'))
            }
            Problem::NoVersion { name, range, latest: Some(latest) } => {
                format!("No version of {name} is in the range {range:?}; the latest is {latest}")
            }
            Problem::NoVersion { name, range, latest: None } => {
                format!("No version of {name} is in the range {range:?}: none is published")
            }
            Problem::NoTag { name, tag, tags } => {
                format!("No version of {name} is tagged {tag:?}; its tags are {}", tags.join(", "))
            }
            Problem::Peer { who, expects, found, other, .. } => {
                let there = found.as_ref().map_or_else(String::new, |found| format!(", but {found} is there"));
                let other =
                    other.as_ref().map_or_else(String::new, |(who, wants)| format!(", as {who} asks for {wants}"));
                let and = if there.is_empty() { other.replacen(", as", ", but", 1) } else { other };
                format!("{who} expects {expects} beside it{there}{and}")
            }
            Problem::TooMany => format!("The dependencies come to more than {MAX_PACKAGES} packages"),
            Problem::TooDeep { name } => format!("{name} and what it needs need each other in ever other versions"),
            Problem::TooHard => "The dependencies contradict each other in too many ways to be solved".to_owned(),
        };
        match self.chain() {
            Some(chain) => format!("{what} (needed by {chain})."),
            None => format!("{what}."),
        }
    }

    /// The way from `package.json` to the problem, its middle left out where it is long.
    fn chain(&self) -> Option<String> {
        let mut chain: Vec<&str> = self.needed_by.iter().map(String::as_str).collect();
        // Who has a peer problem is named already.
        if let Problem::Peer { who, .. } = &self.problem {
            chain.retain(|name| name != who);
        }
        if chain.len() > 6 {
            chain.splice(3..chain.len() - 2, ["…"]);
        }
        (!chain.is_empty()).then(|| chain.join(" → "))
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        let package = &self.package;
        let own = self.needed_by.is_empty();
        match &self.problem {
            Problem::Unreachable { .. } => "Try again when the registry answers.".to_owned(),
            Problem::Peer { peer, expects, .. } => {
                format!(
                    "Ask for {expects} in package.json, or for a version of {package} that goes with the {peer} there is."
                )
            }
            Problem::TooMany | Problem::TooDeep { .. } | Problem::TooHard => {
                format!("Use fewer dependencies, or another version of {package}.")
            }
            _ if !own => format!("Use another version of {package}, or do without it."),
            Problem::Spec { error, .. } => error.remedy().to_owned(),
            Problem::NoPackage { .. } => "Check how it is spelled.".to_owned(),
            Problem::NoVersion { latest: Some(latest), .. } => format!("Write \"{package}\": \"^{latest}\"."),
            Problem::NoVersion { latest: None, .. } => "Use another package.".to_owned(),
            Problem::NoTag { .. } => format!("Write \"{package}\": \"latest\"."),
        }
    }
}

impl fmt::Display for SolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for SolveError {}
