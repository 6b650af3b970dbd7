//! `cargo xtask build`: the site and the server.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::repo::{Profile, Repo};
use crate::server::Server;
use crate::{setup, site};

/// Build the site (target/site/debug or /release) and the server
#[derive(Args)]
pub struct Build {
    /// Optimise: smaller and faster, but minutes to build
    #[arg(long)]
    release: bool,
    /// Leave the server out
    #[arg(long)]
    site_only: bool,
}

impl Build {
    pub fn run(&self, repo: &Repo) -> anyhow::Result<ExitCode> {
        let profile = Profile::of(self.release);
        if self.site_only {
            let site = site::build(repo, setup::to_build(repo)?, profile)?;
            println!("site    {}", site.display());
        } else {
            let Built { site, server } = all(repo, profile)?;
            println!("site    {}\nserver  {}", site.display(), server.display());
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What a build has made.
pub struct Built {
    /// The site's folder.
    pub site: PathBuf,
    /// The server's program.
    pub server: PathBuf,
}

/// Installs what is missing, and builds site and server.
///
/// # Errors
/// Names what is missing, or gives a tool's messages.
pub fn all(repo: &Repo, profile: Profile) -> anyhow::Result<Built> {
    let route = setup::to_build(repo)?;
    let server = Server::begin(repo, profile)?;
    let site = site::build(repo, route, profile)?;
    Ok(Built { site, server: server.finish()? })
}
