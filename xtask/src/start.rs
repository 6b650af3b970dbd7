//! `cargo xtask start`: from a fresh machine to a running playground.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::build::{self, Built};
use crate::repo::{Profile, Repo};

/// Install what is missing, build, serve, and say where
///
/// What is done already is not done again: a second start takes seconds.
/// Ctrl-C ends the server.
#[derive(Args)]
pub struct Start {
    /// Build for speed: smaller and faster pages, but minutes to build
    #[arg(long)]
    release: bool,
    /// The app's port; previews get the next one
    #[arg(long, default_value_t = 5170, value_name = "N", value_parser = clap::value_parser!(u16).range(1..65535))]
    port: u16,
}

impl Start {
    pub fn run(&self, repo: &Repo) -> anyhow::Result<ExitCode> {
        let previews = self.port + 1;
        // Before the build: nobody wants to hear it minutes later.
        self.check_free(self.port)?;
        self.check_free(previews)?;
        let profile = Profile::of(self.release);
        let Built { site, server } = build::all(repo, profile)?;
        let app = format!("http://sandglass.localhost:{}/", self.port);
        println!("\n  front page  {app}\n  example     {app}examples/react.html\n\nCtrl-C ends the server.\n");
        self.serve(&server, &site)
    }

    fn check_free(&self, port: u16) -> anyhow::Result<()> {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                let other = if self.port < 65_000 { self.port + 10 } else { 5170 };
                bail!(
                    "port {port} is taken, by another start perhaps. remedy: end what uses it, \
                     or `cargo xtask start --port {other}`"
                )
            }
            Err(error) => Err(error).with_context(|| format!("can't take port {port}")),
        }
    }

    fn serve(&self, server: &Path, site: &Path) -> anyhow::Result<ExitCode> {
        let mut command = Command::new(server);
        command.arg("serve").arg("--site").arg(site);
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        command.args(["--listen-preview", &format!("127.0.0.1:{}", self.port + 1)]);
        become_program(&mut command)
    }
}

/// This process becomes the server, so that signals reach it and nothing is left behind.
#[cfg(unix)]
fn become_program(command: &mut Command) -> anyhow::Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec()).context("can't start the server")
}

#[cfg(not(unix))]
fn become_program(command: &mut Command) -> anyhow::Result<ExitCode> {
    let status = command.status().context("can't start the server")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
