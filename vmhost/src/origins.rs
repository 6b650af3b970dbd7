//! Which site a request is for: the app, one sandbox's preview, or none of ours.
//!
//! In:  `abc.sandglass.localhost:5171` from a Host header.
//! Out: [`Site::Preview`] with the sandbox id `abc`.
//!
//! Only host names are compared, never ports: a reverse proxy may forward any.
//! Names we don't know are refused, so a page that points its own name at our
//! address (DNS rebinding) gets nothing.

use std::fmt;
use std::str::FromStr;

/// The name of one sandbox: `[a-z0-9-]{1,63}`, a label of a host name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SandboxId(String);

impl FromStr for SandboxId {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let valid = (1..=63).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if valid { Ok(Self(text.to_owned())) } else { Err(OriginError::SandboxId(text.to_owned())) }
    }
}

impl fmt::Display for SandboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an origin, a pattern or an id is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OriginError {
    /// Not an `http:` or `https:` origin.
    #[error("`{0}` is not an origin: write scheme://host or scheme://host:port, without a path")]
    Origin(String),
    /// The preview pattern has no place for the sandbox id.
    #[error(
        "`{0}` is not a preview pattern: its host must begin with `{{id}}.`, as in https://{{id}}.preview.example.net"
    )]
    Pattern(String),
    /// A sandbox id with other characters, empty or too long.
    #[error("`{0}` is not a sandbox id: use 1 to 63 of a-z, 0-9 and -")]
    SandboxId(String),
    /// The app would be one of the previews.
    #[error("the app origin {0} lies inside the preview pattern {1}: user code would share the app's origin")]
    Overlap(String, String),
}

/// A scheme, a host and perhaps a port: `http://sandglass.localhost:5170`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    text: String,
    host: String,
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let wrong = || OriginError::Origin(text.to_owned());
        let authority = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).ok_or_else(wrong)?;
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]{}".contains(&byte);
        if authority.is_empty() || !authority.bytes().all(valid) {
            return Err(wrong());
        }
        Ok(Self { text: text.to_owned(), host: hostname(authority).to_ascii_lowercase() })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where previews live: an origin whose first host label is `{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewPattern {
    text: String,
    /// `.sandglass.localhost`
    suffix: String,
}

impl FromStr for PreviewPattern {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let wrong = || OriginError::Pattern(text.to_owned());
        let origin = Origin::from_str(text).map_err(|_| wrong())?;
        let suffix = origin.host.strip_prefix("{id}").ok_or_else(wrong)?;
        if suffix.len() < 2 || !suffix.starts_with('.') || suffix.contains(['{', '}']) {
            return Err(wrong());
        }
        Ok(Self { text: text.to_owned(), suffix: suffix.to_owned() })
    }
}

impl fmt::Display for PreviewPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PreviewPattern {
    /// The pattern as a source of a content security policy: `http://*.sandglass.localhost:5171`.
    pub fn csp_source(&self) -> String {
        self.text.replacen("{id}", "*", 1)
    }

    /// The origin of one sandbox's preview.
    pub fn of(&self, id: &SandboxId) -> String {
        self.text.replacen("{id}", &id.0, 1)
    }

    fn id(&self, host: &str) -> Option<SandboxId> {
        host.strip_suffix(self.suffix.as_str())?.parse().ok()
    }
}

/// What a host name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Site {
    /// The editor's pages and assets.
    App,
    /// User code of one sandbox.
    Preview(SandboxId),
}

/// Both origins of one server.
#[derive(Debug, Clone)]
pub struct Origins {
    /// Pages, the element's script, templates.
    pub app: Origin,
    /// One origin a sandbox.
    pub preview: PreviewPattern,
}

impl Origins {
    /// Pairs the two.
    ///
    /// # Errors
    /// [`OriginError::Overlap`] if user code would run on the app's origin.
    pub fn new(app: Origin, preview: PreviewPattern) -> Result<Self, OriginError> {
        if preview.id(&app.host).is_some() {
            return Err(OriginError::Overlap(app.text, preview.text));
        }
        Ok(Self { app, preview })
    }

    /// The site that a Host header names, if it is one of ours.
    pub fn site(&self, host: &str) -> Option<Site> {
        let host = hostname(host).to_ascii_lowercase();
        if host == self.app.host || ["localhost", "127.0.0.1", "[::1]"].contains(&host.as_str()) {
            return Some(Site::App);
        }
        self.preview.id(&host).map(Site::Preview)
    }
}

/// `host:port` without the port; an IPv6 address keeps its brackets.
fn hostname(authority: &str) -> &str {
    let after_address = authority.rfind(']').map_or(0, |at| at + 1);
    let end = authority[after_address..].find(':').map_or(authority.len(), |at| after_address + at);
    &authority[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins() -> Origins {
        Origins::new(
            "http://sandglass.localhost:5170".parse().unwrap(),
            "http://{id}.sandglass.localhost:5171".parse().unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn hosts_name_sites() {
        let origins = origins();
        for host in ["sandglass.localhost:5170", "SANDGLASS.localhost", "localhost:1", "127.0.0.1:5171", "[::1]:5170"] {
            assert_eq!(origins.site(host), Some(Site::App), "{host}");
        }
        let id = |text: &str| Some(Site::Preview(text.parse().unwrap()));
        assert_eq!(origins.site("a-1.sandglass.localhost:5171"), id("a-1"));
        assert_eq!(origins.site("A.sandglass.localhost"), id("a"));
        for host in ["evil.example", "a.b.sandglass.localhost", ".sandglass.localhost", "a_b.sandglass.localhost", ""] {
            assert_eq!(origins.site(host), None, "{host}");
        }
        assert_eq!(origins.site(&format!("{}.sandglass.localhost", "a".repeat(64))), None);
    }

    #[test]
    fn an_app_inside_the_previews_is_refused() {
        let both = Origins::new("http://app.x.test".parse().unwrap(), "http://{id}.x.test".parse().unwrap());
        assert!(matches!(both, Err(OriginError::Overlap(..))));
    }

    #[test]
    fn malformed_origins_and_patterns_are_refused() {
        for text in
            ["", "sandglass.test", "ftp://a", "http://", "http://a/b", "http://a b", "http://a;x", "http://a\"b"]
        {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
        for text in
            ["http://a.test", "http://{id}", "http://x-{id}.test", "http://{id}.a.{id}", "{id}.test", "http://{id}."]
        {
            assert!(text.parse::<PreviewPattern>().is_err(), "{text}");
        }
    }
}
