//! Packuments: all versions of a package, as a registry describes them.
//!
//! In:  the registry's JSON, or what [`Packument::trimmed`] made of it; both give the same packument.
//! Out: versions that can be verified and so be used, newest first.
//!
//! Old packuments hold the oddest things where a map of strings belongs; what
//! isn't one counts as absent, so that one old version doesn't spoil the rest.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::integrity;
use crate::name::is_version;
use crate::package::Package;
use crate::semver::Version;

/// What is known about a package.
#[derive(Debug, Clone)]
pub enum PackumentState {
    /// Its packument.
    Found(Packument),
    /// The registry has no such package.
    Missing,
    /// The registry couldn't be asked, or gave no packument; says why.
    Failed(String),
}

/// A registry's answer that is none.
#[derive(Debug, thiserror::Error)]
#[error("it is not a packument: {0}")]
pub struct PackumentError(#[from] serde_json::Error);

/// All versions of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packument {
    tags: BTreeMap<String, String>,
    /// Newest first.
    pub(crate) versions: Vec<Published>,
}

/// A published version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) version: Version,
    pub(crate) package: Package,
    pub(crate) deprecated: bool,
    /// Made for an operating system or a processor that no browser is.
    pub(crate) foreign: bool,
}

impl Packument {
    /// Reads a packument.
    ///
    /// # Errors
    /// It isn't one.
    pub fn parse(bytes: &[u8]) -> Result<Self, PackumentError> {
        let raw: Raw = serde_json::from_slice(bytes)?;
        let name = raw.name;
        let mut versions: Vec<Published> =
            raw.versions.into_iter().filter_map(|(version, raw)| raw?.publish(&name, version)).collect();
        // Versions that differ in build metadata alone are equal; their text decides.
        versions.sort_by(|a, b| b.version.cmp(&a.version).then_with(|| b.package.version.cmp(&a.package.version)));
        Ok(Self { tags: raw.tags, versions })
    }

    /// A registry's packument → the part of it that is needed here, as JSON.
    ///
    /// # Errors
    /// It isn't one.
    pub fn trimmed(text: &[u8]) -> Result<String, PackumentError> {
        let mut raw: Raw = serde_json::from_slice(text)?;
        raw.versions.retain(|version, raw| raw.as_ref().is_some_and(|raw| raw.is_of_use(version)));
        raw.versions.values_mut().flatten().for_each(RawVersion::trim);
        Ok(serde_json::to_string(&raw)?)
    }

    /// The version that a dist-tag stands for.
    pub(crate) fn tagged(&self, tag: &str) -> Option<&Published> {
        self.exact(self.tags.get(tag)?)
    }

    pub(crate) fn exact(&self, version: &str) -> Option<&Published> {
        self.versions.iter().find(|published| published.package.version == version)
    }

    pub(crate) fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.keys().map(String::as_str)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(expecting = "an object")]
struct Raw {
    /// The one field that every packument has, and no error's JSON.
    name: String,
    #[serde(rename = "dist-tags", default, deserialize_with = "strings")]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    versions: BTreeMap<String, Option<RawVersion>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawVersion {
    #[serde(default, deserialize_with = "strings", skip_serializing_if = "BTreeMap::is_empty")]
    dependencies: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "strings", skip_serializing_if = "BTreeMap::is_empty")]
    optional_dependencies: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "strings", skip_serializing_if = "BTreeMap::is_empty")]
    peer_dependencies: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "metas", skip_serializing_if = "BTreeMap::is_empty")]
    peer_dependencies_meta: BTreeMap<String, PeerMeta>,
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    os: Vec<String>,
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    cpu: Vec<String>,
    #[serde(default, deserialize_with = "is_set", skip_serializing_if = "is_false")]
    deprecated: bool,
    #[serde(default)]
    dist: Dist,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PeerMeta {
    #[serde(default, deserialize_with = "is_set")]
    pub(crate) optional: bool,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dist {
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    integrity: Option<String>,
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    shasum: Option<String>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    unpacked_size: Value,
}

impl Dist {
    fn integrity(&self) -> Option<String> {
        let new = self.integrity.as_deref().map(str::trim).filter(|text| integrity::is_integrity(text));
        new.map(str::to_owned).or_else(|| integrity::from_shasum(self.shasum.as_deref()?))
    }
}

impl RawVersion {
    /// A version that can't be verified is as good as none.
    fn is_of_use(&self, version: &str) -> bool {
        is_version(version) && Version::parse(version).is_some() && self.dist.integrity().is_some()
    }

    /// Leaves out what says the same twice: hashes don't compress.
    fn trim(&mut self) {
        self.dependencies.retain(|name, _| !self.optional_dependencies.contains_key(name));
        self.peer_dependencies_meta.retain(|name, meta| meta.optional && self.peer_dependencies.contains_key(name));
        if self.dist.integrity.as_deref().is_some_and(integrity::is_integrity) {
            self.dist.shasum = None;
        }
        if !self.dist.unpacked_size.is_u64() {
            self.dist.unpacked_size = Value::Null;
        }
    }

    fn publish(self, name: &str, version: String) -> Option<Published> {
        let parsed = Version::parse(&version).filter(|_| self.is_of_use(&version))?;
        let integrity = self.dist.integrity()?;
        let optional = self.peer_dependencies_meta.into_iter().filter(|(_, meta)| meta.optional);
        let package = Package {
            name: name.to_owned(),
            version,
            integrity,
            dependencies: self.dependencies,
            optional_dependencies: self.optional_dependencies,
            peer_dependencies: self.peer_dependencies,
            optional_peers: optional.map(|(name, _)| name).collect(),
        };
        let foreign = !fits_browser(&self.os, &self.cpu);
        Some(Published { version: parsed, package: package.normalized(), deprecated: self.deprecated, foreign })
    }
}

/// Whether a package for these systems and processors is of use in a page.
pub(crate) fn fits_browser(os: &[String], cpu: &[String]) -> bool {
    accepts(os, &["any", "browser"]) && accepts(cpu, &["any", "wasm32"])
}

/// npm's lists: names that are wanted, `!name` for what is not.
fn accepts(list: &[String], ours: &[&str]) -> bool {
    let refused = list.iter().filter_map(|name| name.strip_prefix('!')).any(|name| ours.contains(&name));
    let mut wanted = list.iter().filter(|name| !name.starts_with('!')).peekable();
    !refused && (wanted.peek().is_none() || wanted.any(|name| ours.contains(&name.as_str())))
}

fn strings<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let Value::Object(map) = Value::deserialize(from)? else { return Ok(BTreeMap::new()) };
    let text = |value| if let Value::String(text) = value { Some(text) } else { None };
    Ok(map.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect())
}

fn metas<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, PeerMeta>, D::Error> {
    let Value::Object(map) = Value::deserialize(from)? else { return Ok(BTreeMap::new()) };
    let meta = |value: &Value| PeerMeta { optional: value.get("optional").is_some_and(is_truthy) };
    Ok(map.into_iter().map(|(name, value)| (name, meta(&value))).collect())
}

fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(one) => vec![one],
        Value::Array(list) => list.into_iter().filter_map(|value| value.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    })
}

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Value::deserialize(from)?.as_str().map(str::to_owned))
}

fn is_set<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(is_truthy(&Value::deserialize(from)?))
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Bool(set) => *set,
        Value::String(text) => !text.is_empty(),
        _ => false,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn is_false(value: &bool) -> bool {
    !value
}
