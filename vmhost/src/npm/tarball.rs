//! Tarballs: fetched by their packument's word, verified, kept under their integrity.

use axum::http::StatusCode;
use bytes::Bytes;
use reqwest::Url;
use tracing::warn;

use super::name::{PackageName, PackageVersion};
use super::packument::Dist;
use super::upstream::{Answer, Request, TARBALL, UpstreamError};
use super::{Npm, refused};
use crate::error::ApiError;

/// The folder of the cache with tarballs.
const KIND: &str = "tarball";

impl Npm {
    /// A verified tarball, and the integrity it was verified against.
    ///
    /// # Errors
    /// 404 if there is no such version; 502 if it is not what it should be or can't be had; 504 if that takes too long.
    pub async fn tarball(&self, name: &PackageName, version: &PackageVersion) -> Result<(Bytes, String), ApiError> {
        let dist = self.dist(name, version).await?;
        let integrity = dist.integrity().ok_or_else(|| {
            let error = format!("{name}@{version}: the registry names no integrity.");
            ApiError::new(StatusCode::BAD_GATEWAY, error, "Use another version: this one can't be verified.")
        })?;
        let bytes = self.verified(name, version, &integrity, Some(dist)).await?;
        Ok((bytes, integrity))
    }

    /// The tarball that a lock names. What the cache has under its integrity needs no registry.
    ///
    /// # Errors
    /// As [`Npm::tarball`].
    pub async fn locked_tarball(
        &self,
        name: &PackageName,
        version: &PackageVersion,
        integrity: &str,
    ) -> Result<Bytes, ApiError> {
        self.verified(name, version, integrity, None).await
    }

    async fn verified(
        &self,
        name: &PackageName,
        version: &PackageVersion,
        integrity: &str,
        dist: Option<Dist>,
    ) -> Result<Bytes, ApiError> {
        let key = integrity.to_owned();
        let cached = self.on_disk(move |cache| Some(cache.get(KIND, &key)?.body)).await?;
        if let Some(bytes) = cached {
            return Ok(bytes);
        }
        // Different packages may claim one integrity: they must not wait for each other's answer.
        let flight_key = format!("{name}@{version} {integrity}");
        let (npm, name, version, integrity) = (self.clone(), name.clone(), version.clone(), integrity.to_owned());
        let flight = self
            .shared
            .tarballs
            .join(&flight_key, || async move { npm.fetch_tarball(&name, &version, integrity, dist).await });
        flight.await.unwrap_or_else(|| Err(ApiError::internal("fetching a tarball broke off")))
    }

    async fn fetch_tarball(
        &self,
        name: &PackageName,
        version: &PackageVersion,
        integrity: String,
        dist: Option<Dist>,
    ) -> Result<Bytes, ApiError> {
        let dist = match dist {
            Some(dist) => dist,
            None => self.dist(name, version).await?,
        };
        let shown = format!("{name}@{version}");
        let bytes = self.download(name, &dist).await.map_err(|error| refused(&shown, &error))?;
        let kept = self.on_disk(move |cache| {
            bundler_npm::verify(&bytes, &integrity).map_err(|error| error.to_string())?;
            Ok(cache.put(KIND, &integrity, serde_json::Value::Null, &bytes).body)
        });
        kept.await?.map_err(|error: String| {
            warn!(package = shown, error, "a tarball is refused");
            let text = format!("{shown}: the tarball is damaged or forged ({error}).");
            ApiError::new(
                StatusCode::BAD_GATEWAY,
                text,
                "Try again; if it stays so, the registry or a proxy is at fault.",
            )
        })
    }

    async fn download(&self, name: &PackageName, dist: &Dist) -> Result<Bytes, UpstreamError> {
        let upstream = self.upstream().await.map_err(|error| UpstreamError::Unreachable(error.error))?;
        let registry = upstream.registries.of(name).ok_or(UpstreamError::Missing)?;
        let url = tarball_url(registry, name, &dist.tarball).ok_or(UpstreamError::Missing)?;
        let max_bytes = self.shared.limits.tarball_bytes;
        match self.fetch(Request { url, registry, accept: TARBALL, etag: None, max_bytes }).await? {
            Answer::Found(bytes, _) => Ok(bytes),
            Answer::NotModified => Err(UpstreamError::Status(304)),
        }
    }
}

/// The tarball's address on the registry itself. A mirror hands out its origin's
/// packuments unchanged; a packument must not send us anywhere else.
fn tarball_url(registry: &Url, name: &PackageName, tarball: &str) -> Option<Url> {
    let url = registry.join(tarball).ok()?;
    if url.origin() == registry.origin() {
        return Some(url);
    }
    let file = url.path_segments()?.next_back().filter(|file| !file.is_empty())?;
    registry.join(&format!("{name}/-/{file}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tarballs_come_from_the_registry() {
        let registry: Url = "https://mirror.test/npm/".parse().unwrap();
        let url = |tarball: &str| tarball_url(&registry, &"@a/b".parse().unwrap(), tarball).map(|url| url.to_string());
        let ours = Some("https://mirror.test/npm/@a/b/-/b-1.0.0.tgz".to_owned());
        assert_eq!(url("https://mirror.test/npm/@a/b/-/b-1.0.0.tgz"), ours);
        assert_eq!(url("https://origin.test/@a/b/-/b-1.0.0.tgz"), ours);
        assert_eq!(url("http://169.254.169.254/latest/b-1.0.0.tgz"), ours);
        assert_eq!(url("file:///etc/"), None);
    }
}
