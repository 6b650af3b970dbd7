//! The `sandglass` program itself, compiled when its sources have changed.
//!
//! It is compiled beside the site: linking a module keeps one core busy for
//! minutes, and the other would have nothing to do.

use std::path::PathBuf;
use std::process::Command;

use crate::process::{Running, ask};
use crate::repo::{Profile, Repo};
use crate::steps::{Inputs, Stamp};
use crate::wasm::SHARED;

/// A server that is there, or on its way.
pub struct Server {
    program: PathBuf,
    profile: Profile,
    compiling: Option<(Running, Stamp)>,
}

impl Server {
    /// Starts compiling, unless that is done.
    ///
    /// # Errors
    /// When sources can't be read or the compiler can't be started.
    pub fn begin(repo: &Repo, profile: Profile) -> anyhow::Result<Self> {
        let program = path(repo, profile);
        let inputs = Inputs::default()
            .text(&ask(Command::new("rustc").arg("--version")).unwrap_or_default())
            .paths(repo, &SHARED)?
            .paths(repo, &["bundler", "protocol", "vmhost"])?;
        let name = format!("server-{}", profile.name());
        let compiling = match Stamp::missing(repo, &name, inputs, &[&program]) {
            None => None,
            Some(stamp) => {
                let mut cargo = Command::new("cargo");
                cargo.args(["build", "-p", "vmhost", "--bin", "sandglass", "--profile", profile.native()]);
                Some((Running::start(cargo.current_dir(repo.root()))?, stamp))
            }
        };
        Ok(Self { program, profile, compiling })
    }

    /// The program's path, once it is there.
    ///
    /// # Errors
    /// Those of the compiler.
    pub fn finish(self) -> anyhow::Result<PathBuf> {
        if let Some((running, stamp)) = self.compiling {
            running.succeed(&format!("compile the server ({})", self.profile.name()))?;
            stamp.keep()?;
        }
        Ok(self.program)
    }
}

/// Where the program is.
pub fn path(repo: &Repo, profile: Profile) -> PathBuf {
    repo.target(profile.name()).join(format!("sandglass{}", std::env::consts::EXE_SUFFIX))
}
