//! Static files of both sites: a folder each, negotiated, validated, with their security headers.

pub mod encoding;
pub mod files;
pub mod headers;
pub mod media;
pub mod send;

use std::path::Path;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tracing::error;

use crate::error::ApiError;
use crate::origins::{Origins, Site};
use files::{Asset, Files};
use headers::Policies;

/// What a script holds where the preview's pattern goes, quotes included.
const PREVIEW_MARKER: &str = "\"__SANDGLASS_PREVIEW__\"";
/// What a page holds where the app's origin goes.
const APP_MARKER: &str = "__SANDGLASS_APP__";

/// The name of the script that previews register as their service worker.
pub const WORKER: &str = "sandglass-sw.js";

const NO_PREVIEW: &str = "<!doctype html><meta charset=utf-8><title>Preview</title>\
    <p>Nothing runs here yet: a preview is opened by a playground on its own page.</p>\n";
const NO_PAGE: &str = "<!doctype html><meta charset=utf-8><title>Not found</title>\
    <p>There is no such page. <a href=\"/\">The front page</a> lists what there is.</p>\n";

/// Both folders of a site.
pub struct Sites {
    app: Arc<Files>,
    preview: Arc<Files>,
    policies: Policies,
}

impl Sites {
    /// `folder` holds `app/` and `preview/`.
    pub fn new(folder: &Path, origins: &Origins, policies: Policies) -> Self {
        let pattern = serde_json::Value::from(origins.preview.to_string()).to_string();
        let replacements = vec![(PREVIEW_MARKER, pattern), (APP_MARKER, origins.app.to_string())];
        Self {
            app: Arc::new(Files::new(folder.join("app"), replacements)),
            preview: Arc::new(Files::new(folder.join("preview"), Vec::new())),
            policies,
        }
    }

    /// Answers `GET` or `HEAD` of a file.
    pub async fn respond(&self, site: &Site, method: &Method, path: &str, headers: &HeaderMap) -> Response {
        if method == Method::GET || method == Method::HEAD {
            return self.file(site, method, path, headers).await;
        }
        let mut response = ApiError::method_not_allowed("GET or HEAD").into_response();
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET,HEAD"));
        response
    }

    /// Adds a site's security headers, by what kind of answer it is.
    pub fn secure(&self, site: &Site, headers: &mut HeaderMap) {
        let page = headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
        match site {
            Site::App => self.policies.app(headers, page),
            Site::Preview(_) => self.policies.preview(headers, page),
        }
    }

    /// A file of the preview folder, if it is there.
    pub async fn preview_file(&self, path: &str) -> Result<Option<Arc<Asset>>, ApiError> {
        load(&self.preview, path.to_owned()).await
    }

    async fn file(&self, site: &Site, method: &Method, path: &str, headers: &HeaderMap) -> Response {
        let (files, path) = match site {
            // A folder's page; previews have none, `/` there is the project's.
            Site::App if path.ends_with('/') => (&self.app, format!("{path}index.html")),
            Site::App => (&self.app, path.to_owned()),
            Site::Preview(_) => (&self.preview, path.to_owned()),
        };
        let hashed = path.contains("/assets/") && media::is_hashed(&path);
        match load(files, path).await {
            Ok(Some(asset)) => {
                let cache = if hashed { send::IMMUTABLE } else { "no-cache" };
                let mut response = send::asset(&asset, cache, method, headers);
                if matches!(site, Site::Preview(_)) && asset.name == WORKER {
                    // Only this script may control a whole origin, wherever a deployment puts it.
                    response.headers_mut().insert("service-worker-allowed", HeaderValue::from_static("/"));
                }
                response
            }
            Ok(None) => missing(site),
            Err(error) => error.into_response(),
        }
    }
}

/// Reads off the async threads: the first request of a file waits for the disk.
async fn load(files: &Arc<Files>, path: String) -> Result<Option<Arc<Asset>>, ApiError> {
    let files = Arc::clone(files);
    let shown = path.clone();
    let loaded = tokio::task::spawn_blocking(move || files.load(&path)).await;
    match loaded {
        Ok(Ok(asset)) => Ok(asset),
        Ok(Err(error)) => {
            error!(path = shown, %error, "can't read a file of the site");
            Err(ApiError::internal("a file of the site can't be read"))
        }
        Err(_) => Err(ApiError::internal("reading a file was broken off")),
    }
}

fn missing(site: &Site) -> Response {
    let text = match site {
        Site::App => NO_PAGE,
        Site::Preview(_) => NO_PREVIEW,
    };
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::NOT_FOUND, headers, text).into_response()
}
