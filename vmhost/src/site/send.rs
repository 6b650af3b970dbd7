//! One representation of some bytes as a response: brotli or plain, 304 where the client has it already.

use std::io::{self, Read as _};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;

use super::encoding::accepts_brotli;
use super::files::{Asset, Encoded};
use super::media;
use crate::error::ApiError;

/// For content whose address changes with it.
pub const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// Answers with a file.
pub fn asset(asset: &Asset, cache_control: &'static str, method: &Method, request: &HeaderMap) -> Response {
    let packed = asset.brotli.as_ref().filter(|_| accepts_brotli(request));
    let chosen = packed.unwrap_or(&asset.plain);
    let mut response = encoded(chosen, method, request);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media::content_type(&asset.name)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
    if asset.brotli.is_some() {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if packed.is_some() && response.status() == StatusCode::OK {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    response
}

/// Bytes that are kept in brotli only, as most browsers want them.
#[derive(Debug, Clone)]
pub struct Packed {
    /// The brotli form.
    pub bytes: Bytes,
    /// Names what was packed; a validator of each form is made of it.
    pub tag: String,
    /// Their type.
    pub content_type: &'static str,
    /// How long they may be kept.
    pub cache_control: &'static str,
}

/// Answers with packed bytes, unpacked for a client that takes no brotli.
///
/// # Errors
/// When what was packed can't be unpacked.
pub async fn packed(packed: Packed, method: &Method, request: &HeaderMap) -> Result<Response, ApiError> {
    let brotli = accepts_brotli(request);
    let Packed { mut bytes, tag, content_type, cache_control } = packed;
    if !brotli && method != Method::HEAD {
        let unpacked = tokio::task::spawn_blocking(move || unpack(&bytes)).await;
        bytes = unpacked.ok().and_then(Result::ok).ok_or_else(|| ApiError::internal("kept bytes are damaged"))?;
    }
    let form = if brotli { "br" } else { "id" };
    let mut response = encoded(&Encoded { bytes, etag: format!("\"{tag}-{form}\"") }, method, request);
    let plain_head = !brotli && method == Method::HEAD;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if plain_head {
        // The length is that of the other form, and unpacking only to count is not worth it.
        headers.remove(header::CONTENT_LENGTH);
    }
    if brotli && response.status() == StatusCode::OK {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    Ok(response)
}

fn unpack(bytes: &[u8]) -> io::Result<Bytes> {
    let mut unpacked = Vec::with_capacity(bytes.len() * 4);
    brotli::Decompressor::new(bytes, 64 << 10).read_to_end(&mut unpacked)?;
    Ok(unpacked.into())
}

/// Answers with bytes that are not worth packing.
pub fn plain(
    encoded_bytes: &Encoded,
    content_type: &'static str,
    cache_control: &'static str,
    method: &Method,
    request: &HeaderMap,
) -> Response {
    let mut response = encoded(encoded_bytes, method, request);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
    response
}

/// The bytes, or 304 if the request names their ETag. `HEAD` gets the length only.
fn encoded(chosen: &Encoded, method: &Method, request: &HeaderMap) -> Response {
    let etag = HeaderValue::from_str(&chosen.etag).expect("an ETag is plain ASCII in quotes");
    let mut response = Response::new(Body::empty());
    if matches(request, &chosen.etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(chosen.bytes.len()));
        if method != Method::HEAD {
            *response.body_mut() = Body::from(chosen.bytes.clone());
        }
    }
    response.headers_mut().insert(header::ETAG, etag);
    response
}

fn matches(request: &HeaderMap, etag: &str) -> bool {
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|candidate| matches!(candidate.trim().trim_start_matches("W/"), found if found == etag || found == "*"))
}
