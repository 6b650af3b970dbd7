//! What stands to the right of a dependency's name.
//!
//! In:  `^1.2.0`, `latest`, `npm:preact@10`, `github:a/b`
//! Out: which package, and what it may be; or why that can't be had here.

use std::fmt;

use crate::name::{is_name, shown};
use crate::semver::{Range, Version};

/// A dependency's demand.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// The real package, behind an alias.
    pub(crate) name: String,
    pub(crate) want: Want,
    /// The demand as a message shows it: without the alias.
    pub(crate) text: String,
}

#[derive(Debug, Clone)]
pub(crate) enum Want {
    Range(Range),
    /// A dist-tag, which only the packument can translate.
    Tag(String),
}

impl Spec {
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, SpecError> {
        if !is_name(name) {
            return Err(SpecError::Name(shown(name)));
        }
        let text = text.trim();
        if let Some(target) = text.strip_prefix("npm:") {
            let at = target.char_indices().skip(1).find(|(_, c)| *c == '@').map_or(target.len(), |(at, _)| at);
            let (name, rest) = target.split_at(at);
            let rest = rest.strip_prefix('@').unwrap_or(rest);
            // An alias of an alias is nothing that npm knows.
            if !is_name(name) || rest.contains(':') {
                return Err(SpecError::Alias(shown(text)));
            }
            return Self::registry(name, rest.trim());
        }
        match Foreign::of(text) {
            Some(foreign) => Err(SpecError::Foreign(foreign, shown(text))),
            None => Self::registry(name, text),
        }
    }

    fn registry(name: &str, text: &str) -> Result<Self, SpecError> {
        let want = match Range::parse(text) {
            Some(range) => Want::Range(range),
            None if is_tag(text) => Want::Tag(text.to_owned()),
            None => return Err(SpecError::Range(shown(text))),
        };
        let text = if text.is_empty() { "*" } else { text };
        Ok(Self { name: name.to_owned(), want, text: shown(text) })
    }

    /// Whether all versions will do.
    pub(crate) fn is_any(&self) -> bool {
        matches!(self.want, Want::Range(Range::Any))
    }

    /// Whether a version is in the range; a tag can't tell.
    pub(crate) fn contains(&self, version: &Version) -> Option<bool> {
        match &self.want {
            Want::Range(range) => Some(range.contains(version)),
            Want::Tag(_) => None,
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.text)
    }
}

fn is_tag(text: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic()) && text.bytes().all(valid)
}

/// A demand that names no version of the registry's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The dependency's name is none.
    #[error("{0:?} is not a package name")]
    Name(String),
    /// `npm:` without a package behind it.
    #[error("{0:?} is not an alias of a package")]
    Alias(String),
    /// Neither a range nor a tag.
    #[error("{0:?} is not a range of versions")]
    Range(String),
    /// Something that npm would get from elsewhere.
    #[error("{1:?} is {0}, and only packages of the registry can be used here")]
    Foreign(Foreign, String),
}

impl SpecError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Name(_) => "Write it as in the registry: `name` or `@scope/name`.",
            Self::Alias(_) => "Write it as `npm:name@^1.0.0`.",
            Self::Range(_) => "Write a range such as `^1.0.0`, or `latest`.",
            Self::Foreign(Foreign::Git, _) => {
                "Use a published version of the package, or copy its files into the project."
            }
            Self::Foreign(Foreign::Address, _) => "Use the published version that lies at this address.",
            Self::Foreign(Foreign::Folder, _) => "Copy the folder's files into the project and import them by path.",
            Self::Foreign(Foreign::Workspace, _) => {
                "Write the published range, or copy the package's files into the project."
            }
            Self::Foreign(Foreign::Protocol, _) => "Write a range of a package in npm's registry.",
        }
    }
}

/// Where a dependency would have to be got from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// A git repository.
    Git,
    /// A tarball at an address.
    Address,
    /// A folder or a tarball on a disk.
    Folder,
    /// Another package of the same workspace.
    Workspace,
    /// Something of another package manager.
    Protocol,
}

impl Foreign {
    fn of(text: &str) -> Option<Self> {
        const GIT: [&str; 4] = ["github", "gitlab", "bitbucket", "gist"];
        if let Some((protocol, _)) = text.split_once(':') {
            return Some(match protocol {
                "http" | "https" => Self::Address,
                "file" | "link" | "portal" => Self::Folder,
                "workspace" | "catalog" => Self::Workspace,
                _ if protocol.starts_with("git") || GIT.contains(&protocol) => Self::Git,
                _ => Self::Protocol,
            });
        }
        if text.starts_with(['.', '/']) || text.starts_with("~/") {
            return Some(Self::Folder);
        }
        // `user/repository` is short for GitHub.
        text.contains('/').then_some(Self::Git)
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Git => "a git repository",
            Self::Address => "an address",
            Self::Folder => "a path on a disk",
            Self::Workspace => "a package of a workspace",
            Self::Protocol => "a protocol of another package manager",
        })
    }
}
