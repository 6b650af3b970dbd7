//! Picks a version for a demand.
//!
//! In order: what an earlier attempt found to fit several, what the old lock
//! has, the version tagged `latest`, the highest one that isn't deprecated, the
//! highest one.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::problem::Problem;
use super::repair::Repairs;
use super::tree::Chosen;
use crate::lock::Lock;
use crate::package::Package;
use crate::packument::{Packument, PackumentState, Published};
use crate::semver::Version;
use crate::spec::{Spec, Want};

/// Where versions come from.
pub(super) struct Market<'a> {
    pub(super) packuments: &'a BTreeMap<String, PackumentState>,
    pub(super) repairs: &'a Repairs,
    /// The old lock's packages by real name, the one at the top first, then the newest.
    locked: FxHashMap<&'a str, Vec<(Version, &'a Package)>>,
}

/// What picking came to.
pub(super) enum Pick<'a> {
    Chosen(Chosen<'a>),
    /// A packument is needed.
    Needs,
    Problem(Problem),
}

impl<'a> Market<'a> {
    pub(super) fn new(
        lock: Option<&'a Lock>,
        packuments: &'a BTreeMap<String, PackumentState>,
        repairs: &'a Repairs,
    ) -> Self {
        let mut locked: FxHashMap<&str, Vec<(bool, Version, &Package)>> = FxHashMap::default();
        for (path, package) in lock.iter().flat_map(|lock| &lock.packages) {
            let Some(version) = Version::parse(&package.version) else { continue };
            let nested = path.matches("node_modules/").count() > 1;
            locked.entry(&package.name).or_default().push((nested, version, package));
        }
        let sorted = locked.into_iter().map(|(name, mut list)| {
            list.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.cmp(&a.1)));
            (name, list.into_iter().map(|(_, version, package)| (version, package)).collect())
        });
        Self { packuments, repairs, locked: sorted.collect() }
    }

    pub(super) fn packument(&self, name: &str) -> Option<&'a Packument> {
        match self.packuments.get(name)? {
            PackumentState::Found(packument) => Some(packument),
            PackumentState::Missing | PackumentState::Failed(_) => None,
        }
    }

    pub(super) fn is_locked(&self, name: &str) -> bool {
        self.locked.contains_key(name) && !self.repairs.unlocked.contains(name)
    }

    /// Whether a version meets a demand. A tag that can't be translated yet is met by all.
    pub(super) fn fits(&self, spec: &Spec, chosen: &Chosen<'_>) -> bool {
        if spec.name != chosen.name {
            return false;
        }
        match &spec.want {
            Want::Range(range) => range.contains(&chosen.version),
            Want::Tag(tag) => self
                .packument(&spec.name)
                .and_then(|packument| packument.tagged(tag))
                .is_none_or(|published| published.package.version == chosen.package.version),
        }
    }

    /// Picks a version. `settled`: the demand itself is as old as the lock, so
    /// that even a tag may stay at what it was.
    pub(super) fn pick(&self, spec: &Spec, settled: bool) -> Pick<'a> {
        if let Some(chosen) = self.pinned(spec).or_else(|| self.locked(spec, settled)) {
            return Pick::Chosen(chosen);
        }
        let name = spec.name.clone();
        let packument = match self.packuments.get(&name) {
            None => return Pick::Needs,
            Some(PackumentState::Missing) => return Pick::Problem(Problem::NoPackage { name }),
            Some(PackumentState::Failed(error)) => {
                return Pick::Problem(Problem::Unreachable { name, error: error.clone() });
            }
            Some(PackumentState::Found(packument)) => packument,
        };
        let found = match &spec.want {
            Want::Tag(tag) => packument.tagged(tag),
            Want::Range(_) => best(packument, &[spec]),
        };
        match found {
            Some(published) => Pick::Chosen(choose(spec, published)),
            None => Pick::Problem(nothing(packument, spec)),
        }
    }

    fn pinned(&self, spec: &Spec) -> Option<Chosen<'a>> {
        let packument = self.packument(&spec.name)?;
        let pins = self.repairs.pins.get(&spec.name)?;
        let chosen = pins.iter().rev().filter_map(|version| Some(choose(spec, packument.exact(version)?)));
        chosen.into_iter().find(|chosen| self.fits(spec, chosen))
    }

    fn locked(&self, spec: &Spec, settled: bool) -> Option<Chosen<'a>> {
        if !self.is_locked(&spec.name) {
            return None;
        }
        let fits = |version: &Version| spec.contains(version).unwrap_or(settled);
        let (version, package) = self.locked.get(spec.name.as_str())?.iter().find(|(version, _)| fits(version))?;
        Some(Chosen {
            name: spec.name.clone(),
            version: version.clone(),
            package,
            locked: true,
            foreign: false,
            lenient: false,
        })
    }
}

/// The best version that meets all of these demands.
pub(super) fn best<'a>(packument: &'a Packument, specs: &[&Spec]) -> Option<&'a Published> {
    let fits = |published: &Published| {
        specs.iter().all(|spec| match &spec.want {
            Want::Range(range) => range.contains(&published.version),
            Want::Tag(tag) => {
                packument.tagged(tag).is_some_and(|tagged| tagged.package.version == published.package.version)
            }
        })
    };
    let latest = packument.tagged("latest").filter(|published| !published.deprecated && fits(published));
    latest.or_else(|| {
        let fitting = || packument.versions.iter().filter(|published| fits(published));
        // `*` takes prereleases too, but only if there is nothing else.
        fitting()
            .filter(|published| !published.deprecated)
            .min_by_key(|published| published.version.is_prerelease() && specs.iter().all(|spec| spec.is_any()))
            .or_else(|| fitting().next())
    })
}

fn choose<'a>(spec: &Spec, published: &'a Published) -> Chosen<'a> {
    Chosen {
        name: spec.name.clone(),
        version: published.version.clone(),
        package: &published.package,
        locked: false,
        foreign: published.foreign,
        lenient: false,
    }
}

fn nothing(packument: &Packument, spec: &Spec) -> Problem {
    let name = spec.name.clone();
    match &spec.want {
        Want::Tag(tag) => {
            Problem::NoTag { name, tag: tag.clone(), tags: packument.tags().map(str::to_owned).collect() }
        }
        Want::Range(_) => {
            let latest = packument.tagged("latest").or_else(|| packument.versions.first());
            let latest = latest.map(|published| published.package.version.clone());
            Problem::NoVersion { name, range: spec.text.clone(), latest }
        }
    }
}
