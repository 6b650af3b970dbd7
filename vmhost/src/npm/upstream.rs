//! HTTP to registries: bounded in time and bytes, careful about where it is sent.
//!
//! The registry itself may live anywhere, as its operator configured it. A
//! redirect away from it may only lead to a public address over https: a package
//! must not make this server read what only this server can reach.

use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, ETAG, IF_NONE_MATCH, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url};

use super::Limits;
use super::npmrc::NpmConfig;
use super::registry::Registries;

/// Redirects followed for one file: registries need one.
const REDIRECTS: usize = 5;

/// A client for the registries of one configuration.
pub struct Upstream {
    /// Where packages come from.
    pub registries: Registries,
    /// Goes to the registries.
    trusted: Client,
    /// Goes where a redirect leads; resolves to public addresses only.
    public: Client,
    limits: Limits,
}

/// What to get.
pub struct Request<'a> {
    /// The address.
    pub url: Url,
    /// The registry it belongs to.
    pub registry: &'a Url,
    /// The `Accept` header.
    pub accept: &'static str,
    /// The validator of what we have.
    pub etag: Option<&'a str>,
    /// The most that is read.
    pub max_bytes: u64,
}

/// What came.
pub enum Answer {
    /// The bytes and their validator.
    Found(Bytes, Option<String>),
    /// What we have is current.
    NotModified,
}

/// Why nothing came. None of these holds an address: they reach user code.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UpstreamError {
    /// Too slow to connect, to send, or in all.
    #[error("the registry does not answer in time")]
    Timeout,
    /// No connection, or one that broke off.
    #[error("the registry can't be reached: {0}")]
    Unreachable(String),
    /// It says that there is no such thing.
    #[error("the registry does not have it")]
    Missing,
    /// It wants credentials that we don't have.
    #[error("the registry refuses access (status {0})")]
    Denied(u16),
    /// Any other status.
    #[error("the registry answers with status {0}")]
    Status(u16),
    /// More bytes than we take.
    #[error("the registry sends more than {0} bytes")]
    TooLarge(u64),
    /// A redirect that is not followed.
    #[error("the registry redirects {0}")]
    Redirect(&'static str),
}

impl UpstreamError {
    /// Whether the same request may work later.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Timeout | Self::Unreachable(_) => true,
            Self::Status(status) => *status >= 500 || *status == 429,
            _ => false,
        }
    }
}

impl From<reqwest::Error> for UpstreamError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        // The innermost cause says most ("connection refused"), and names no address.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let named = cause.to_string();
        Self::Unreachable(if error.url().is_some_and(|url| named.contains(url.as_str())) {
            "the connection failed".to_owned()
        } else {
            named
        })
    }
}

impl Upstream {
    /// Builds the clients that npm's configuration asks for.
    ///
    /// # Errors
    /// Says what in the configuration can't be used.
    pub fn new(config: &NpmConfig, limits: Limits) -> Result<Self, String> {
        let proxies = proxies(config)?;
        let mut public = base_client(config, &limits)?;
        if proxies.is_empty() {
            public = public.dns_resolver(PublicOnly);
        }
        let mut trusted = base_client(config, &limits)?;
        for proxy in proxies {
            trusted = trusted.proxy(proxy.clone());
            public = public.proxy(proxy);
        }
        let built = |client: ClientBuilder| client.build().map_err(|error| format!("the HTTP client: {error}"));
        Ok(Self { registries: Registries::new(config), trusted: built(trusted)?, public: built(public)?, limits })
    }

    /// Gets one file.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn get(&self, request: Request<'_>) -> Result<Answer, UpstreamError> {
        let answer = self.follow(&request);
        tokio::time::timeout(self.limits.request, answer).await.unwrap_or(Err(UpstreamError::Timeout))
    }

    async fn follow(&self, request: &Request<'_>) -> Result<Answer, UpstreamError> {
        let mut url = request.url.clone();
        for _ in 0..=REDIRECTS {
            let response = self.send(&url, request).await?;
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
                return read(response, request.max_bytes).await;
            }
            let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            url = target.and_then(|target| url.join(target).ok()).ok_or(UpstreamError::Redirect("to nowhere"))?;
        }
        Err(UpstreamError::Redirect("in circles"))
    }

    async fn send(&self, url: &Url, request: &Request<'_>) -> Result<Response, UpstreamError> {
        let home = is_home(url, request.registry);
        if !home {
            check_public(url).await?;
        }
        let client = if home { &self.trusted } else { &self.public };
        let mut builder = client.get(url.clone()).header(ACCEPT, request.accept);
        if home && let Some(authorization) = self.registries.authorization(url) {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        if let Some(etag) = request.etag {
            builder = builder.header(IF_NONE_MATCH, etag);
        }
        if request.accept == TARBALL {
            // A tarball is compressed already, and must arrive byte for byte.
            builder = builder.header(ACCEPT_ENCODING, "identity");
        }
        Ok(builder.send().await?)
    }
}

