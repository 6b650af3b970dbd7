//! The lock: which version of which package lies in which folder.
//!
//! In:  `package-lock.json` as npm 7 and later writes it, or as we do.
//! Out: the same in one canonical form, from which keys are hashed: equal locks
//!      have equal texts.
//!
//! Kept is what a page can use: no development packages, no links to the
//! user's disk, no binaries for operating systems. No registry's address is
//! ever written, so every package needs an integrity to be found by.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::MAX_PACKAGES;
use crate::integrity::is_integrity;
use crate::name::{is_name, is_version, name_of_path, shown};
use crate::package::Package;
use crate::packument::{PeerMeta, fits_browser};
use crate::semver::Version;
use crate::spec::Spec;

/// Why a lock can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Not JSON, or not of a lock's form.
    #[error("it is not a package-lock.json: {0}")]
    Json(String),
    /// A form that no npm of today writes.
    #[error("its lockfileVersion is {0}, and 3 is wanted, which `npm install --lockfile-version 3` writes")]
    Version(u64),
    /// Something without a `packages` object.
    #[error("it has no \"packages\", which `npm install --lockfile-version 3` writes")]
    NoPackages,
    /// A folder that is no package's.
    #[error("{0:?} is not the path of a package")]
    Path(String),
    /// A package without a usable version.
    #[error("{path} has the version {version:?}, which is not exact")]
    PackageVersion {
        /// The package's folder.
        path: String,
        /// What is written.
        version: String,
    },
    /// An alias of something that is no name.
    #[error("{path} has the name {name:?}, which is not a package name")]
    Name {
        /// The package's folder.
        path: String,
        /// What is written.
        name: String,
    },
    /// A package that can't be verified.
    #[error("{0} has no integrity, so it can't be verified; only packages of the registry can be used here")]
    NoIntegrity(String),
    /// Too much to be laid out.
    #[error("it has more than {MAX_PACKAGES} packages")]
    TooMany,
}

/// Which version of which package lies in which folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lock {
    /// By folder: `node_modules/react`, `node_modules/a/node_modules/b`.
    pub packages: BTreeMap<String, Package>,
    /// What was asked for: name → range.
    pub(crate) wanted: BTreeMap<String, String>,
    /// Whether every package finds what it needs.
    complete: bool,
}

impl Lock {
    pub(crate) fn new(wanted: BTreeMap<String, String>, packages: BTreeMap<String, Package>) -> Self {
        let complete = is_complete(&packages, |path| packages.contains_key(path));
        Self { packages, wanted, complete }
    }

    /// Reads a lock.
    ///
    /// # Errors
    /// Says what is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let raw: Raw = serde_json::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|error| LockError::Json(error.to_string()))?;
        if let Some(version) = raw.lockfile_version.filter(|version| !(2..=3).contains(version)) {
            return Err(LockError::Version(version));
        }
        let Some(mut listed) = raw.packages else { return Err(LockError::NoPackages) };
        if listed.len() > MAX_PACKAGES {
            return Err(LockError::TooMany);
        }
        let wanted = listed.remove("").unwrap_or_default().dependencies;
        let paths: BTreeSet<String> = listed.keys().cloned().collect();
        let mut packages = BTreeMap::new();
        for (path, raw) in listed {
            // The folders of a workspace are the user's own files; only links lead to them.
            if !path.starts_with("node_modules/") || !raw.is_of_use() {
                continue;
            }
            let package = raw.package(&path)?;
            packages.insert(path, package);
        }
        let complete = is_complete(&packages, |path| paths.contains(path));
        Ok(Self { packages, wanted, complete })
    }

    /// The canonical text: the same for equal locks, and read back as this one.
    pub fn to_text(&self) -> String {
        let root = Written { dependencies: &self.wanted, ..Written::empty() };
        let packages = self.packages.iter().map(|(path, package)| (path.as_str(), Written::of(path, package)));
        let packages = std::iter::once(("", root)).chain(packages).collect();
        let text = WrittenLock { lockfile_version: 3, requires: true, packages };
        let mut text = serde_json::to_string_pretty(&text).expect("a lock is maps and strings");
        text.push('\n');
        text
    }

    /// Whether this is a lock of exactly these dependencies.
    pub fn satisfies(&self, wanted: &BTreeMap<String, String>) -> bool {
        // Types are no part of a page, so whoever asks may have left them out.
        let extraneous = |name: &String| !wanted.contains_key(name) && !name.starts_with("@types/");
        self.complete && !self.wanted.keys().any(extraneous) && wanted.iter().all(|(name, text)| self.has(name, text))
    }

    fn has(&self, name: &str, text: &str) -> bool {
        let Some(package) = self.packages.get(&format!("node_modules/{name}")) else { return false };
        if self.wanted.get(name).is_some_and(|known| known == text) {
            return true;
        }
        let (Ok(spec), Some(version)) = (Spec::parse(name, text), Version::parse(&package.version)) else {
            return false;
        };
        spec.name == package.name && spec.contains(&version) == Some(true)
    }
}

