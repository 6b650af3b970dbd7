//! `cargo xtask setup`: installs what is missing. Every command that builds calls it.

use std::process::ExitCode;

use clap::Args;

use crate::chromium;
use crate::npm;
use crate::packages;
use crate::repo::Repo;
use crate::toolchain::Route;

/// Install what is missing: the wasm toolchain, Node packages, Chromium, QEMU and what compiles kernels
///
/// Costs nothing where all is there. The wasm toolchain is the everyday one with
/// its wasm target where that is or can be had, else Debian's packages; the
/// variable SANDGLASS_WASM=rustup or =debian names the route instead.
#[derive(Args)]
pub struct Setup {
    /// Only what building and serving needs: no Chromium, no test packages, no virtual machines
    #[arg(long)]
    no_tests: bool,
}

impl Setup {
    pub fn run(&self, repo: &Repo) -> anyhow::Result<ExitCode> {
        let route = to_build(repo)?;
        if !self.no_tests {
            to_test(repo)?;
            packages::obtain(&packages::KERNEL)?;
            packages::obtain(&packages::LAB)?;
        }
        println!("All is there. Modules are compiled by {} ({}).", route.name(), route.version()?);
        Ok(ExitCode::SUCCESS)
    }
}

/// What building a site needs.
///
/// # Errors
/// Names what is missing and the remedy.
pub fn to_build(repo: &Repo) -> anyhow::Result<Route> {
    let route = Route::obtain()?;
    npm::install(repo, "static")?;
    Ok(route)
}

/// What driving a browser needs, beyond a site.
///
/// # Errors
/// Names what is missing and the remedy.
pub fn to_test(repo: &Repo) -> anyhow::Result<()> {
    npm::install(repo, "playwright")?;
    chromium::obtain()?;
    Ok(())
}
