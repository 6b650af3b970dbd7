//! `cargo xtask test`: everything that must hold.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Args;

use crate::process::ask;
use crate::repo::{Profile, Repo};
use crate::steps::files;
use crate::suite::Suite;
use crate::{build, chromium, count, dist, fuzz, machines, npm, server, setup, site, tidy};

/// Run all checks and tests, as CI does
///
/// Steps, in order: fmt, tidy, clippy, rust, lab, fuzz, tsc, node, site, dist, playwright.
/// The last line is `N passed, N failed`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask test                      everything
  cargo xtask test --fast               what needs no wasm and no browser
  cargo xtask test clippy tidy          these steps
  cargo xtask test fuzz                 hostile guests made up by libFuzzer, a few seconds a device
  cargo xtask test lab                  virtual machines, inside an emulated machine with KVM
  cargo xtask test resolve              tests with `resolve` in their name, of any kind
  cargo xtask test playwright overlay   journeys with `overlay` in their name")]
pub struct Test {
    /// Only what is quick: no wasm, no release build, no browser, no fuzzing, no virtual machines
    #[arg(long)]
    fast: bool,
    /// Names of steps, or parts of tests' names
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
}

const STEPS: [&str; 11] = ["fmt", "tidy", "clippy", "rust", "lab", "fuzz", "tsc", "node", "site", "dist", "playwright"];
/// Crates without tests of their own; two are for a browser, and one takes minutes to compile.
const UNTESTED: [&str; 3] = ["sw", "web", "sandglass-glue"];
const QUICK: [&str; 6] = ["fmt", "tidy", "clippy", "rust", "tsc", "node"];
/// What runs tests that have names.
const RUNNERS: [&str; 4] = ["rust", "lab", "node", "playwright"];

impl Test {
    pub fn run(&self, repo: &Repo) -> anyhow::Result<ExitCode> {
        let plan = Plan::new(repo, self)?;
        let mut suite = Suite::default();
        plan.static_checks(&mut suite);
        plan.rust(&mut suite)?;
        plan.lab(&mut suite);
        if plan.wants("fuzz") {
            suite.check("fuzz", || fuzz::briefly(repo));
        }
        plan.scripts(&mut suite)?;
        plan.browser(&mut suite);
        Ok(suite.finish())
    }
}

/// Which steps run, and which tests of them.
struct Plan<'a> {
    repo: &'a Repo,
    fast: bool,
    steps: Vec<&'static str>,
    words: Vec<&'a str>,
}

impl<'a> Plan<'a> {
    fn new(repo: &'a Repo, Test { fast, filters }: &'a Test) -> anyhow::Result<Self> {
        let named: Vec<_> = STEPS.into_iter().filter(|step| filters.iter().any(|filter| filter == step)).collect();
        let words: Vec<_> = filters.iter().map(String::as_str).filter(|filter| !STEPS.contains(filter)).collect();
        let all: &[&str] = match (words.is_empty(), fast) {
            _ if !named.is_empty() => &named,
            (false, _) => &RUNNERS,
            (true, true) => &QUICK,
            (true, false) => &STEPS,
        };
        let mut plan = Self { repo, fast: *fast, steps: all.to_vec(), words };
        // Building a release for a browser that has no such test would take minutes.
        if named.is_empty() && !plan.words.is_empty() {
            let journeys = plan.names_a_journey()?;
            plan.steps.retain(|step| *step != "playwright" || (journeys && !*fast));
            // So would a kernel.
            let virtual_machines = !*fast && machines::names_a_test(repo, &plan.words)?;
            plan.steps.retain(|step| *step != "lab" || virtual_machines);
        }
        Ok(plan)
    }

    fn wants(&self, step: &str) -> bool {
        self.steps.contains(&step)
    }

    fn static_checks(&self, suite: &mut Suite) {
        if self.wants("fmt") {
            suite.program("fmt", cargo(self.repo, "fmt").args(["--all", "--check", "--", "--files-with-diff"]));
        }
        if self.wants("tidy") {
            tidy::run(self.repo, suite);
        }
        if self.wants("clippy") {
            let mut clippy = cargo(self.repo, "clippy");
            // The glue generator's dependencies are large, and compiling it checks its few lines.
            clippy.args(["--workspace", "--all-targets", "--exclude", "sandglass-glue"]);
            if self.fast {
                clippy.args(["--exclude", "sw", "--exclude", "web"]);
            }
            suite.program("clippy", clippy.args(["--", "-D", "warnings"]));
        }
    }

    fn rust(&self, suite: &mut Suite) -> anyhow::Result<()> {
        if !self.wants("rust") {
            return Ok(());
        }
        let nextest = ask(Command::new("cargo").args(["nextest", "--version"])).is_some();
        let mut tests = cargo(self.repo, if nextest { "nextest" } else { "test" });
        if nextest {
            tests.args(["run", "--no-fail-fast", "--no-tests=pass"]);
        } else {
            tests.arg("--no-fail-fast");
        }
        tests.arg("--workspace").args(UNTESTED.iter().flat_map(|name| ["--exclude", name]));
        if nextest && !self.words.is_empty() {
            tests.args(["-E", &self.expression()?]);
        } else if !self.words.is_empty() {
            tests.arg("--").args(&self.words);
        }
        suite.runner("rust", &mut tests, count::rust);
        Ok(())
    }

