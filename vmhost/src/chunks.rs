//! Chunks of packages: built by the bundler at native speed, kept in brotli under their content address.
//!
//! In:  a lock and the specifiers that a project imports.
//! Out: the chunk, the same bytes that a worker would have built.
//!
//! A chunk of packages that could not all be had says so to whoever asked, and
//! is not kept: the registry may be back the next minute.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{Semaphore, TryAcquireError};
use tracing::{debug, info};

use crate::error::ApiError;
use crate::npm::Npm;
use crate::npm::cache::Cache;
use crate::npm::flight::Flights;
use crate::site::files::compress;
use build::Built;

mod build;

/// The folder of the cache with chunks.
const KIND: &str = "chunk";
/// Quick, as somebody waits for it.
const QUICK: u32 = 5;
/// As small as it gets, for everybody after that.
const SMALL: u32 = 11;
/// Builds that may wait for their turn: each holds a lock in memory.
const WAITING: usize = 64;
/// Entries of one chunk, far above what a project imports.
const ENTRIES: usize = 2_000;
/// npm bounds a name to 214 bytes; the rest is a path inside the package.
const ENTRY_BYTES: usize = 1_024;

/// The content address of a chunk: 32 hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl FromStr for Key {
    type Err = ApiError;

    /// Reads a file name, `KEY.js`.
    fn from_str(file: &str) -> Result<Self, ApiError> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match file.strip_suffix(".js") {
            Some(key) if key.len() == 32 && key.bytes().all(hex) => Ok(Self(key.to_owned())),
            _ => Err(ApiError::bad_request("This is no chunk's address.", "Write it as KEY.js, KEY in 32 hex digits.")),
        }
    }
}

/// A chunk as it is kept.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Its text in brotli.
    pub packed: Bytes,
    /// Names its content.
    pub tag: String,
    /// Whether every package in it could be had.
    pub complete: bool,
}

/// Finds and builds chunks. Cheap to clone.
#[derive(Clone)]
pub struct Chunks {
    shared: Arc<Shared>,
}

struct Shared {
    npm: Npm,
    cache: Arc<Cache>,
    running: Flights<Result<Chunk, ApiError>>,
    waiting: Semaphore,
    building: Semaphore,
    shrinking: Semaphore,
}

