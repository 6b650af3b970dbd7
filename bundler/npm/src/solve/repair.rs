//! Choices that were found to be wrong, and what to choose instead.

use std::collections::{BTreeMap, BTreeSet};

/// One other choice for the next attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Repair {
    /// Prefer this version of a package wherever it fits: it fits several at once.
    Pin {
        /// The real name.
        name: String,
        version: String,
    },
    /// Put no package of that name in that folder: its peers don't fit there.
    Forbid { folder: String, name: String },
    /// Leave the lock aside for a package: its version no longer goes with the others.
    Unlock(String),
    /// Take what peers a package, `name@version`, finds: as npm does, which warns
    /// about those that the project doesn't ask for itself.
    Lenient(String),
    /// Do without an optional dependency: something it needs can't be had.
    Drop {
        /// `name@version` of whose it is.
        who: String,
        name: String,
    },
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    /// The latest is the last.
    pub(super) pins: BTreeMap<String, Vec<String>>,
    pub(super) forbidden: BTreeSet<(String, String)>,
    pub(super) unlocked: BTreeSet<String>,
    pub(super) lenient: BTreeSet<String>,
    pub(super) dropped: BTreeSet<(String, String)>,
}

impl Repairs {
    /// Whether it has been tried before.
    pub(super) fn has(&self, repair: &Repair) -> bool {
        match repair {
            Repair::Pin { name, version } => self.pins.get(name).is_some_and(|pins| pins.contains(version)),
            Repair::Forbid { folder, name } => self.forbidden.contains(&(folder.clone(), name.clone())),
            Repair::Unlock(name) => self.unlocked.contains(name),
            Repair::Lenient(who) => self.lenient.contains(who),
            Repair::Drop { who, name } => self.dropped.contains(&(who.clone(), name.clone())),
        }
    }

    pub(super) fn add(&mut self, repair: Repair) {
        match repair {
            Repair::Pin { name, version } => self.pins.entry(name).or_default().push(version),
            Repair::Forbid { folder, name } => {
                self.forbidden.insert((folder, name));
            }
            Repair::Unlock(name) => {
                self.unlocked.insert(name);
            }
            Repair::Lenient(who) => {
                self.lenient.insert(who);
            }
            Repair::Drop { who, name } => {
                self.dropped.insert((who, name));
            }
        }
    }
}
