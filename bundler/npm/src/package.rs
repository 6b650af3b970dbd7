//! One version of a package, as far as solving and fetching need it.

use std::collections::{BTreeMap, BTreeSet};

/// One version of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The package's real name; its folder is named otherwise where an alias is used.
    pub name: String,
    /// The exact version.
    pub version: String,
    /// What its tarball must hash to: `sha512-BASE64`, possibly several.
    pub integrity: String,
    /// What it needs.
    pub dependencies: BTreeMap<String, String>,
    /// What it uses where it can be had.
    pub optional_dependencies: BTreeMap<String, String>,
    /// What it expects beside it.
    pub peer_dependencies: BTreeMap<String, String>,
    /// Which of the peers may be missing.
    pub optional_peers: BTreeSet<String>,
}

impl Package {
    /// Leaves each name where npm lets it count: an optional dependency may stand
    /// among the others as well, and either of them among the peers.
    pub(crate) fn normalized(mut self) -> Self {
        self.dependencies.retain(|name, _| !self.optional_dependencies.contains_key(name));
        self.peer_dependencies
            .retain(|name, _| !self.dependencies.contains_key(name) && !self.optional_dependencies.contains_key(name));
        self.optional_peers.retain(|name| self.peer_dependencies.contains_key(name));
        self
    }
}

impl std::fmt::Display for Package {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}
