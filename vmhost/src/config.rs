//! What can be set, and from where: flag, then environment, then `--config` file, then default.
//!
//! In:  the command line (clap reads the environment with it) and a TOML file.
//! Out: a checked [`Config`].
//!
//! An unknown key in the file is an error with its line: a misspelt limit that
//! is silently ignored is worse than a server that doesn't start.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::npm::Limits;
use crate::origins::{Origin, Origins, PreviewPattern};
use crate::site::headers::Policies;

const SITE: &str = "Files and addresses";
const NAMES: &str = "Origins, as browsers see them";
const PACKAGES: &str = "Packages";
const LOG: &str = "Log";

/// Every setting as it can be written; `None` is "not here".
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Folder with the built site (`app/` and `preview/` in it) [default: site]
    #[arg(long, env = "SANDGLASS_SITE", value_name = "DIR", help_heading = SITE)]
    pub site: Option<PathBuf>,
    /// Address for the app: pages, editor, templates [default: 127.0.0.1:5170]
    #[arg(long, env = "SANDGLASS_LISTEN", value_name = "IP:PORT", help_heading = SITE)]
    pub listen: Option<SocketAddr>,
    /// Address for the previews, where user code runs [default: 127.0.0.1:5171]
    #[arg(long, env = "SANDGLASS_LISTEN_PREVIEW", value_name = "IP:PORT", help_heading = SITE)]
    pub listen_preview: Option<SocketAddr>,
    /// What browsers call the app [default: http://sandglass.localhost:PORT of --listen]
    #[arg(long, env = "SANDGLASS_APP_ORIGIN", value_name = "ORIGIN", help_heading = NAMES)]
    pub app_origin: Option<String>,
    /// What browsers call a preview; {id} stands for the sandbox [default:
    /// http://{id}.sandglass.localhost:PORT of --listen-preview]
    #[arg(long, env = "SANDGLASS_PREVIEW_ORIGIN", value_name = "PATTERN", help_heading = NAMES)]
    pub preview_origin: Option<String>,
    /// Who may frame the app's pages, as a CSP source list [default: 'self']
    #[arg(long, env = "SANDGLASS_APP_ANCESTORS", value_name = "LIST", help_heading = NAMES)]
    pub app_ancestors: Option<String>,
    /// Who may frame previews, as a CSP source list [default: *]
    #[arg(long, env = "SANDGLASS_PREVIEW_ANCESTORS", value_name = "LIST", help_heading = NAMES)]
    pub preview_ancestors: Option<String>,
    /// Demand Trusted Types on the app's pages [default: false]
    #[arg(long, env = "SANDGLASS_TRUSTED_TYPES", value_name = "BOOL", help_heading = NAMES)]
    pub trusted_types: Option<bool>,
    /// A project .npmrc [default: the nearest one above the working folder]
    #[arg(long, env = "SANDGLASS_NPMRC", value_name = "FILE", help_heading = PACKAGES)]
    pub npmrc: Option<PathBuf>,
    /// Folder for packages and built chunks [default: sandglass in the user's cache folder]
    #[arg(long, env = "SANDGLASS_CACHE", value_name = "DIR", help_heading = PACKAGES)]
    pub cache: Option<PathBuf>,
    /// The most that the cache may hold; what was not used longest goes first [default: 2GiB]
    #[arg(long, env = "SANDGLASS_CACHE_SIZE", value_name = "SIZE", help_heading = PACKAGES)]
    pub cache_size: Option<String>,
    /// Largest packument taken from the registry [default: 32MiB]
    #[arg(long, env = "SANDGLASS_MAX_PACKUMENT", value_name = "SIZE", help_heading = PACKAGES)]
    pub max_packument: Option<String>,
    /// Largest tarball taken from the registry [default: 128MiB]
    #[arg(long, env = "SANDGLASS_MAX_TARBALL", value_name = "SIZE", help_heading = PACKAGES)]
    pub max_tarball: Option<String>,
    /// Longest wait for a connection to the registry [default: 10s]
    #[arg(long, env = "SANDGLASS_CONNECT_TIMEOUT", value_name = "TIME", help_heading = PACKAGES)]
    pub connect_timeout: Option<String>,
    /// Longest silence of the registry within an answer [default: 20s]
    #[arg(long, env = "SANDGLASS_READ_TIMEOUT", value_name = "TIME", help_heading = PACKAGES)]
    pub read_timeout: Option<String>,
    /// Longest time for one answer of the registry [default: 120s]
    #[arg(long, env = "SANDGLASS_REQUEST_TIMEOUT", value_name = "TIME", help_heading = PACKAGES)]
    pub request_timeout: Option<String>,
    /// How long a packument is used without asking again [default: 5min]
    #[arg(long, env = "SANDGLASS_FRESH", value_name = "TIME", help_heading = PACKAGES)]
    pub fresh: Option<String>,
    /// Package chunks built at once [default: 1]
    #[arg(long, env = "SANDGLASS_BUILDS", value_name = "COUNT", help_heading = PACKAGES)]
    pub builds: Option<usize>,
    /// How log lines look; RUST_LOG chooses which there are [default: text]
    #[arg(long, env = "SANDGLASS_LOG_FORMAT", value_name = "FORMAT", help_heading = LOG)]
    pub log_format: Option<LogFormat>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Keeps the first of each setting.
