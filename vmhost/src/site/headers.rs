//! The security headers of both sites.
//!
//! The app's pages are strict: only their own scripts run, only previews may be
//! framed. A preview's origin belongs to user code, so a policy there protects
//! nobody from that code; what protects the app is that it is another origin.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::origins::PreviewPattern;

/// Headers made once from the configuration.
#[derive(Debug, Clone)]
pub struct Policies {
    app_csp: HeaderValue,
    boot_csp: HeaderValue,
}

impl Policies {
    /// Builds the policies. `app_ancestors` and `preview_ancestors` are source lists of `frame-ancestors`.
    ///
    /// # Errors
    /// When a source list can't stand in a header.
    pub fn new(
        preview: &PreviewPattern,
        app_ancestors: &str,
        preview_ancestors: &str,
        trusted_types: bool,
    ) -> Result<Self, InvalidAncestors> {
        let app = app_policy(&preview.csp_source(), app_ancestors, trusted_types);
        Ok(Self {
            app_csp: policy_value(&app, app_ancestors)?,
            boot_csp: policy_value(&boot_policy(preview_ancestors), preview_ancestors)?,
        })
    }

    /// Adds what every answer of the app site carries; `page` if it is a document.
    pub fn app(&self, headers: &mut HeaderMap, page: bool) {
        common(headers);
        if page {
            headers.insert(header::CONTENT_SECURITY_POLICY, self.app_csp.clone());
            // Pop-ups stay usable, but a page that opened us gets no handle on our window.
            set(headers, "cross-origin-opener-policy", "same-origin-allow-popups");
            set(headers, "origin-agent-cluster", "?1");
        } else {
            // Pages of other sites load the element, its chunks and project files from here.
            set(headers, "cross-origin-resource-policy", "cross-origin");
            set(headers, "access-control-allow-origin", "*");
        }
    }

    /// Adds what every answer of a preview carries; `page` if it is a document.
    pub fn preview(&self, headers: &mut HeaderMap, page: bool) {
        common(headers);
        set(headers, "permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()");
        if page {
            headers.insert(header::CONTENT_SECURITY_POLICY, self.boot_csp.clone());
            // An endless loop in one sandbox then stops that one's process, not its neighbours'.
            set(headers, "origin-agent-cluster", "?1");
        } else {
            // Nothing here is for another origin: not a sandbox's packages, not our scripts.
            set(headers, "cross-origin-resource-policy", "same-origin");
        }
    }
}

/// A `frame-ancestors` list with characters that would end the directive.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a list of frame ancestors: write 'self', 'none', * or origins, separated by spaces")]
pub struct InvalidAncestors(String);

fn policy_value(policy: &str, ancestors: &str) -> Result<HeaderValue, InvalidAncestors> {
    let invalid = || InvalidAncestors(ancestors.to_owned());
    if ancestors.trim().is_empty() || ancestors.contains([';', ',']) {
        return Err(invalid());
    }
    HeaderValue::from_str(policy).map_err(|_| invalid())
}

fn app_policy(preview: &str, ancestors: &str, trusted_types: bool) -> String {
    let trusted = if trusted_types { "; require-trusted-types-for 'script'" } else { "" };
    format!(
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self'; \
         frame-src {preview}; form-action 'self'; object-src 'none'; base-uri 'none'; \
         frame-ancestors {ancestors}{trusted}"
    )
}

/// The boot page's policy lets everything through but plug-ins and unwanted embedders.
///
/// Where no service worker can be had, the user's document is written into an
/// `about:blank` frame, and such a frame inherits the policy of the boot page:
/// whatever we forbade here, user code couldn't do there, and only there. As the
/// origin holds nothing but that code, a stricter policy would guard nothing.
fn boot_policy(ancestors: &str) -> String {
    format!(
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' data: blob: http: https: ws: wss:; \
         object-src 'none'; frame-ancestors {ancestors}"
    )
}

fn common(headers: &mut HeaderMap) {
    set(headers, "x-content-type-options", "nosniff");
    set(headers, "referrer-policy", "strict-origin-when-cross-origin");
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &'static str) {
    headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
}
