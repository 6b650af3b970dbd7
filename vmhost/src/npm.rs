//! Packages from the registry that npm is configured for: fetched once, verified, kept on disk.
//!
//! In:  names, exact versions, dependency ranges.
//! Out: packuments, verified tarballs, locks.
//!
//! Nothing is stored or handed out before its integrity is checked. When the
//! registry is away, what the cache holds still works.

pub mod cache;
pub mod flight;
pub mod lock;
pub mod name;
pub mod npmrc;
pub mod packument;
pub mod registry;
pub mod tarball;
pub mod upstream;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use bytes::Bytes;
use tokio::sync::{OnceCell, Semaphore};
use tracing::warn;

use crate::error::ApiError;
use cache::{Cache, Entry};
use flight::Flights;
use npmrc::{Environment, NpmConfig};
use upstream::{Upstream, UpstreamError};

/// Fetches at once: each may hold a tarball in memory.
const FETCHES: usize = 16;
/// After an outage, how long the registry is left alone where the cache has something.
const OUTAGE: Duration = Duration::from_secs(30);

/// Bounds on what a registry may send, and on how long it may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest packument.
    pub packument_bytes: u64,
    /// Largest tarball.
    pub tarball_bytes: u64,
    /// Longest wait for a connection.
    pub connect: Duration,
    /// Longest silence.
    pub stalled: Duration,
    /// Longest time for one file.
    pub request: Duration,
    /// How long a packument is used without asking.
    pub fresh: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            packument_bytes: 32 << 20,
            tarball_bytes: 128 << 20,
            connect: Duration::from_secs(10),
            stalled: Duration::from_secs(20),
            request: Duration::from_secs(120),
            fresh: Duration::from_secs(300),
        }
    }
}

/// Where npm's configuration is looked for.
#[derive(Debug, Clone)]
pub struct Source {
    /// The environment.
    pub environment: Environment,
    /// The folder from which a project's `.npmrc` is looked for upwards.
    pub folder: PathBuf,
    /// A project's `.npmrc` named by hand.
    pub npmrc: Option<PathBuf>,
}

impl Source {
    /// This process's environment and folder.
    pub fn of_process(npmrc: Option<PathBuf>) -> Self {
        let text = |value: std::ffi::OsString| value.into_string().ok();
        let environment = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect();
        Self { environment, folder: std::env::current_dir().unwrap_or_default(), npmrc }
    }
}

/// The npm side of the server. Cheap to clone.
#[derive(Clone)]
pub struct Npm {
    shared: Arc<Shared>,
}

struct Shared {
    source: Source,
    limits: Limits,
    upstream: OnceCell<Result<Upstream, ApiError>>,
    cache: Arc<Cache>,
    packuments: Flights<Result<Entry, ApiError>>,
    tarballs: Flights<Result<Bytes, ApiError>>,
    fetches: Semaphore,
    away_until: Mutex<Option<Instant>>,
}

impl Npm {
    /// Reads no configuration before it is needed; [`Npm::warm_up`] does so early.
    pub fn new(source: Source, limits: Limits, cache: Arc<Cache>) -> Self {
        let shared = Shared {
            source,
            limits,
            upstream: OnceCell::new(),
            cache,
            packuments: Flights::default(),
            tarballs: Flights::default(),
            fetches: Semaphore::new(FETCHES),
            away_until: Mutex::new(None),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Reads npm's configuration, so that the first request needn't wait for it.
    pub async fn warm_up(&self) {
        if let Err(error) = self.upstream().await {
            warn!(%error, "packages can only come from the cache");
        }
    }

    async fn upstream(&self) -> Result<&Upstream, ApiError> {
        let made = self.shared.upstream.get_or_init(|| async {
            let Source { environment, folder, npmrc } = &self.shared.source;
            let config = NpmConfig::load(environment, folder, npmrc.as_deref()).await;
            Upstream::new(&config, self.shared.limits.clone()).map_err(|error| {
                let remedy = "Correct npm's configuration on the server and start it again.";
                ApiError::new(StatusCode::BAD_GATEWAY, format!("npm's configuration can't be used: {error}."), remedy)
            })
        });
        made.await.as_ref().map_err(Clone::clone)
    }

    /// Runs cache work where blocking is fine.
    async fn on_disk<T: Send + 'static>(&self, work: impl FnOnce(&Cache) -> T + Send + 'static) -> Result<T, ApiError> {
        let cache = Arc::clone(&self.shared.cache);
        let done = tokio::task::spawn_blocking(move || work(&cache)).await;
        done.map_err(|_| ApiError::internal("work on the cache was broken off"))
    }

    /// Gets from the registry, a bounded number at once, and remembers outages.
    async fn fetch(&self, request: upstream::Request<'_>) -> Result<upstream::Answer, UpstreamError> {
        let _permit = self.shared.fetches.acquire().await;
        let upstream = self.shared.upstream.get().and_then(|made| made.as_ref().ok());
        let upstream = upstream.ok_or_else(|| UpstreamError::Unreachable("no client".to_owned()))?;
        let answer = upstream.get(request).await;
        let away = matches!(&answer, Err(error) if error.is_outage());
        if let Ok(mut until) = self.shared.away_until.lock() {
            *until = away.then(|| Instant::now() + OUTAGE);
        }
        answer
    }

    fn is_away(&self) -> bool {
        self.shared.away_until.lock().is_ok_and(|until| until.is_some_and(|until| Instant::now() < until))
    }
}

/// A registry's failure as an answer: 404 for what doesn't exist, 504 for slowness, 502 for the rest.
fn refused(what: &str, error: &UpstreamError) -> ApiError {
    let (status, remedy) = match error {
        UpstreamError::Missing => {
            (StatusCode::NOT_FOUND, "Check the spelling; a private package needs its registry in .npmrc.")
        }
        UpstreamError::Timeout => (
            StatusCode::GATEWAY_TIMEOUT,
            "Try again; --read-timeout and --request-timeout on the server say how long it waits.",
        ),
        UpstreamError::Denied(_) => {
            (StatusCode::BAD_GATEWAY, "Give the server a token for this registry in its .npmrc.")
        }
        UpstreamError::TooLarge(_) => {
            (StatusCode::BAD_GATEWAY, "Use a smaller package, or raise --max-packument or --max-tarball on the server.")
        }
        UpstreamError::Redirect(_) => {
            (StatusCode::BAD_GATEWAY, "Configure the server with the registry that has the package itself.")
        }
        UpstreamError::Unreachable(_) | UpstreamError::Status(_) => (
            StatusCode::BAD_GATEWAY,
            "Try again; if it stays so, check the registry in the server's npm configuration.",
        ),
    };
    ApiError::new(status, format!("{what}: {error}."), remedy)
}