impl Chunks {
    /// Builds at most `builds` at once.
    pub fn new(npm: Npm, cache: Arc<Cache>, builds: usize) -> Self {
        let shared = Shared {
            npm,
            cache,
            running: Flights::default(),
            waiting: Semaphore::new(builds + WAITING),
            building: Semaphore::new(builds),
            shrinking: Semaphore::new(1),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A chunk that was built before.
    ///
    /// # Errors
    /// When the cache can't be looked into.
    pub async fn find(&self, key: &Key) -> Result<Option<Chunk>, ApiError> {
        let (cache, place) = (Arc::clone(&self.shared.cache), key.0.clone());
        let found = tokio::task::spawn_blocking(move || cache.get(KIND, &place)).await;
        let chunk = |packed| Chunk { packed, tag: key.0.clone(), complete: true };
        found
            .map(|entry| entry.map(|entry| chunk(entry.body)))
            .map_err(|_| ApiError::internal("reading the cache was broken off"))
    }

    /// The chunk of these entries, built if nobody has done so. Callers who want the same share one build.
    ///
    /// # Errors
    /// 400 if lock and entries don't belong to the key or can't be read; 503 if too many builds wait.
    pub async fn build(&self, key: &Key, lock: String, entries: Vec<String>) -> Result<Chunk, ApiError> {
        check_entries(&entries)?;
        let (lock, entries) = matching(key, lock, entries).await?;
        if let Some(chunk) = self.find(key).await? {
            return Ok(chunk);
        }
        let (chunks, wanted) = (self.clone(), key.clone());
        let flight = self.shared.running.join(&key.0, || async move { chunks.build_now(wanted, lock, entries).await });
        flight.await.unwrap_or_else(|| Err(ApiError::internal("the build broke off")))
    }

    /// The text of the chunk of these entries, built now and kept nowhere.
    ///
    /// # Errors
    /// Also if a package can't be had.
    pub async fn text(&self, lock: String, entries: Vec<String>) -> Result<Arc<str>, ApiError> {
        let Built { text, complete } = build::run(self.shared.npm.clone(), lock, entries).await?;
        match complete {
            true => Ok(text),
            false => Err(ApiError::new(
                StatusCode::BAD_GATEWAY,
                "A package can't be had.",
                "Try again with a registry in reach.",
            )),
        }
    }

    async fn build_now(&self, key: Key, lock: String, entries: Vec<String>) -> Result<Chunk, ApiError> {
        let _waiting = self.shared.waiting.try_acquire().map_err(busy)?;
        let _building = self.shared.building.acquire().await;
        let start = Instant::now();
        let Built { text, complete } = build::run(self.shared.npm.clone(), lock, entries).await?;
        info!(key = key.0, bytes = text.len(), ms = start.elapsed().as_millis(), complete, "built a chunk");
        let packed = self.pack(&key, Arc::clone(&text), complete, QUICK).await?;
        if complete {
            let (chunks, key) = (self.clone(), key.clone());
            tokio::spawn(async move { chunks.shrink(&key, text).await });
        }
        Ok(Chunk { packed, tag: key.0, complete })
    }

    /// Packs the text once more, better: one at a time, and beside the builds, as that takes longer than they do.
    async fn shrink(&self, key: &Key, text: Arc<str>) {
        let _shrinking = self.shared.shrinking.acquire().await;
        let packed = self.pack(key, text, true, SMALL).await;
        debug!(key = key.0, bytes = packed.map_or(0, |packed| packed.len()), "packed a chunk");
    }

    async fn pack(&self, key: &Key, text: Arc<str>, keep: bool, quality: u32) -> Result<Bytes, ApiError> {
        let (cache, place) = (Arc::clone(&self.shared.cache), key.0.clone());
        let packing = tokio::task::spawn_blocking(move || {
            let packed = Bytes::from(compress(text.as_bytes(), quality));
            if keep {
                cache.put(KIND, &place, Value::Null, &packed);
            }
            packed
        });
        packing.await.map_err(|_| ApiError::internal("packing a chunk broke off"))
    }
}

/// Hands lock and entries back if the key is theirs: who could name any key
/// could put one project's packages where another's are looked for.
async fn matching(key: &Key, lock: String, entries: Vec<String>) -> Result<(String, Vec<String>), ApiError> {
    let hashing = tokio::task::spawn_blocking(move || (bundler::prebuild_key(&lock, &entries), lock, entries)).await;
    let (found, lock, entries) = hashing.map_err(|_| ApiError::internal("reading a lock broke off"))?;
    let found = found.map_err(|error| build::bad_lock(&error))?;
    if found == key.0 {
        return Ok((lock, entries));
    }
    Err(ApiError::bad_request(
        format!("The lock and the entries have the key {found}, not {}.", key.0),
        "Ask at their own address; a page of another version must be loaded again.",
    ))
}

fn check_entries(entries: &[String]) -> Result<(), ApiError> {
    let sized = !entries.is_empty() && entries.len() <= ENTRIES;
    if sized && entries.iter().all(|entry| !entry.is_empty() && entry.len() <= ENTRY_BYTES) {
        return Ok(());
    }
    let error = format!("`entries` must be 1 to {ENTRIES} specifiers of at most {ENTRY_BYTES} bytes.");
    Err(ApiError::bad_request(error, "Import fewer packages."))
}

// The signature of `map_err`.
#[allow(clippy::needless_pass_by_value)]
fn busy(_: TryAcquireError) -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "The server has more builds to do than it can keep in mind.",
        "Try again in a minute; the operator can raise --builds.",
    )
}
