//! Reads a JSON body, bounded in bytes and time.
//!
//! The content type must say JSON. A page of another origin can't send that
//! without asking first, and nobody here answers such a question.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// A client that sends more slowly only holds memory and a connection.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The body as a value of `T`.
///
/// # Errors
/// 415 for another type, 413 for too many bytes, 408 for slowness, 400 for what is no `T`.
pub async fn json<T: DeserializeOwned>(request: Request, max_bytes: usize) -> Result<T, ApiError> {
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "The body must be JSON.",
            "Send it with `content-type: application/json`.",
        ));
    }
    let bytes = tokio::time::timeout(TIMEOUT, read(body, max_bytes)).await.map_err(|_| {
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time.", "Send it again.")
    })??;
    serde_json::from_slice(&bytes)
        .map_err(|error| ApiError::bad_request(format!("The body can't be read: {error}."), "Correct the JSON."))
}

async fn read(body: Body, max_bytes: usize) -> Result<bytes::Bytes, ApiError> {
    axum::body::to_bytes(body, max_bytes).await.map_err(|error| {
        let too_long = error.into_inner().downcast_ref::<http_body_util::LengthLimitError>().is_some();
        if too_long {
            let text = format!("The body has more than {max_bytes} bytes.");
            return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, text, "Send less at once.");
        }
        ApiError::bad_request("The body broke off.", "Send it again.")
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = value.split(';').next().unwrap_or("").trim();
    kind.eq_ignore_ascii_case("application/json")
}
