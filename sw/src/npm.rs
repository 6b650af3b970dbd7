//! Packages from the preview origin: caches first, then the server, then built here.

use std::sync::Arc;

use bundler::PackageRequest;
use js_sys::{Promise, Uint8Array};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, Cache, RequestInit, Response, WorkerGlobalScope};

/// Where verified, immutable answers are kept between visits.
const CACHE: &str = "sandglass-npm";

/// A server that hasn't answered by then is as good as away.
const TIMEOUT_MS: u32 = 150_000;

const BASE: &str = "/__sandglass/npm";

#[derive(Serialize)]
struct PrebuildRequest<'a> {
    lock: &'a str,
    entries: &'a [String],
}

/// A packument's bytes; `Ok(None)`: there is no such package.
pub(crate) async fn packument(name: &str) -> Result<Option<Vec<u8>>, String> {
    let response = send(&format!("{BASE}/packument/{name}"), None).await?;
    match response.status() {
        200 => body(&response).await.map(Some),
        404 if is_json(&response) => Ok(None),
        404 => Err("this site has no package server".to_owned()),
        _ => Err(reason(&response).await),
    }
}

/// A prebuilt chunk, built by the server if nobody has it yet; `None`: build it here.
pub(crate) async fn prebuilt(key: &str, lock: &str, entries: &[String]) -> Option<Arc<str>> {
    let url = format!("{BASE}/prebuilt/{key}.js");
    if let Some(text) = cached(&url).await {
        return Some(text.into());
    }
    let mut response = send(&url, None).await.ok()?;
    if response.status() == 404 {
        let request = serde_json::to_string(&PrebuildRequest { lock, entries }).ok()?;
        response = send(&url, Some(&request)).await.ok()?;
    }
    if response.status() != 200 {
        return None;
    }
    let text = String::from_utf8(body(&response).await.ok()?).ok()?;
    // A chunk that says what went wrong is not to be kept.
    if !text.split('\n').next()?.contains("\"errors\":[{") {
        keep(&url, &text).await;
    }
    Some(text.into())
}

/// A tarball's bytes; the bundler verifies them.
pub(crate) async fn tarball(package: &PackageRequest) -> Result<Vec<u8>, String> {
    let response = send(&format!("{BASE}/tarball/{}/{}.tgz", package.name, package.version), None).await?;
    match response.status() {
        200 => body(&response).await,
        404 if !is_json(&response) => Err("this site has no package server".to_owned()),
        _ => Err(reason(&response).await),
    }
}

fn scope() -> WorkerGlobalScope {
    js_sys::global().unchecked_into()
}

async fn send(url: &str, json: Option<&str>) -> Result<Response, String> {
    let init = RequestInit::new();
    init.set_signal(Some(&AbortSignal::timeout_with_u32(TIMEOUT_MS)));
    if let Some(json) = json {
        init.set_method("POST");
        init.set_body(&JsValue::from_str(json));
        let headers = web_sys::Headers::new().map_err(|error| said(&error))?;
        headers.set("content-type", "application/json").map_err(|error| said(&error))?;
        init.set_headers(&headers);
    }
    let response = JsFuture::from(scope().fetch_with_str_and_init(url, &init)).await;
    response.map(Response::from).map_err(|error| format!("the server can't be reached ({})", said(&error)))
}

fn said(error: &JsValue) -> String {
    js_sys::Reflect::get(error, &"message".into()).ok().and_then(|text| text.as_string()).unwrap_or_default()
}

fn is_json(response: &Response) -> bool {
    let kind = response.headers().get("content-type").ok().flatten();
    kind.is_some_and(|kind| kind.contains("json"))
}

/// The server's own words for what went wrong.
async fn reason(response: &Response) -> String {
    let fallback = format!("the server answered {}", response.status());
    let Ok(bytes) = body(response).await else { return fallback };
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    value.get("error").and_then(|text| text.as_str()).map_or(fallback, str::to_owned)
}

async fn body(response: &Response) -> Result<Vec<u8>, String> {
    let buffer = response.array_buffer().map_err(|error| said(&error))?;
    let buffer = JsFuture::from(buffer).await.map_err(|error| said(&error))?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

/// The cache, where the browser lets this origin have one.
async fn cache() -> Option<Cache> {
    let caches = scope().caches().ok()?;
    // Pages that came over plain HTTP have none; the binding's type doesn't know.
    if JsValue::from(&caches).is_undefined() {
        return None;
    }
    JsFuture::from(caches.open(CACHE)).await.ok().map(Cache::from)
}

async fn cached(url: &str) -> Option<String> {
    let found = JsFuture::from(cache().await?.match_with_str(url)).await.ok()?;
    let response: Response = found.dyn_into().ok()?;
    JsFuture::from(response.text().ok()?).await.ok()?.as_string()
}

async fn keep(url: &str, text: &str) {
    let Some(cache) = cache().await else { return };
    let Ok(response) = Response::new_with_opt_str(Some(text)) else { return };
    // Full storage is no reason to fail: the next visit fetches again.
    let _ = JsFuture::from(cache.put_with_str(url, &response)).await;
}

/// Resolves when all of them have.
pub(crate) async fn all(promises: Vec<Promise>) {
    let list: js_sys::Array = promises.into_iter().collect();
    let _ = JsFuture::from(Promise::all_settled(&list)).await;
}
