//! Packuments: what versions a package has. Kept as the registry sent them, handed out trimmed.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tracing::{debug, warn};

use super::cache::Entry;
use super::name::{PackageName, PackageVersion};
use super::upstream::{Answer, PACKUMENT, Request, UpstreamError};
use super::{Npm, refused};
use crate::error::ApiError;
use crate::site::files::compress;

/// The folder of the cache with packuments as the registry sent them.
const KIND: &str = "packument";
/// The folder with what previews get, in brotli, by the hash of what it was made from.
const TRIMMED: &str = "trimmed";
/// Changes when trimming gives other bytes.
const TRIM_FORMAT: &str = "1";

/// Where a version's tarball is and what it hashes to.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Dist {
    /// The tarball's address.
    #[serde(default)]
    pub tarball: String,
    integrity: Option<String>,
    shasum: Option<String>,
}

impl Dist {
    /// The strongest hash there is, in the form `sha512-BASE64`.
    pub fn integrity(&self) -> Option<String> {
        use base64::Engine as _;
        let old = || {
            let shasum = self.shasum.as_deref().filter(|text| text.len() == 40 && text.is_ascii())?;
            let byte = |at: usize| u8::from_str_radix(&shasum[at..at + 2], 16).ok();
            let bytes: Option<Vec<u8>> = (0..40).step_by(2).map(byte).collect();
            Some(format!("sha1-{}", base64::engine::general_purpose::STANDARD.encode(bytes?)))
        };
        self.integrity.clone().filter(|text| !text.trim().is_empty()).or_else(old)
    }
}

#[derive(Deserialize)]
struct Dists {
    #[serde(default)]
    versions: HashMap<String, Version>,
}

#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    dist: Dist,
}

impl Npm {
    /// A packument as the registry sent it, revalidated when it is no longer fresh.
    ///
    /// # Errors
    /// 404 if there is no such package; 502 or 504 if the registry fails and the cache has nothing.
    pub async fn packument(&self, name: &PackageName) -> Result<Entry, ApiError> {
        let (npm, wanted, key) = (self.clone(), name.clone(), name.to_string());
        let flight = self.shared.packuments.join(&key, || async move { npm.load_packument(&wanted).await });
        flight.await.unwrap_or_else(|| Err(ApiError::internal("reading a packument broke off")))
    }

    /// The trimmed form of a packument, in brotli, and the hash of what it was made from.
    ///
    /// # Errors
    /// As [`Npm::packument`].
    pub async fn trimmed(&self, name: &PackageName) -> Result<(Bytes, String), ApiError> {
        let entry = self.packument(name).await?;
        let key = format!("{TRIM_FORMAT} {}", entry.sha256);
        let (sha256, text) = (entry.sha256, entry.body);
        let made = self.on_disk(move |cache| {
            if let Some(found) = cache.get(TRIMMED, &key) {
                return Ok(found.body);
            }
            let trimmed = bundler_npm::Packument::trimmed(&text).map_err(|error| error.to_string())?;
            let packed = Bytes::from(compress(trimmed.as_bytes(), 5));
            Ok(cache.put(TRIMMED, &key, serde_json::Value::Null, &packed).body)
        });
        let packed = made.await?.map_err(|error: String| garbled(name, &error))?;
        Ok((packed, sha256))
    }

    /// Where a version's tarball is. A cached packument of any age will do: versions don't change.
    pub(super) async fn dist(&self, name: &PackageName, version: &PackageVersion) -> Result<Dist, ApiError> {
        let key = self.packument_key(name).await?;
        let wanted = version.to_string();
        let cached = self.on_disk(move |cache| find_dist(&cache.get(KIND, &key)?.body, &wanted)).await?;
        if let Some(dist) = cached {
            return Ok(dist);
        }
        let entry = self.packument(name).await?;
        let wanted = version.to_string();
        let found = self.on_disk(move |_| find_dist(&entry.body, &wanted)).await?;
        found.ok_or_else(|| {
            let error = format!("{name} has no version {version}.");
            ApiError::new(StatusCode::NOT_FOUND, error, "Choose a published version, or solve the ranges again.")
        })
    }

