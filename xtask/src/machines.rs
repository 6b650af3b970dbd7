//! The step `lab` of `cargo xtask test`: the VMM's tests that need a KVM which runs Linux.
//!
//! In:  the integration tests of the crate `vmm` in the module `lab`, and what they boot.
//! Out: their outcomes, from inside the lab machine.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

use crate::process::ask;
use crate::repo::Repo;
use crate::steps::{files, read};
use crate::suite::Suite;
use crate::{count, guest, lab, process};

/// Where these tests are, and the beginning of their names.
const SOURCES: &str = "vmhost/vmm/tests/it/lab";
const MODULE: &str = "lab::";

/// The two processors are emulated, and most tests use one for the guest and one for the VMM's threads.
const THREADS: &str = "1";
/// All of them together, on a machine that is busy with other things.
const LIMIT_S: &str = "1800";

/// Builds the tests and what they boot, and runs those that have one of the words in their name.
pub fn test(repo: &Repo, words: &[&str], suite: &mut Suite) {
    let mut images = None;
    let made = suite.prepare("guest", || {
        images = Some(guest::obtain(repo)?);
        lab::prepare(repo)
    });
    let mut programs = None;
    let built = made && suite.prepare("tests of the VMM", || build(repo).map(|built| programs = Some(built)));
    let (true, Some(images), Some(programs)) = (built, images, programs) else { return };
    let mut lab = match lab::command(repo) {
        Ok(lab) => lab,
        Err(error) => {
            suite.check("lab", || Err(error));
            return;
        }
    };
    lab.env("SANDGLASS_GUEST_KERNEL", images.vmlinux).env("SANDGLASS_GUEST_BZIMAGE", images.bzimage);
    lab.env("SANDGLASS_GUEST_INITRAMFS", images.initramfs).env("SANDGLASS_VMM", programs.vmm);
    lab.args(["--timeout", LIMIT_S, "--"]).arg(programs.tests);
    lab.args(["--include-ignored", "--test-threads", THREADS]);
    if words.is_empty() {
        lab.arg(MODULE);
    } else {
        lab.args(named(repo, words).unwrap_or_default());
    }
    suite.runner("lab", &mut lab, count::rust);
}

/// Whether one of these tests has one of the words in its name.
///
/// # Errors
/// When the tests can't be read.
pub fn names_a_test(repo: &Repo, words: &[&str]) -> anyhow::Result<bool> {
    Ok(!named(repo, words)?.is_empty())
}

/// Full names of the tests with one of the words in them, from their sources: nothing is compiled for a word that
/// none of them has.
fn named(repo: &Repo, words: &[&str]) -> anyhow::Result<Vec<String>> {
    let folder = repo.at(SOURCES);
    let mut found = Vec::new();
    for path in files(&folder)? {
        let module = path.strip_prefix(&folder).unwrap_or(&path).with_extension("");
        let module = module.to_string_lossy().replace('/', "::");
        let text = String::from_utf8_lossy(&read(&path)?).into_owned();
        let names = tests(&text).into_iter().map(|test| format!("{MODULE}{module}::{test}"));
        found.extend(names.filter(|name| words.iter().any(|word| name.contains(word))));
    }
    Ok(found)
}

/// Names of the functions below a `#[test]`.
fn tests(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut attributed = false;
    for line in text.lines().map(str::trim) {
        attributed |= line == "#[test]";
        if let Some(rest) = line.strip_prefix("fn ").filter(|_| attributed) {
            found.extend(rest.split('(').next());
            attributed = false;
        }
    }
    found
}

struct Programs {
    tests: PathBuf,
    vmm: PathBuf,
}

fn build(repo: &Repo) -> anyhow::Result<Programs> {
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "-p", "vmm", "--test", "it", "--no-run"]).current_dir(repo.root());
    process::run("compile the VMM's tests", &mut cargo)?;
    // Once more, for nothing but the paths: the messages of a build that has work to do are no progress to show.
    let messages = ask(cargo.arg("--message-format=json")).context("cargo doesn't say what it built")?;
    let messages: Vec<Value> = messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let executable = |kind: &str, name: &str| {
        let wanted = |message: &&Value| {
            let target = &message["target"];
            message["executable"].is_string() && target["name"] == name && target["kind"][0] == kind
        };
        let path = messages.iter().find(wanted).and_then(|message| message["executable"].as_str());
        path.map(PathBuf::from).with_context(|| format!("cargo built no {kind} `{name}`"))
    };
    Ok(Programs { tests: executable("test", "it")?, vmm: executable("bin", "vmm")? })
}

#[cfg(test)]
mod names {
    use super::tests;

    #[test]
    fn of_tests_in_a_file() {
        let text =
            "fn helper() {}\n#[test]\n#[ignore = \"a\"]\nfn boots() {\n}\n\n#[test]\nfn halts() {}\nfn other() {}\n";
        assert_eq!(tests(text), ["boots", "halts"]);
    }
}