macro_rules! prefer {
    ($first:ident, $second:ident, $($field:ident),* $(,)?) => {
        Settings { $($field: $first.$field.or($second.$field)),* }
    };
}

impl Settings {
    /// Reads a TOML file of settings, named like the flags. Its paths start from its folder.
    ///
    /// # Errors
    /// Names the file, and for what stands in it the line.
    pub fn from_file(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("can't read --config {}", path.display()))?;
        let mut settings: Self = toml::from_str(&text)
            .map_err(|error| anyhow!("--config {}: {}", path.display(), error.to_string().trim_end()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for path in [&mut settings.site, &mut settings.npmrc, &mut settings.cache].into_iter().flatten() {
            *path = folder.join(&path);
        }
        Ok(settings)
    }

    /// These settings, and where they say nothing, `other`'s.
    pub fn or(self, other: Self) -> Self {
        prefer!(
            self,
            other,
            site,
            listen,
            listen_preview,
            app_origin,
            preview_origin,
            app_ancestors,
            preview_ancestors,
            trusted_types,
            npmrc,
            cache,
            cache_size,
            max_packument,
            max_tarball,
            connect_timeout,
            read_timeout,
            request_timeout,
            fresh,
            builds,
            log_format,
        )
    }
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the site's files are.
    pub site: PathBuf,
    /// The app's listener.
    pub listen: SocketAddr,
    /// The previews' listener.
    pub listen_preview: SocketAddr,
    /// Both origins.
    pub origins: Origins,
    /// Security headers.
    pub policies: Policies,
    /// A project `.npmrc` named by hand.
    pub npmrc: Option<PathBuf>,
    /// The cache's folder.
    pub cache: PathBuf,
    /// Its bound in bytes.
    pub cache_bytes: u64,
    /// Bounds on what a registry may send.
    pub limits: Limits,
    /// Package chunks built at once.
    pub builds: usize,
}

impl TryFrom<Settings> for Config {
    type Error = anyhow::Error;

