//! A registry on loopback: serves what was published, and misbehaves on request.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};
use tokio::sync::Semaphore;

/// What an address answers.
#[derive(Clone)]
pub enum Behaviour {
    /// These bytes.
    Bytes(Vec<u8>),
    /// This status.
    Status(u16),
    /// A redirect there.
    Redirect(String),
    /// Nothing, for ever.
    Hang,
    /// Bytes without an end.
    Endless,
    /// These bytes, once [`Registry::open`] was called.
    Gated(Vec<u8>),
    /// These bytes to whoever shows the token.
    Private(&'static str, Vec<u8>),
}

/// The registry. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    pages: Mutex<BTreeMap<String, Behaviour>>,
    packuments: Mutex<BTreeMap<String, Value>>,
    hits: Mutex<Vec<String>>,
    hit: Semaphore,
    gate: Semaphore,
    serving: Mutex<Option<tokio::task::AbortHandle>>,
}

impl Registry {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Shared {
            pages: Mutex::default(),
            packuments: Mutex::default(),
            hits: Mutex::default(),
            hit: Semaphore::new(0),
            gate: Semaphore::new(0),
            serving: Mutex::default(),
        };
        let registry = Self { address: listener.local_addr().unwrap(), shared: Arc::new(shared) };
        let router = Router::new().fallback(answer).with_state(registry.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        *registry.shared.serving.lock().unwrap() = Some(serving.abort_handle());
        registry
    }

    /// Takes no more connections.
    pub fn stop(&self) {
        self.shared.serving.lock().unwrap().take().unwrap().abort();
    }

    /// Publishes a version with these files; `package.json` is made unless given.
    pub fn publish(&self, name: &str, version: &str, files: &[(&str, &str)], dependencies: Value) -> Vec<u8> {
        let mut all = vec![("package.json".to_owned(), json!({"name": name, "version": version}).to_string())];
        all.extend(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
        let tarball = pack(&all);
        let file = name.rsplit('/').next().unwrap();
        let path = format!("/{name}/-/{file}-{version}.tgz");
        let integrity = format!("sha512-{}", STANDARD.encode(Sha512::digest(&tarball)));
        let dist = json!({"tarball": format!("http://{}{path}", self.address), "integrity": integrity});
        let text = {
            let mut packuments = self.shared.packuments.lock().unwrap();
            let packument = packuments.entry(name.to_owned()).or_insert_with(
                || json!({"name": name, "dist-tags": {}, "versions": {}, "readme": "not for previews"}),
            );
            packument["dist-tags"]["latest"] = json!(version);
            packument["versions"][version] =
                json!({"name": name, "version": version, "dependencies": dependencies, "dist": dist, "scripts": {}});
            packument.to_string()
        };
        self.behave(&format!("/{name}"), Behaviour::Bytes(text.into_bytes()));
        self.behave(&path, Behaviour::Bytes(tarball.clone()));
        tarball
    }

    /// Decides what an address answers.
    pub fn behave(&self, path: &str, behaviour: Behaviour) {
        self.shared.pages.lock().unwrap().insert(path.to_owned(), behaviour);
    }

    /// What an address would answer now.
    pub fn bytes(&self, path: &str) -> Vec<u8> {
        match self.shared.pages.lock().unwrap().get(path) {
            Some(Behaviour::Bytes(bytes)) => bytes.clone(),
            _ => panic!("{path} has no bytes"),
        }
    }

    /// Every request so far: its path, and `with TOKEN` if it carried one.
    pub fn hits(&self) -> Vec<String> {
        self.shared.hits.lock().unwrap().clone()
    }

    /// Waits for the next request that was not waited for yet.
    pub async fn next_hit(&self) {
        let hit = tokio::time::timeout(Duration::from_secs(60), self.shared.hit.acquire()).await;
        hit.expect("a request to the registry").unwrap().forget();
    }

    /// Lets gated answers through.
    pub fn open(&self) {
        self.shared.gate.add_permits(1_000);
    }
}

async fn answer(State(registry): State<Registry>, request: Request) -> Response {
    let path = request.uri().path().replace("%2f", "/");
    let token = token(request.headers());
    let shown = if token.is_empty() { path.clone() } else { format!("{path} with {token}") };
    let shared = &registry.shared;
    shared.hits.lock().unwrap().push(shown);
    shared.hit.add_permits(1);
    let behaviour = shared.pages.lock().unwrap().get(&path).cloned();
    match behaviour.unwrap_or(Behaviour::Status(404)) {
        Behaviour::Bytes(bytes) => bytes.into_response(),
        Behaviour::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Behaviour::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Endless => {
            let chunks = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1 << 16]));
            Body::from_stream(chunks).into_response()
        }
        Behaviour::Gated(bytes) => {
            let _open = shared.gate.acquire().await.unwrap();
            bytes.into_response()
        }
        Behaviour::Private(wanted, bytes) if token == wanted => bytes.into_response(),
        Behaviour::Private(..) => StatusCode::UNAUTHORIZED.into_response(),
    }
}

fn token(headers: &HeaderMap) -> String {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.strip_prefix("Bearer ").unwrap_or(value).to_owned()
}

fn pack(files: &[(String, String)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("package/{path}"), text.as_bytes()).unwrap();
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&archive.into_inner().unwrap()).unwrap();
    packed.finish().unwrap()
}
