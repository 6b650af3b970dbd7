//! Binds, serves, and stops in order: running answers are finished, within bounds.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::App;
use crate::config::{Config, Settings};
use crate::npm::Source;
use crate::router::router;

mod connections;

/// After a request to stop, how long running answers have.
const GRACE: Duration = Duration::from_secs(30);

/// A server that has its addresses but answers nothing yet.
#[derive(Debug)]
pub struct Server {
    config: Config,
    app: TcpListener,
    /// `None` if both sites share one address.
    preview: Option<TcpListener>,
}

impl Server {
    /// Checks the settings and takes the addresses.
    ///
    /// # Errors
    /// Says which setting is wrong and what to do.
    pub async fn bind(mut settings: Settings) -> anyhow::Result<Self> {
        let config = Config::try_from(settings.clone())?;
        check_site(&config.site)?;
        let app = listen(config.listen, "--listen").await?;
        let shared = config.listen == config.listen_preview && config.listen.port() != 0;
        let preview = if shared { None } else { Some(listen(config.listen_preview, "--listen-preview").await?) };
        // Port 0 is only known now, and the origins' defaults follow from it.
        settings.listen = Some(app.local_addr()?);
        settings.listen_preview = Some(preview.as_ref().unwrap_or(&app).local_addr()?);
        Ok(Self { config: Config::try_from(settings)?, app, preview })
    }

    /// The settings as they came out.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Serves until `stop` resolves and running answers are finished.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run(self, source: Source, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let app = App::new(&self.config, source);
        let npm = app.npm.clone();
        // Not waited for: files are served meanwhile, and a request for a package waits for it by itself.
        tokio::spawn(async move { npm.warm_up().await });
        let router = router(app);
        let stopping = CancellationToken::new();
        let mut serving = tokio::task::JoinSet::new();
        for listener in std::iter::once(self.app).chain(self.preview) {
            serving.spawn(connections::serve(listener, router.clone(), stopping.clone()));
        }
        tokio::select! {
            () = stop => {}
            // Only a bug ends a listener by itself.
            ended = serving.join_next() => bail!("a listener ended: {ended:?}"),
        }
        info!("stopping: running answers are finished first");
        stopping.cancel();
        let rest = async {
            while let Some(ended) = serving.join_next().await {
                ended?;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(GRACE, rest).await.unwrap_or_else(|_| {
            warn!("some answers were not finished in time");
            Ok(())
        })
    }
}

async fn listen(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("can't listen on {address}: choose another with {flag}"))
}

/// A wrong folder would otherwise be noticed only as a 404 on every page.
fn check_site(folder: &Path) -> anyhow::Result<()> {
    for part in ["app", "preview"] {
        let path = folder.join(part);
        match std::fs::metadata(&path) {
            Ok(data) if data.is_dir() => {}
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("can't read the site: {}", path.display()));
            }
            _ => bail!(
                "there is no site in {}: {part}/ is missing. Build one with `cargo xtask build`, or name its folder with --site",
                folder.display()
            ),
        }
    }
    Ok(())
}
