//! One build: the bundler on a thread of its own, its packages fetched side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use bundler::{PackageRequest, PrebuildStep, Prebuilder};
use futures_util::{StreamExt as _, stream};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::ApiError;
use crate::npm::Npm;
use crate::npm::name::{PackageName, PackageVersion};

/// The bundler walks syntax trees by recursion; threads of the pool have an eighth of that.
const STACK_BYTES: usize = 16 << 20;
/// Longest build: a worker that asked gives up soon after and builds alone.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Packages fetched at once.
const PARALLEL: usize = 8;
/// All tarballs of one build, so that a lock made of giants can't fill the memory.
const TARBALL_BYTES: u64 = 256 << 20;

/// What a build gave.
pub struct Built {
    /// The chunk.
    pub text: Arc<str>,
    /// Whether every package in it could be had.
    pub complete: bool,
}

/// Builds, on a thread that ends with it.
///
/// # Errors
/// 400 for a lock that can't be read, 504 for a build that takes too long.
pub async fn run(npm: Npm, lock: String, entries: Vec<String>) -> Result<Built, ApiError> {
    let runtime = Handle::current();
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("build".to_owned()).stack_size(STACK_BYTES);
    let work = move || {
        // Nobody listening any more is no matter.
        let _ = sender.send(build(&runtime, &npm, &lock, &entries));
    };
    thread.spawn(work).map_err(|_| ApiError::internal("there is no thread for a build"))?;
    // A build that panics drops its sender.
    receiver.await.unwrap_or_else(|_| Err(ApiError::internal("the build broke off")))
}

/// A lock that can't be read.
pub fn bad_lock(error: &str) -> ApiError {
    ApiError::bad_request(
        format!("The lock can't be read: {error}."),
        "Remove package-lock.json to have it solved again.",
    )
}

fn build(runtime: &Handle, npm: &Npm, lock: &str, entries: &[String]) -> Result<Built, ApiError> {
    let start = Instant::now();
    let mut builder = Prebuilder::from_text(lock, entries).map_err(|error| bad_lock(&error))?;
    let left = AtomicU64::new(TARBALL_BYTES);
    let mut complete = true;
    loop {
        let needed = match builder.step() {
            PrebuildStep::Done(text) => return Ok(Built { text: text.into(), complete }),
            PrebuildStep::Needs(packages) if packages.is_empty() => {
                return Err(ApiError::internal("a build waits for nothing"));
            }
            PrebuildStep::Needs(packages) => packages,
        };
        if start.elapsed() > TIMEOUT {
            return Err(too_slow());
        }
        for (folder, tarball) in runtime.block_on(fetch(npm, &left, needed)) {
            complete &= tarball.is_ok();
            builder.supply(&folder, tarball);
        }
    }
}

async fn fetch(npm: &Npm, left: &AtomicU64, needed: Vec<PackageRequest>) -> Vec<(String, Result<Vec<u8>, String>)> {
    let fetches = needed.into_iter().map(|package| async move {
        let tarball = tarball(npm, left, &package).await;
        (package.folder, tarball)
    });
    stream::iter(fetches).buffer_unordered(PARALLEL).collect().await
}

async fn tarball(npm: &Npm, left: &AtomicU64, package: &PackageRequest) -> Result<Vec<u8>, String> {
    let name: PackageName = package.name.parse().map_err(said)?;
    let version: PackageVersion = package.version.parse().map_err(said)?;
    let fetched = npm.locked_tarball(&name, &version, &package.integrity).await.map_err(said);
    // The bundler names the package by itself.
    let named = format!("{name}@{version}: ");
    let bytes = fetched.map_err(|text| text.trim_start_matches(&named).to_owned())?;
    let len = bytes.len() as u64;
    let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(len));
    taken.map_err(|_| format!("the packages of one build may have {TARBALL_BYTES} bytes and these have more"))?;
    Ok(bytes.into())
}

/// Only what happened: the bundler adds a remedy of its own.
// The signature of `map_err`.
#[allow(clippy::needless_pass_by_value)]
fn said(error: ApiError) -> String {
    error.error.trim_end_matches('.').to_owned()
}

fn too_slow() -> ApiError {
    ApiError::new(
        StatusCode::GATEWAY_TIMEOUT,
        format!("The build took more than {} seconds.", TIMEOUT.as_secs()),
        "Try again: what was fetched is kept.",
    )
}