    async fn packument_key(&self, name: &PackageName) -> Result<String, ApiError> {
        let upstream = self.upstream().await?;
        let registry = upstream.registries.of(name).ok_or_else(no_registry)?;
        Ok(format!("{registry} {name}"))
    }

    async fn load_packument(&self, name: &PackageName) -> Result<Entry, ApiError> {
        let key = self.packument_key(name).await?;
        let lookup = key.clone();
        let cached = self.on_disk(move |cache| cache.get(KIND, &lookup)).await?;
        if let Some(entry) = &cached
            && (self.is_fresh(entry) || self.is_away())
        {
            return Ok(entry.clone());
        }
        match self.fetch_packument(name, cached.as_ref()).await {
            Ok(Answer::NotModified) => match cached {
                Some(entry) => self.keep_packument(key, entry.notes["etag"].as_str(), entry.body).await,
                None => Err(refused(&name.to_string(), &UpstreamError::Status(304))),
            },
            Ok(Answer::Found(body, etag)) => {
                let body = self.checked(name, body).await?;
                self.keep_packument(key, etag.as_deref(), body).await
            }
            Err(error) if error.is_outage() && cached.is_some() => {
                warn!(%name, %error, "an older packument is used");
                cached.ok_or_else(|| refused(&name.to_string(), &error))
            }
            Err(error) => {
                debug!(%name, %error, "no packument");
                Err(refused(&name.to_string(), &error))
            }
        }
    }

    async fn fetch_packument(&self, name: &PackageName, cached: Option<&Entry>) -> Result<Answer, UpstreamError> {
        let upstream = self.upstream().await.map_err(|error| UpstreamError::Unreachable(error.error))?;
        let registry = upstream.registries.of(name).ok_or(UpstreamError::Missing)?;
        let url = registry.join(&name.segment()).map_err(|_| UpstreamError::Missing)?;
        let etag = cached.and_then(|entry| entry.notes["etag"].as_str());
        let max_bytes = self.shared.limits.packument_bytes;
        self.fetch(Request { url, registry, accept: PACKUMENT, etag, max_bytes }).await
    }

    /// Takes only what can be read, so that an error page never lands in the cache.
    async fn checked(&self, name: &PackageName, body: Bytes) -> Result<Bytes, ApiError> {
        let parsed = self.on_disk(move |_| serde_json::from_slice::<Dists>(&body).map(|_| body));
        parsed.await?.map_err(|error| garbled(name, &error.to_string()))
    }

    async fn keep_packument(&self, key: String, etag: Option<&str>, body: Bytes) -> Result<Entry, ApiError> {
        let notes = json!({ "etag": etag, "fetched": now().as_secs() });
        self.on_disk(move |cache| cache.put(KIND, &key, notes, &body)).await
    }

    fn is_fresh(&self, entry: &Entry) -> bool {
        let fetched = Duration::from_secs(entry.notes["fetched"].as_u64().unwrap_or(0));
        now().checked_sub(fetched).is_some_and(|age| age < self.shared.limits.fresh)
    }
}

fn find_dist(packument: &[u8], version: &str) -> Option<Dist> {
    let mut dists: Dists = serde_json::from_slice(packument).ok()?;
    dists.versions.remove(version).map(|version| version.dist)
}

fn garbled(name: &PackageName, error: &str) -> ApiError {
    let text = format!("{name}: the registry's answer is no packument ({error}).");
    ApiError::new(StatusCode::BAD_GATEWAY, text, "Check that the server's npm configuration names a registry.")
}

fn no_registry() -> ApiError {
    ApiError::new(
        StatusCode::BAD_GATEWAY,
        "The server knows no registry.",
        "Install npm on it, set npm_config_registry, or write registry=URL into an .npmrc.",
    )
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
