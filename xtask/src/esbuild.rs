//! TypeScript → scripts, by esbuild's own binary.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;

use crate::process::run;
use crate::repo::{Profile, Repo};

/// The oldest syntax that browsers with all that we need (module workers, wasm, service workers) understand.
const SYNTAX: &str = "--target=es2022";

/// esbuild, set up for a profile.
pub struct Esbuild<'a> {
    repo: &'a Repo,
    program: PathBuf,
    profile: Profile,
}

/// One call: an entry, or several that share chunks.
pub struct Bundle<'a> {
    /// Entry, relative to the checkout.
    pub entry: &'a str,
    /// More flags: format, where it goes, definitions.
    pub flags: Vec<String>,
}

impl<'a> Esbuild<'a> {
    /// The installed esbuild.
    ///
    /// # Errors
    /// When Node packages aren't installed.
    pub fn find(repo: &'a Repo, profile: Profile) -> anyhow::Result<Self> {
        let Some(program) = program(repo) else {
            bail!("esbuild isn't there. remedy: `cargo xtask setup` installs static/'s Node packages");
        };
        Ok(Self { repo, program, profile })
    }

    /// Bundles an entry.
    ///
    /// # Errors
    /// Gives esbuild's messages.
    pub fn bundle(&self, Bundle { entry, flags }: Bundle<'_>) -> anyhow::Result<()> {
        let mut command = Command::new(&self.program);
        command.arg(entry).args(["--bundle", SYNTAX, "--charset=utf8", "--log-level=warning"]);
        // A package that looks at this expects its production build; a later flag may say otherwise.
        command.arg("--define:process.env.NODE_ENV=\"production\"").args(flags);
        match self.profile {
            Profile::Debug => command.arg("--sourcemap=inline"),
            Profile::Release => command.args(["--minify", "--legal-comments=eof"]),
        };
        run(&format!("bundle {}", entry.rsplit('/').next().unwrap_or(entry)), command.current_dir(self.repo.root()))?;
        Ok(())
    }
}

/// The native program if npm installed it for this system; it starts faster than its wrapper in Node.
pub fn program(repo: &Repo) -> Option<PathBuf> {
    let modules = repo.at("static/node_modules");
    let system = match env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    let machine = match env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let native = modules.join(format!("@esbuild/{system}-{machine}"));
    let places = [native.join("bin/esbuild"), native.join("esbuild.exe"), modules.join(".bin/esbuild")];
    places.into_iter().find(|path| path.is_file())
}

/// `--define:NAME=JSON`.
pub fn define(name: &str, value: &serde_json::Value) -> String {
    format!("--define:{name}={value}")
}

/// `--outfile=PATH` and the like.
pub fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}