    /// What needs a KVM that runs Linux. The step `rust` leaves it out, as these tests are ignored elsewhere.
    fn lab(&self, suite: &mut Suite) {
        if self.wants("lab") {
            machines::test(self.repo, &self.words, suite);
        }
    }

    /// Tests whose name, or whose crate's name, has one of the words, as nextest is told.
    fn expression(&self) -> anyhow::Result<String> {
        let metadata = tidy::edges::metadata(self.repo)?;
        let crates =
            metadata["packages"].as_array().into_iter().flatten().filter_map(|package| package["name"].as_str());
        let crates: Vec<&str> = crates.filter(|name| self.words.iter().any(|word| name.contains(word))).collect();
        let named = self.words.iter().map(|word| format!("test(~{word})"));
        // A crate that it runs no tests of would be an error.
        let within = crates.iter().filter(|name| !UNTESTED.contains(name)).map(|name| format!("package({name})"));
        Ok(named.chain(within).collect::<Vec<_>>().join(" | "))
    }

    fn scripts(&self, suite: &mut Suite) -> anyhow::Result<()> {
        let tests = self.wants("node").then(|| self.node_tests()).transpose()?.unwrap_or_default();
        let types = self.wants("tsc");
        if (types || !tests.is_empty()) && !suite.prepare("Node packages", || npm::install(self.repo, "static")) {
            return Ok(());
        }
        if types {
            suite.program("tsc static", &mut self.tsc("static"));
            if !self.fast && suite.prepare("Node packages of tests", || npm::install(self.repo, "playwright")) {
                suite.program("tsc playwright", &mut self.tsc("playwright"));
            }
        }
        if !tests.is_empty() {
            let mut npm = Command::new("npm");
            npm.args(["test", "--silent"]).current_dir(self.repo.at("static"));
            if !self.words.is_empty() {
                npm.arg("--").args(tests);
            }
            suite.runner("node", &mut npm, count::node);
        }
        Ok(())
    }

    fn browser(&self, suite: &mut Suite) {
        let (dist, playwright) = (self.wants("dist"), self.wants("playwright"));
        if !(self.wants("site") || dist || playwright) {
            return;
        }
        let repo = self.repo;
        let built = suite.check("site and server", || build::all(repo, Profile::Release).map(|_| ()));
        if built {
            suite.check("weight", || site::weigh(repo));
        }
        let folder = repo.state("dist");
        let made =
            (dist || playwright) && built && suite.check("dist", || dist::make(repo, &folder, &dist::Origins::local()));
        if !playwright {
            return;
        }
        if !built || !made {
            suite.check("playwright", || anyhow::bail!("not run, as there is nothing to run it on"));
        } else if suite.prepare("browser", || setup::to_test(repo)) {
            suite.runner("playwright", &mut self.journeys(&folder), count::playwright);
        }
    }

    fn journeys(&self, dist: &std::path::Path) -> Command {
        let mut playwright = Command::new("npx");
        playwright.args(["--no-install", "playwright", "test"]).current_dir(self.repo.at("playwright"));
        if !self.words.is_empty() {
            playwright.args(["--grep", &self.words.join("|")]);
        }
        under_test(self.repo, &mut playwright);
        playwright.env("SANDGLASS_DIST", dist);
        playwright
    }

    fn tsc(&self, folder: &str) -> Command {
        let mut tsc = Command::new(self.repo.at(folder).join("node_modules/.bin/tsc"));
        tsc.arg("--noEmit").current_dir(self.repo.at(folder));
        tsc
    }

    /// Test files of `static/` that the words leave.
    fn node_tests(&self) -> anyhow::Result<Vec<String>> {
        let folder = self.repo.at("static");
        let tests = files(&folder)?.into_iter().filter(|path| path.to_string_lossy().ends_with(".test.ts"));
        let inner = |path: PathBuf| path.strip_prefix(&folder).map(|path| path.to_string_lossy().into_owned()).ok();
        let wanted = |path: &String| self.words.is_empty() || self.words.iter().any(|word| path.contains(word));
        Ok(tests.filter_map(inner).filter(wanted).collect())
    }

    /// Whether a journey has one of the words in its title.
    fn names_a_journey(&self) -> anyhow::Result<bool> {
        let texts =
            files(&self.repo.at("playwright/tests"))?.into_iter().filter_map(|path| fs::read_to_string(path).ok());
        let titles = texts.map(|text| {
            text.lines()
                .filter(|line| ["test(\"", "describe(\""].iter().any(|call| line.contains(call)))
                .collect::<String>()
                .to_lowercase()
        });
        let words: Vec<_> = self.words.iter().map(|word| word.to_lowercase()).collect();
        Ok(titles.into_iter().any(|titles| words.iter().any(|word| titles.contains(word))))
    }
}

/// Tells the harness in `playwright/` what is under test.
pub fn under_test(repo: &Repo, command: &mut Command) {
    command.env("SANDGLASS_BIN", server::path(repo, Profile::Release));
    command.env("SANDGLASS_SITE", repo.site(Profile::Release));
    if let Some(path) = chromium::find() {
        command.env("CHROMIUM", path);
    }
}

fn cargo(repo: &Repo, verb: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.arg(verb).current_dir(repo.root());
    cargo
}