/// `Accept` of a tarball.
pub const TARBALL: &str = "application/octet-stream, */*";
/// `Accept` of a packument: the short form if the registry has one.
pub const PACKUMENT: &str = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";

async fn read(mut response: Response, max_bytes: u64) -> Result<Answer, UpstreamError> {
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED => return Ok(Answer::NotModified),
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(UpstreamError::Missing),
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            return Err(UpstreamError::Denied(status.as_u16()));
        }
        status => return Err(UpstreamError::Status(status.as_u16())),
    }
    if response.content_length().is_some_and(|length| length > max_bytes) {
        return Err(UpstreamError::TooLarge(max_bytes));
    }
    let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if (body.len() + chunk.len()) as u64 > max_bytes {
            return Err(UpstreamError::TooLarge(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer::Found(body.freeze(), etag))
}

/// The registry's own origin, or the same host's usual one for https.
fn is_home(url: &Url, registry: &Url) -> bool {
    let upgraded = url.scheme() == "https" && url.port().is_none() && url.host() == registry.host();
    url.origin() == registry.origin() || upgraded
}

/// Refuses what is not https or is not public, also where a proxy would do the resolving.
async fn check_public(url: &Url) -> Result<(), UpstreamError> {
    if url.scheme() != "https" {
        return Err(UpstreamError::Redirect("away from itself without https"));
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let found = tokio::net::lookup_host((host, port)).await;
    // A host that we can't resolve, but a proxy can, is the proxy's business.
    let private = found.is_ok_and(|mut addresses| addresses.any(|address| !is_public(address.ip())));
    if private { Err(UpstreamError::Redirect("to a private address")) } else { Ok(()) }
}

/// Resolves names to public addresses, so that none can change between check and use.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<_> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("the name has no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the internet's, not of this machine or its networks.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let special = a == 0 || a >= 240 || (a, b, c) == (192, 0, 0) || (a == 198 && (18..20).contains(&b));
            let named = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_documentation();
            !(named || shared || special || v4.is_multicast())
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4_mapped() {
                return is_public(v4.into());
            }
            // Global unicast is 2000::/3; of it, tunnels that wrap an IPv4 address are left out.
            let [first, second, ..] = v6.segments();
            let tunnel = first == 0x2002 || (first == 0x2001 && second == 0);
            let documentation = first == 0x2001 && second == 0xdb8;
            first & 0xe000 == 0x2000 && !tunnel && !documentation
        }
    }
}

fn base_client(config: &NpmConfig, limits: &Limits) -> Result<ClientBuilder, String> {
    // Whoever comes second finds a provider installed, which is as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut client = Client::builder()
        .user_agent(concat!("sandglass/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .connect_timeout(limits.connect)
        .read_timeout(limits.stalled)
        .no_proxy();
    if config.get("strict-ssl") == Some("false") {
        client = client.tls_danger_accept_invalid_certs(true);
    }
    if let Some(path) = config.get("cafile") {
        let pem = std::fs::read(path).map_err(|error| format!("npm's cafile {path}: {error}"))?;
        let certificates =
            reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| format!("npm's cafile {path} is no PEM"))?;
        client = client.tls_certs_merge(certificates);
    }
    Ok(client)
}

/// npm's `https-proxy`, `proxy` and `noproxy`, whose defaults npm takes from the usual variables.
fn proxies(config: &NpmConfig) -> Result<Vec<reqwest::Proxy>, String> {
    let set = |key| config.get(key).filter(|value| !matches!(*value, "" | "null" | "false"));
    let except = set("noproxy").or_else(|| set("no-proxy")).and_then(reqwest::NoProxy::from_string);
    let mut proxies = Vec::new();
    let plain = set("proxy").or_else(|| set("http-proxy"));
    if let Some(url) = set("https-proxy").or(plain) {
        proxies.push(reqwest::Proxy::https(url));
    }
    if let Some(url) = plain {
        proxies.push(reqwest::Proxy::http(url));
    }
    proxies
        .into_iter()
        .map(|proxy| proxy.map(|proxy| proxy.no_proxy(except.clone())).map_err(|_| "npm's proxy is no URL".to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known() {
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "2002:7f00:1::",
            "224.0.0.1",
            "255.255.255.255",
            "64:ff9b::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["1.1.1.1", "104.16.0.35", "2606:4700::1", "100.63.0.1"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
