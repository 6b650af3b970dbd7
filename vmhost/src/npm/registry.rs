//! Which registry a package comes from, and which credentials go with a URL.
//!
//! Credentials belong to a prefix (`//host/path/`) and are sent to URLs below it
//! and nowhere else: not to a redirect's target, not to another scope's registry.

use std::collections::BTreeMap;

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;

use super::name::PackageName;
use super::npmrc::NpmConfig;

/// The registries of one configuration.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    default: Option<Url>,
    scopes: BTreeMap<String, Url>,
    /// `//host/path/` → an `Authorization` header.
    credentials: BTreeMap<String, HeaderValue>,
}

impl Registries {
    /// Takes registries and credentials out of npm's configuration.
    pub fn new(config: &NpmConfig) -> Self {
        let mut registries = Self { default: config.get("registry").and_then(base), ..Self::default() };
        let all = config.all();
        for (key, value) in &all {
            if let Some(scope) = key.strip_suffix(":registry").filter(|scope| scope.starts_with('@')) {
                registries.scopes.extend(base(value).map(|url| (scope.to_owned(), url)));
            }
            let prefix = key.rsplit_once(':').map(|(prefix, _)| prefix).filter(|prefix| prefix.starts_with("//"));
            if let Some(prefix) = prefix
                && let Some(header) = credential(&all, prefix)
            {
                registries.credentials.insert(format!("{}/", prefix.trim_end_matches('/')), header);
            }
        }
        registries
    }

    /// The registry of a package.
    pub fn of(&self, name: &PackageName) -> Option<&Url> {
        name.scope().and_then(|scope| self.scopes.get(scope)).or(self.default.as_ref())
    }

    /// The header for a URL: that of the longest prefix it lies under.
    pub fn authorization(&self, url: &Url) -> Option<&HeaderValue> {
        let place = place(url);
        let below = self.credentials.iter().filter(|(prefix, _)| place.starts_with(prefix.as_str()));
        below.max_by_key(|(prefix, _)| prefix.len()).map(|(_, header)| header)
    }
}

/// `https://host:8080/path/x` → `//host:8080/path/x`
fn place(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("//{}{port}{}", url.host_str().unwrap_or_default(), url.path())
}

/// A registry's URL with a path that ends in `/`, so that joining a name appends to it.
fn base(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Some(url)
}

/// The strongest of a prefix's credentials, in npm's order.
fn credential(all: &BTreeMap<&str, &str>, prefix: &str) -> Option<HeaderValue> {
    let get = |key: &str| all.get(format!("{prefix}:{key}").as_str()).copied();
    let text = if let Some(token) = get("_authToken") {
        format!("Bearer {token}")
    } else if let Some(basic) = get("_auth") {
        format!("Basic {basic}")
    } else {
        let password = STANDARD.decode(get("_password")?).ok()?;
        let pair = format!("{}:{}", get("username")?, String::from_utf8(password).ok()?);
        format!("Basic {}", STANDARD.encode(pair))
    };
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registries(text: &str) -> Registries {
        let mut config = NpmConfig::default();
        config.push(super::super::npmrc::parse(text, &BTreeMap::new()));
        Registries::new(&config)
    }

    #[test]
    fn scopes_have_their_registry() {
        let registries = registries("registry=https://a.test/npm\n@s:registry=https://b.test/");
        let of = |name: &str| registries.of(&name.parse().unwrap()).map(ToString::to_string);
        assert_eq!(of("react").as_deref(), Some("https://a.test/npm/"));
        assert_eq!(of("@s/x").as_deref(), Some("https://b.test/"));
        assert_eq!(of("@t/x").as_deref(), Some("https://a.test/npm/"));
    }

    #[test]
    fn credentials_stay_below_their_prefix() {
        let registries = registries(
            "//a.test/npm/:_authToken=one\n//a.test/npm/deep/:_authToken=two\n//b.test:8080/:_auth=dTpw\n\
             //c.test/:username=u\n//c.test/:_password=cA==",
        );
        let header = |url: &str| {
            let header = registries.authorization(&url.parse().unwrap());
            header.map(|header| header.to_str().unwrap().to_owned())
        };
        assert_eq!(header("https://a.test/npm/react").as_deref(), Some("Bearer one"));
        assert_eq!(header("https://a.test/npm/deep/react").as_deref(), Some("Bearer two"));
        assert_eq!(header("https://b.test:8080/x").as_deref(), Some("Basic dTpw"));
        assert_eq!(header("https://c.test/x").as_deref(), Some("Basic dTpw"));
        for url in ["https://a.test/other", "https://a.test/npmx", "https://a.test.evil/npm/", "https://b.test/x"] {
            assert_eq!(header(url), None, "{url}");
        }
    }
}
