//! The handlers: read the request, ask a part of the server, respond.

use std::collections::BTreeMap;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use crate::app::App;
use crate::body;
use crate::chunks::{Chunk, Key};
use crate::error::ApiError;
use crate::npm::name::{PackageName, PackageVersion};
use crate::origins::Site;
use crate::site::files::Encoded;
use crate::site::send::{self, IMMUTABLE, Packed};

/// `package.json`'s dependencies: far above any real one.
const LOCK_BODY_BYTES: usize = 256 << 10;
/// A lock of 5,000 packages has some 2 MB.
const BUILD_BODY_BYTES: usize = 4 << 20;
/// Dependencies of one project.
const DEPENDENCIES: usize = 1_000;
/// A name is asked for at most once a minute by one browser.
const PACKUMENT_CACHE: &str = "max-age=60";

const JSON: &str = "application/json";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Any other address: a file of the site.
pub async fn file(State(app): State<App>, request: Request) -> Response {
    let site = request.extensions().get::<Site>().unwrap_or(&Site::App);
    app.sites.respond(site, request.method(), request.uri().path(), request.headers()).await
}

/// `GET /__sandglass/npm/packument/NAME`
pub async fn packument(
    State(app): State<App>,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let name: PackageName = name.parse()?;
    let (bytes, tag) = app.npm.trimmed(&name).await?;
    let packed = Packed { bytes, tag, content_type: JSON, cache_control: PACKUMENT_CACHE };
    send::packed(packed, &method, &headers).await
}

/// `GET /__sandglass/npm/tarball/NAME/VERSION.tgz`
pub async fn tarball(
    State(app): State<App>,
    Path(file): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (name, version) = tarball_name(&file)?;
    let (bytes, integrity) = app.npm.tarball(&name, &version).await?;
    // An integrity may be a list of hashes with options behind them.
    let tag: String = integrity.chars().filter(|c| c.is_ascii_alphanumeric() || "+/=-".contains(*c)).collect();
    let body = Encoded { bytes, etag: format!("\"{tag}\"") };
    Ok(send::plain(&body, "application/gzip", IMMUTABLE, &method, &headers))
}

fn tarball_name(file: &str) -> Result<(PackageName, PackageVersion), ApiError> {
    let parts = file.strip_suffix(".tgz").and_then(|file| file.rsplit_once('/'));
    let (name, version) =
        parts.ok_or_else(|| ApiError::bad_request("This is no tarball's address.", "Write it as NAME/VERSION.tgz."))?;
    Ok((name.parse()?, version.parse()?))
}

/// The body of a request for a lock.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LockRequest {
    dependencies: BTreeMap<String, String>,
}

/// `POST /__sandglass/npm/lock`
pub async fn lock(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let LockRequest { dependencies } = body::json(request, LOCK_BODY_BYTES).await?;
    if dependencies.len() > DEPENDENCIES {
        let error = format!("There are more than {DEPENDENCIES} dependencies.");
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error, "Depend on fewer packages."));
    }
    let lock = app.npm.lock(dependencies).await?;
    Ok(([(header::CONTENT_TYPE, JSON), (header::CACHE_CONTROL, "no-store")], lock.to_text()).into_response())
}

/// `GET /__sandglass/npm/prebuilt/KEY.js`: what a build put into the site folder, or the server has built.
pub async fn chunk(State(app): State<App>, Path(file): Path<String>, request: Request) -> Result<Response, ApiError> {
    let key: Key = file.parse()?;
    let (method, headers) = (request.method().clone(), request.headers().clone());
    if let Some(asset) = app.sites.preview_file(request.uri().path()).await? {
        return Ok(send::asset(&asset, IMMUTABLE, &method, &headers));
    }
    let chunk = app.chunks.find(&key).await?.ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "Nobody has built this chunk yet.",
            "POST {\"lock\", \"entries\"} to the same address to have it built.",
        )
    })?;
    respond_chunk(chunk, &method, &headers).await
}

/// The body of a request for a build.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BuildRequest {
    lock: String,
    entries: Vec<String>,
}

/// `POST /__sandglass/npm/prebuilt/KEY.js`: builds it if need be.
pub async fn build_chunk(
    State(app): State<App>,
    Path(file): Path<String>,
    mut headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    let key: Key = file.parse()?;
    let BuildRequest { lock, entries } = body::json(request, BUILD_BODY_BYTES).await?;
    let chunk = app.chunks.build(&key, lock, entries).await?;
    // The answer to a POST has no validators: nobody may answer it with 304.
    headers.remove(header::IF_NONE_MATCH);
    respond_chunk(chunk, &Method::POST, &headers).await
}

async fn respond_chunk(chunk: Chunk, method: &Method, headers: &HeaderMap) -> Result<Response, ApiError> {
    let cache_control = if chunk.complete { IMMUTABLE } else { "no-store" };
    let packed = Packed { bytes: chunk.packed, tag: chunk.tag, content_type: SCRIPT, cache_control };
    send::packed(packed, method, headers).await
}

/// A known address with another method; axum adds `Allow`.
pub async fn method_not_allowed() -> Response {
    ApiError::method_not_allowed("what the Allow header lists").into_response()
}
