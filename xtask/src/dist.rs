//! `cargo xtask dist`: the site as plain files, for any web server.
//!
//! In:  the release site.
//! Out: the same with both origins written in, and with the packages of
//!      templates and examples built, as nobody will be there to build them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::process::{run, work};
use crate::repo::{Profile, Repo};
use crate::steps::{files, read, write};
use crate::{build, compress, markers, projects, server, site};

/// Make a folder of static files that any web server can host
///
/// Two origins serve it: DIR/app is the root of the one, DIR/preview of the
/// other, which must be another host. Files of /assets/ never change; where a
/// server can send precompressed files, a `.br` lies beside each.
#[derive(Args)]
pub struct Dist {
    /// Where it goes
    #[arg(long, default_value = "dist", value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    origins: Origins,
}

/// What browsers will call both origins.
#[derive(Args)]
pub struct Origins {
    /// What browsers will call the app
    #[arg(long, value_name = "ORIGIN", default_value = LOCAL_APP)]
    app_origin: String,
    /// What browsers will call a preview; {id} stands for the sandbox
    #[arg(long, value_name = "PATTERN", default_value = LOCAL_PREVIEW)]
    preview_origin: String,
}

const LOCAL_APP: &str = "http://sandglass.localhost:5170";
const LOCAL_PREVIEW: &str = "http://{id}.sandglass.localhost:5171";

impl Origins {
    /// Those of a server on this machine.
    pub fn local() -> Self {
        Self { app_origin: LOCAL_APP.to_owned(), preview_origin: LOCAL_PREVIEW.to_owned() }
    }

    fn check(&self) -> anyhow::Result<()> {
        for (flag, origin) in [("--app-origin", &self.app_origin), ("--preview-origin", &self.preview_origin)] {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            if host.is_none_or(|host| host.is_empty() || host.contains(['/', '"', '<', '>', ' '])) {
                bail!("{flag} {origin} is no origin: write one like https://app.example.com, without a path");
            }
        }
        if self.app_origin == self.preview_origin {
            bail!("app and previews must be two origins: user code runs in previews");
        }
        Ok(())
    }
}

impl Dist {
    pub fn run(&self, repo: &Repo) -> anyhow::Result<ExitCode> {
        self.origins.check()?;
        let out = std::env::current_dir().context("there is no working folder")?.join(&self.out);
        if fs::read_dir(&out).is_ok_and(|mut entries| entries.next().is_some()) && !is_ours(&out) {
            bail!("{} holds something else, which would be lost. remedy: name another --out", out.display());
        }
        build::all(repo, Profile::Release)?;
        make(repo, &out, &self.origins)?;
        println!(
            "{}\n  app      {}\n  preview  {}",
            out.display(),
            self.origins.app_origin,
            self.origins.preview_origin
        );
        Ok(ExitCode::SUCCESS)
    }
}

/// Makes the folder from what is built.
///
/// # Errors
/// Those of reading, building packages, writing.
pub fn make(repo: &Repo, out: &Path, origins: &Origins) -> anyhow::Result<()> {
    let name = out.file_name().with_context(|| format!("{} has no name", out.display()))?;
    let fresh = out.with_file_name(format!(".{}-new", name.to_string_lossy()));
    let _ = fs::remove_dir_all(&fresh);
    let made = work("write both origins in", || copy(repo, &repo.site(Profile::Release), &fresh, origins))
        .and_then(|()| prebuild(repo, &fresh));
    if made.is_err() {
        let _ = fs::remove_dir_all(&fresh);
    }
    made.and_then(|()| site::swap(&fresh, out))
}

fn is_ours(folder: &Path) -> bool {
    folder.join("app/sandglass-playground.js").is_file()
}

fn copy(repo: &Repo, site: &Path, out: &Path, origins: &Origins) -> anyhow::Result<()> {
    for path in files(site)? {
        let inner = path.strip_prefix(site)?;
        let to = out.join(inner);
        let name = inner.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let written = inner.starts_with("app") && markers::holds(name.trim_end_matches(".br"));
        if !written {
            write(&to, &read(&path)?)?;
        } else if !name.ends_with(".br") {
            let text = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
            write(&to, markers::replace(&text, &origins.app_origin, &origins.preview_origin).as_bytes())?;
            compress::file(repo, &to, compress::quality(Profile::Release))?;
        }
    }
    Ok(())
}

/// Builds the packages that templates and examples use, by the same code that a worker would.
fn prebuild(repo: &Repo, out: &Path) -> anyhow::Result<()> {
    let folder = repo.state("projects");
    let _ = fs::remove_dir_all(&folder);
    let chunks = out.join("preview/__sandglass/npm/prebuilt");
    let mut command = Command::new(server::path(repo, Profile::Release));
    command.arg("prebuild").arg("--out").arg(&chunks).current_dir(repo.root());
    for (name, project) in projects::all(repo)? {
        let path = folder.join(format!("{name}.json"));
        write(&path, project.to_string().as_bytes())?;
        command.arg(path);
    }
    run("build packages of templates and examples", &mut command)?;
    compress::folder(repo, &chunks, compress::quality(Profile::Release))
}
