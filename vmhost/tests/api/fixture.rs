//! A server with a small site, and the registry it gets packages from.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use expect_test::Expect;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vmhost::Source;
use vmhost::config::Settings;
use vmhost::server::Server;

use crate::client::{self, Answer};
use crate::registry::Registry;

/// A folder of its own for each test, gone with it.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sandglass-api-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(std::env::temp_dir().join(name));
        folder.write("site/app/index.html", "<!doctype html>app __SANDGLASS_APP__");
        folder.write("site/app/sandglass-playground.js", "const preview = \"__SANDGLASS_PREVIEW__\";");
        folder.write("site/app/assets/editor-4F2A9C01.js", "editor();");
        folder.write("site/app/templates/react-ts.json", "{}");
        folder.write("site/preview/sandglass-sw.js", "worker();");
        folder.write("site/preview/__sandglass/boot.html", "<!doctype html>boot");
        folder.write("site/preview/__sandglass/assets/sw-0123456789abcdef.wasm", "wasm");
        folder.write("secret.txt", "secret");
        folder
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running server.
pub struct Running {
    pub app: SocketAddr,
    pub preview: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Starts a server on the folder's site, with its cache and `.npmrc` there too.
    pub async fn start(folder: &Path, registry: &Registry, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            site: Some(folder.join("site")),
            cache: Some(folder.join("cache")),
            listen: Some(([127, 0, 0, 1], 0).into()),
            listen_preview: Some(([127, 0, 0, 1], 0).into()),
            ..Settings::default()
        };
        change(&mut settings);
        let server = Server::bind(settings).await.unwrap();
        let (app, preview) = (server.config().listen, server.config().listen_preview);
        // With both of these set npm itself is never asked.
        let environment = BTreeMap::from([
            ("npm_config_registry".to_owned(), format!("http://{}/", registry.address)),
            ("npm_config_globalconfig".to_owned(), folder.join("no-npmrc").display().to_string()),
        ]);
        let source = Source { environment, folder: folder.to_path_buf(), npmrc: None };
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server.run(source, async {
            let _ = stopped.await;
        }));
        Self { app, preview, stop: Some(stop), serving }
    }

    /// Asks it to stop.
    pub fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits until it has.
    pub async fn stopped(self) {
        self.serving.await.unwrap().unwrap();
    }
}

/// Folder, registry and server.
pub struct Fixture {
    pub folder: Folder,
    pub registry: Registry,
    pub server: Running,
}

impl Fixture {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings than the defaults.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let (folder, registry) = (Folder::new(), Registry::start().await);
        let server = Running::start(&folder.0, &registry, change).await;
        Self { folder, registry, server }
    }

    /// Sends to the app's listener; a request without a Host gets the app's name.
    pub async fn app(&self, request: &str) -> Answer {
        client::send(self.server.app, &with_host(request, "sandglass.localhost")).await
    }

    /// Sends to the previews' listener; a request without a Host gets a sandbox's name.
    pub async fn preview(&self, request: &str) -> Answer {
        client::send(self.server.preview, &with_host(request, "box.sandglass.localhost")).await
    }

    /// `GET` of a package address.
    pub async fn npm(&self, path: &str) -> Answer {
        self.preview(&format!("GET /__sandglass/npm/{path}")).await
    }

    /// `POST` of JSON to a package address.
    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.preview(&format!("POST /__sandglass/npm/{path}\ncontent-type: application/json\n\n{body}")).await
    }

    /// Compares an answer of a preview's package address.
    pub async fn check_npm(&self, path: &str, expected: Expect) {
        self.check(&self.npm(path).await.shown(), expected);
    }

    /// Compares text, with what changes from run to run taken out.
    pub fn check(&self, text: &str, expected: Expect) {
        let ports = [(self.server.app, "APP"), (self.server.preview, "PREVIEW"), (self.registry.address, "REGISTRY")];
        let named = |text: String, (address, name): (SocketAddr, &str)| {
            text.replace(&format!(":{}", address.port()), &format!(":{name}"))
        };
        let text = ports.into_iter().fold(text.to_owned(), named);
        expected.assert_eq(&text);
    }
}

fn with_host(request: &str, host: &str) -> String {
    let (line, rest) =
        request.split_once('\n').map_or((request, String::new()), |(line, rest)| (line, format!("\n{rest}")));
    let given = rest.split("\n\n").next().is_some_and(|head| head.contains("\nhost:"));
    if given { request.to_owned() } else { format!("{line}\nhost: {host}{rest}") }
}