    fn try_from(settings: Settings) -> anyhow::Result<Self> {
        let listen = settings.listen.unwrap_or(([127, 0, 0, 1], 5170).into());
        let listen_preview = settings.listen_preview.unwrap_or(([127, 0, 0, 1], 5171).into());
        let limits = limits(&settings)?;
        let app = settings.app_origin.unwrap_or_else(|| format!("http://sandglass.localhost:{}", listen.port()));
        let preview = settings
            .preview_origin
            .unwrap_or_else(|| format!("http://{{id}}.sandglass.localhost:{}", listen_preview.port()));
        let app = Origin::from_str(&app).context("--app-origin")?;
        let preview = PreviewPattern::from_str(&preview).context("--preview-origin")?;
        let policies = Policies::new(
            &preview,
            settings.app_ancestors.as_deref().unwrap_or("'self'"),
            settings.preview_ancestors.as_deref().unwrap_or("*"),
            settings.trusted_types.unwrap_or(false),
        )?;
        Ok(Self {
            site: settings.site.unwrap_or_else(|| PathBuf::from("site")),
            listen,
            listen_preview,
            origins: Origins::new(app, preview)?,
            policies,
            npmrc: settings.npmrc,
            cache: settings.cache.map_or_else(default_cache, Ok)?,
            cache_bytes: settings.cache_size.as_deref().map_or(Ok(2 << 30), size).context("--cache-size")?,
            limits,
            builds: settings.builds.unwrap_or(1).max(1),
        })
    }
}

fn limits(settings: &Settings) -> anyhow::Result<Limits> {
    let default = Limits::default();
    let bytes = |text: &Option<String>, default, flag| text.as_deref().map_or(Ok(default), size).context(flag);
    let time = |text: &Option<String>, default, flag| text.as_deref().map_or(Ok(default), duration).context(flag);
    Ok(Limits {
        packument_bytes: bytes(&settings.max_packument, default.packument_bytes, "--max-packument")?,
        tarball_bytes: bytes(&settings.max_tarball, default.tarball_bytes, "--max-tarball")?,
        connect: time(&settings.connect_timeout, default.connect, "--connect-timeout")?,
        stalled: time(&settings.read_timeout, default.stalled, "--read-timeout")?,
        request: time(&settings.request_timeout, default.request, "--request-timeout")?,
        fresh: time(&settings.fresh, default.fresh, "--fresh")?,
    })
}

fn default_cache() -> anyhow::Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|folder| folder.join("sandglass"))
        .context("there is no home folder to keep a cache in: name one by --cache DIR")
}

/// `2GiB`, `500MB`, `64KiB` or plain bytes.
fn size(text: &str) -> anyhow::Result<u64> {
    let (number, unit) = split_unit(text);
    let unit: u64 = match unit {
        "" | "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(anyhow!("`{text}` is no size: write 2GiB, 500MiB, 64KiB or a number of bytes")),
    };
    let number: u64 = number.parse().map_err(|_| anyhow!("`{text}` is no size: begin with a whole number"))?;
    number.checked_mul(unit).with_context(|| format!("`{text}` is too large"))
}

/// `10s`, `5min`, `2h` or `500ms`.
fn duration(text: &str) -> anyhow::Result<Duration> {
    let (number, unit) = split_unit(text);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(anyhow!("`{text}` is no time: write 500ms, 10s, 5min or 2h")),
    };
    let number: u64 = number.parse().map_err(|_| anyhow!("`{text}` is no time: begin with a whole number"))?;
    let time = number.checked_mul(milliseconds).with_context(|| format!("`{text}` is too long"))?;
    Ok(Duration::from_millis(time))
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        let sizes = ["7", "64KiB", "2 GiB", "5MB"].map(|text| size(text).unwrap());
        assert_eq!(sizes, [7, 65_536, 2 << 30, 5_000_000]);
        let times = ["500ms", "10s", "5min", "2h"].map(|text| duration(text).unwrap().as_millis());
        assert_eq!(times, [500, 10_000, 300_000, 7_200_000]);
        for text in ["", "GiB", "2TiB", "-1", "1.5GiB", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
        for text in ["", "10", "s", "1d", "99999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_setting_wins() {
        let flags: Settings = toml::from_str("listen = '127.0.0.1:1'").unwrap();
        let file: Settings = toml::from_str("listen = '127.0.0.1:2'\nbuilds = 3\nlog-format = 'json'").unwrap();
        let both = flags.or(file);
        assert_eq!(both.listen.unwrap().port(), 1);
        assert_eq!((both.builds, both.log_format), (Some(3), Some(LogFormat::Json)));
    }

    #[test]
    fn origins_follow_the_ports() {
        let settings: Settings =
            toml::from_str("listen = '127.0.0.1:80'\nlisten-preview = '127.0.0.1:81'\ncache = 'c'").unwrap();
        let config = Config::try_from(settings).unwrap();
        assert_eq!(config.origins.app.to_string(), "http://sandglass.localhost:80");
        assert_eq!(config.origins.preview.to_string(), "http://{id}.sandglass.localhost:81");
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line() {
        let error = toml::from_str::<Settings>("builds = 1\nlissten = '127.0.0.1:1'").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("lissten"), "{error}");
    }
}
