//! `sandglass`: reads its command line, serves until it is told to stop.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use vmhost::Source;
use vmhost::config::{LogFormat, Settings};
use vmhost::server::Server;

/// After the last answer, how long work in the background has: it is all cache.
const BACKGROUND: Duration = Duration::from_secs(2);

/// Live playgrounds from your own machine: pages, previews, npm packages.
#[derive(Debug, Parser)]
#[command(name = "sandglass", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a built site, with packages from the registry that npm is configured for
    #[command(after_long_help = AFTER_HELP)]
    Serve(Serve),
    /// Build the packages of projects ahead, for a site of static files
    ///
    /// Writes KEY.js for each project that imports packages. Served as
    /// /__sandglass/npm/prebuilt/KEY.js on the preview origin, they spare every
    /// visitor the same work, and a site with them needs no server of ours.
    Prebuild(Prebuild),
}

const AFTER_HELP: &str = "\
Settings come from flags, then from the environment (its names are shown above),
then from the --config file, then from the defaults. The file is TOML, its keys
are the flags' names, and its paths start from the file's folder:

    listen-preview = \"127.0.0.1:8081\"
    preview-origin = \"https://{id}.preview.example.net\"
    cache-size = \"10GiB\"

When it is ready, the server prints one line for each site: `app URL` and
`preview PATTERN`. Logs go to standard error. SIGINT or SIGTERM stop it after
the answers it has begun; a second signal stops it at once.

User code runs on the preview origin, where each sandbox has a name of its own.
Behind a reverse proxy, send a wildcard name there, keep it apart from the app's
name, and pass the Host header on unchanged.";

#[derive(Debug, Args)]
struct Serve {
    /// A TOML file with any of the settings below
    #[arg(long, env = "SANDGLASS_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
struct Prebuild {
    /// Where the chunks go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// Projects as JSON: {"files": {"/path": text}, "lock": text of package-lock.json}
    #[arg(required = true, value_name = "FILE")]
    projects: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(serve) => start(serve),
        Command::Prebuild(prebuild) => build_ahead(prebuild),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "sandglass: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(serve: Serve) -> anyhow::Result<()> {
    let file = serve.config.as_deref().map(Settings::from_file).transpose()?.unwrap_or_default();
    let settings = serve.settings.or(file);
    start_log(settings.log_format.unwrap_or_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start threads")?;
    let served = runtime.block_on(serve_until_told(settings));
    // A build or a fetch that nobody waits for any more must not hold up the end.
    runtime.shutdown_timeout(BACKGROUND);
    served
}

fn build_ahead(Prebuild { out, settings, projects }: Prebuild) -> anyhow::Result<()> {
    start_log(settings.log_format.unwrap_or_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start threads")?;
    let written = runtime.block_on(vmhost::prebuild::run(settings, &out, &projects))?;
    announce(&written.iter().map(|path| format!("{}\n", path.display())).collect::<String>());
    Ok(())
}

async fn serve_until_told(settings: Settings) -> anyhow::Result<()> {
    let server = Server::bind(settings).await?;
    let stop = stop_signal()?;
    let config = server.config();
    let source = Source::of_process(config.npmrc.clone());
    announce(&format!("app {}/\npreview {}\n", config.origins.app, config.origins.preview));
    server.run(source, stop).await
}

/// Tells whoever started us that connections are taken. That nobody reads it is no failure.
fn announce(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Resolves at the first signal; a second one ends the process at once.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut signals = Signals::new().context("can't wait for signals")?;
    Ok(async move {
        signals.next().await;
        tokio::spawn(async move {
            signals.next().await;
            std::process::exit(130);
        });
    })
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,vmhost=info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_target(false).with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}
