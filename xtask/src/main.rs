//! All automation of the repository: `cargo xtask help`.
//!
//! One file a command (`start`, `setup`, `build`, `test`, `bench`, `fuzz`, `corpus`,
//! `dist`, `guest`, `lab`, `doctor`); the others are what commands are made of. Nothing here is done
//! twice: each slow step has a stamp, see `steps`.

#![allow(clippy::print_stdout, reason = "talking to the person at the terminal is what this program is for")]

mod bench;
mod build;
mod chromium;
mod compress;
mod corpus;
mod count;
mod dist;
mod doctor;
mod esbuild;
mod fuzz;
mod guest;
mod lab;
mod machines;
mod markers;
mod npm;
mod packages;
mod process;
mod projects;
mod repo;
mod server;
mod setup;
mod site;
mod start;
mod steps;
mod suite;
mod test;
mod tidy;
mod toolchain;
mod vmm_bench;
mod wasm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use repo::Repo;

/// Builds, serves and tests Sandglass.
///
/// On a fresh machine begin with `cargo xtask start`: it installs what is
/// missing, builds, and serves the playground.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Start(start::Start),
    Setup(setup::Setup),
    Build(build::Build),
    Test(test::Test),
    Bench(bench::Bench),
    Fuzz(fuzz::Fuzz),
    Corpus(corpus::Corpus),
    Dist(dist::Dist),
    Guest(guest::Guest),
    Lab(lab::Lab),
    Doctor(doctor::Doctor),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let repo = Repo::find()?;
    match command {
        Command::Start(start) => start.run(&repo),
        Command::Setup(setup) => setup.run(&repo),
        Command::Build(build) => build.run(&repo),
        Command::Test(test) => test.run(&repo),
        Command::Bench(bench) => bench.run(&repo),
        Command::Fuzz(fuzz) => fuzz.run(&repo),
        Command::Corpus(corpus) => corpus.run(&repo),
        Command::Dist(dist) => dist.run(&repo),
        Command::Guest(guest) => guest.run(&repo),
        Command::Lab(lab) => lab.run(&repo),
        Command::Doctor(doctor) => Ok(doctor.run(&repo)),
    }
}
