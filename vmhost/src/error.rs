//! What goes wrong in a request, as a response: a status and `{"error", "remedy"}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// An error that a caller can act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error} {remedy}")]
pub struct ApiError {
    /// The status that says whose fault it is.
    pub status: StatusCode,
    /// One sentence: what happened.
    pub error: String,
    /// One sentence: what to do.
    pub remedy: String,
}

impl ApiError {
    /// An error with its status.
    pub fn new(status: StatusCode, error: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status, error: error.into(), remedy: remedy.into() }
    }

    /// The caller sent something that can't be right.
    pub fn bad_request(error: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, remedy)
    }

    /// The address is right, the method isn't.
    pub fn method_not_allowed(methods: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "This address does not take that method.", format!("Use {methods}."))
    }

    /// A fault of ours; the details are in the log.
    pub fn internal(what: &str) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("The server failed: {what}."),
            "Its log says more; look for this answer's x-request-id.",
        )
    }
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    remedy: &'a str,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Json(Body { error: &self.error, remedy: &self.remedy });
        let mut response = (self.status, body).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
