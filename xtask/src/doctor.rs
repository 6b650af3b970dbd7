//! `cargo xtask doctor`: what is there and what is missing, with the remedy.

use std::process::{Command, ExitCode};

use clap::Args;
use serde_json::Value;

use crate::process::{ask, remedy};
use crate::repo::Repo;
use crate::steps::read;
use crate::toolchain::Route;
use crate::{chromium, esbuild, npm, packages};

/// Say what is present and what is missing, with versions and remedies
///
/// Ends with 1 if something is missing that building, serving or testing needs.
#[derive(Args)]
pub struct Doctor {}

/// One line of the table.
struct Row {
    what: &'static str,
    /// The version, or what to do.
    state: Result<String, String>,
    required: bool,
}

impl Doctor {
    pub fn run(&self, repo: &Repo) -> ExitCode {
        let rows = rows(repo);
        let width = rows.iter().map(|row| row.what.len()).max().unwrap_or_default();
        for Row { what, state, required } in &rows {
            let (mark, text) = match state {
                Ok(version) => ("ok", version),
                Err(remedy) if *required => ("MISSING", remedy),
                Err(remedy) => ("absent", remedy),
            };
            println!("{mark:<8}{what:<width$}  {text}");
        }
        let missing = rows.iter().filter(|row| row.required && row.state.is_err()).count();
        if missing == 0 {
            println!("\nNothing that is needed is missing.");
            return ExitCode::SUCCESS;
        }
        println!("\n{missing} missing. `cargo xtask setup` installs what it can.");
        ExitCode::FAILURE
    }
}

fn rows(repo: &Repo) -> Vec<Row> {
    let tool = |what, name: &str, args: &[&str]| required(what, ask(Command::new(name).args(args)), &remedy(name));
    vec![
        tool("Rust", "rustc", &["--version"]),
        tool("rustfmt", "cargo", &["fmt", "--version"]),
        tool("clippy", "cargo", &["clippy", "--version"]),
        wasm(),
        Row {
            required: false,
            ..required(
                "nextest",
                ask(Command::new("cargo").args(["nextest", "--version"])).map(first_line),
                "`cargo install cargo-nextest --locked` makes tests quicker; without it `cargo test` runs them",
            )
        },
        Row { what: "Node.js", state: npm::node().map_err(|error| format!("{error:#}")), required: true },
        tool("npm", "npm", &["--version"]),
        packages(repo, "packages of static/", "static"),
        required("esbuild", esbuild::program(repo).and_then(|path| ask(Command::new(path).arg("--version"))), SETUP),
        required("wasm optimiser", package_version(repo, "static", "binaryen"), SETUP),
        packages(repo, "packages of playwright/", "playwright"),
        required("Playwright", package_version(repo, "playwright", "@playwright/test"), SETUP),
        required("Chromium", browser(), "install it (`apt-get install chromium`), or name it by CHROMIUM=PATH"),
        required("QEMU", ask(Command::new("qemu-system-x86_64").arg("--version")).map(first_line), SETUP),
        debian("lab machine", &packages::LAB),
        debian("kernel's sources", &packages::KERNEL),
        tool("git", "git", &["--version"]),
    ]
}

const SETUP: &str = "`cargo xtask setup` installs it";

fn required(what: &'static str, version: Option<String>, remedy: &str) -> Row {
    Row { what, state: version.ok_or_else(|| remedy.to_owned()), required: true }
}

fn wasm() -> Row {
    let state = match Route::find() {
        Ok(Some(route)) => route.version().map(|version| format!("{} ({version})", route.name())),
        Ok(None) => Err(anyhow::anyhow!("{SETUP}")),
        Err(error) => Err(error),
    };
    Row { what: "Rust for wasm", state: state.map_err(|error| format!("{error:#}")), required: true }
}

/// Debian's packages for virtual machines, which only testing needs.
fn debian(what: &'static str, wanted: &[packages::Package]) -> Row {
    let missing = packages::missing(wanted);
    let state = if missing.is_empty() { Ok("all packages".to_owned()) } else { Err(missing.join(" ")) };
    Row {
        what,
        state: state.map_err(|names| format!("`cargo xtask setup`, or `apt-get install {names}`")),
        required: true,
    }
}

fn packages(repo: &Repo, what: &'static str, folder: &str) -> Row {
    let installed = npm::installed(&repo.at(folder));
    required(what, installed.then(|| "as locked".to_owned()), "`cargo xtask setup` installs what the lock says")
}

fn package_version(repo: &Repo, folder: &str, name: &str) -> Option<String> {
    let path = repo.at(folder).join("node_modules").join(name).join("package.json");
    let package: Value = serde_json::from_slice(&read(&path).ok()?).ok()?;
    package["version"].as_str().map(str::to_owned)
}

fn browser() -> Option<String> {
    let path = chromium::find()?;
    ask(Command::new(&path).arg("--version")).map(first_line).or_else(|| Some(path.display().to_string()))
}

fn first_line(text: String) -> String {
    text.lines().next().map(str::to_owned).unwrap_or(text)
}
