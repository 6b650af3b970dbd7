//! Every address of the server, and what is true of all of them.
//!
//! A request goes by its Host header: the app's pages are files and nothing
//! else; a preview has its files and the package API.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::error;

use crate::access;
use crate::app::App;
use crate::error::ApiError;
use crate::origins::{Origins, Site};
use crate::routes;
use crate::site::WORKER;

/// The whole server, for either listener.
pub fn router(app: App) -> Router {
    let sites = Sites { preview: preview(app.clone()), app };
    Router::new()
        .fallback(by_host)
        .with_state(sites)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(access::log))
}

/// What a preview's origin answers where no service worker does so before.
fn preview(app: App) -> Router {
    Router::new()
        .route("/__sandglass/npm/packument/{*name}", get(routes::packument))
        .route("/__sandglass/npm/tarball/{*file}", get(routes::tarball))
        .route("/__sandglass/npm/lock", post(routes::lock))
        .route("/__sandglass/npm/prebuilt/{file}", get(routes::chunk).post(routes::build_chunk))
        .method_not_allowed_fallback(routes::method_not_allowed)
        .route_layer(middleware::from_fn_with_state(app.clone(), same_origin))
        .fallback(routes::file)
        .with_state(app)
}

#[derive(Clone)]
struct Sites {
    app: App,
    preview: Router,
}

async fn by_host(State(sites): State<Sites>, mut request: Request) -> Response {
    let Some(site) = host(&request).and_then(|host| sites.app.origins.site(host)) else {
        return unknown_host();
    };
    request.extensions_mut().insert(site.clone());
    let mut response = match &site {
        Site::App => routes::file(State(sites.app.clone()), request).await,
        Site::Preview(_) if is_foreign_worker(&request) => foreign_worker().into_response(),
        Site::Preview(_) => sites.preview.oneshot(request).await.unwrap_or_else(|never| match never {}),
    };
    sites.app.sites.secure(&site, response.headers_mut());
    response
}

/// The one Host header, or the authority of an absolute address.
fn host(request: &Request) -> Option<&str> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.as_str());
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then_some(host)
}

fn unknown_host() -> Response {
    let error = ApiError::new(
        StatusCode::MISDIRECTED_REQUEST,
        "This server has no site of that name.",
        "Check the address; the operator sets names with --app-origin and --preview-origin, and a proxy in front must \
         pass the Host header on.",
    );
    let mut response = error.into_response();
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

const SERVICE_WORKER: HeaderName = HeaderName::from_static("service-worker");

/// User code may not install a worker of its own: no such script comes from a
/// project, but a chunk of packages is a script from this server.
fn is_foreign_worker(request: &Request) -> bool {
    request.headers().contains_key(SERVICE_WORKER) && request.uri().path().trim_start_matches('/') != WORKER
}

fn foreign_worker() -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "This script can't be a service worker.",
        "A preview has one already, which serves the project.",
    )
}

/// Lets only a preview's own pages and workers use the package API, and clients that are no browser.
async fn same_origin(State(app): State<App>, request: Request, next: middleware::Next) -> Response {
    let site = request.extensions().get::<Site>();
    if site.is_some_and(|site| is_same_origin(request.headers(), site, &app.origins)) {
        return next.run(request).await;
    }
    ApiError::new(
        StatusCode::FORBIDDEN,
        "Packages are handed out to previews only.",
        "Ask from a page of the preview itself.",
    )
    .into_response()
}

fn is_same_origin(headers: &HeaderMap, site: &Site, origins: &Origins) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("-"));
    let fetched = text("sec-fetch-site").is_none_or(|from| matches!(from, "same-origin" | "none"));
    // Names are compared, not ports: a proxy in front may have its own.
    let named = |origin: &str| origin.split_once("://").and_then(|(_, host)| origins.site(host));
    fetched && text("origin").is_none_or(|origin| named(origin).as_ref() == Some(site))
}

// The layer hands the payload over by value.
#[allow(clippy::needless_pass_by_value)]
fn panicked(payload: Box<dyn std::any::Any + Send>) -> Response {
    let text = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied());
    error!(panic = text.unwrap_or("no message"), "a handler panicked");
    ApiError::internal("it has a bug").into_response()
}