/// Whether all that is needed is there, by Node's lookup. Ranges are left to who
/// made the lock: npm lets users override them.
fn is_complete(packages: &BTreeMap<String, Package>, exists: impl Fn(&str) -> bool) -> bool {
    packages.iter().all(|(path, package)| {
        let peers = package.peer_dependencies.keys().filter(|name| !package.optional_peers.contains(*name));
        package.dependencies.keys().chain(peers).all(|name| candidates(path, name).any(|path| exists(&path)))
    })
}

/// Where Node looks for a package from within the folder of another.
pub(crate) fn candidates<'a>(from: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    let ends = from.match_indices("/node_modules/").map(|(at, _)| at).collect::<Vec<_>>().into_iter().rev();
    let nested =
        std::iter::once(from.len()).chain(ends).map(move |end| format!("{}/node_modules/{name}", &from[..end]));
    nested.chain(std::iter::once(format!("node_modules/{name}")))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Raw {
    lockfile_version: Option<u64>,
    packages: Option<BTreeMap<String, RawPackage>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawPackage {
    name: Option<String>,
    version: Option<String>,
    integrity: Option<String>,
    dependencies: BTreeMap<String, String>,
    optional_dependencies: BTreeMap<String, String>,
    peer_dependencies: BTreeMap<String, String>,
    peer_dependencies_meta: BTreeMap<String, PeerMeta>,
    os: Vec<String>,
    cpu: Vec<String>,
    dev: bool,
    optional: bool,
    dev_optional: bool,
    link: bool,
    in_bundle: bool,
}

impl RawPackage {
    /// A bundled package comes in its parent's tarball; npm would lay a binary of another system out as well.
    fn is_of_use(&self) -> bool {
        let foreign = (self.optional || self.dev_optional) && !fits_browser(&self.os, &self.cpu);
        !(self.dev || self.link || self.in_bundle || foreign)
    }

    fn package(self, path: &str) -> Result<Package, LockError> {
        let name = name_of_path(path).ok_or_else(|| LockError::Path(shown(path)))?;
        let name = self.name.unwrap_or_else(|| name.to_owned());
        if !is_name(&name) {
            return Err(LockError::Name { path: path.to_owned(), name: shown(&name) });
        }
        let version = self.version.unwrap_or_default();
        if !is_version(&version) || Version::parse(&version).is_none() {
            return Err(LockError::PackageVersion { path: path.to_owned(), version: shown(&version) });
        }
        let integrity = self.integrity.unwrap_or_default().trim().to_owned();
        if !is_integrity(&integrity) {
            return Err(LockError::NoIntegrity(path.to_owned()));
        }
        let optional = self.peer_dependencies_meta.into_iter().filter(|(_, meta)| meta.optional);
        let package = Package {
            name,
            version,
            integrity,
            dependencies: self.dependencies,
            optional_dependencies: self.optional_dependencies,
            peer_dependencies: self.peer_dependencies,
            optional_peers: optional.map(|(name, _)| name).collect(),
        };
        Ok(package.normalized())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenLock<'a> {
    lockfile_version: u32,
    requires: bool,
    packages: BTreeMap<&'a str, Written<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    integrity: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    dependencies: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    optional_dependencies: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    peer_dependencies: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    peer_dependencies_meta: BTreeMap<&'a str, PeerMeta>,
}

impl<'a> Written<'a> {
    fn empty() -> Self {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        Self {
            name: None,
            version: None,
            integrity: None,
            dependencies: &NONE,
            optional_dependencies: &NONE,
            peer_dependencies: &NONE,
            peer_dependencies_meta: BTreeMap::new(),
        }
    }

    fn of(path: &str, package: &'a Package) -> Self {
        let aliased = name_of_path(path) != Some(&package.name);
        Self {
            name: aliased.then_some(&package.name),
            version: Some(&package.version),
            integrity: Some(&package.integrity),
            dependencies: &package.dependencies,
            optional_dependencies: &package.optional_dependencies,
            peer_dependencies: &package.peer_dependencies,
            peer_dependencies_meta: package
                .optional_peers
                .iter()
                .map(|name| (name.as_str(), PeerMeta { optional: true }))
                .collect(),
        }
    }
}
