//! One log line a request, and an id by which its answer names it.
//!
//! What is asked often and is never a problem (a file that is there) is logged
//! at `debug`; the rest at `info`; faults of ours or of a registry at `warn`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument as _, debug, info, info_span, warn};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Characters of a path in the log: a path may be as long as a client likes.
const SHOWN: usize = 200;

/// Runs a request inside a span with its id.
pub async fn log(request: Request, next: Next) -> Response {
    let id = next_id();
    let path: String = request.uri().path().chars().take(SHOWN).collect();
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("").to_owned();
    let span = info_span!("request", id, method = %request.method(), host, path);
    let quiet = !path.starts_with("/__sandglass/npm/");
    async move {
        let start = Instant::now();
        let mut response = next.run(request).await;
        let status = response.status();
        let ms = start.elapsed().as_millis();
        if status.is_server_error() {
            warn!(status = status.as_u16(), ms, "failed");
        } else if quiet && (status.is_success() || status.is_redirection()) {
            debug!(status = status.as_u16(), ms, "answered");
        } else {
            info!(status = status.as_u16(), ms, "answered");
        }
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response
    }
    .instrument(span)
    .await
}

/// Unique over this and earlier runs: the second of the start, then a count.
fn next_id() -> String {
    static START: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let start = START.get_or_init(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()));
    format!("{start:x}-{:x}", COUNT.fetch_add(1, Ordering::Relaxed))
}
