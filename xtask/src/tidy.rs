//! Rules about the sources that no compiler knows.
//!
//! Each rule gives what breaks it, as `file: what`. None of them looks at files
//! that git ignores.

pub mod edges;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::process::ask;
use crate::repo::Repo;
use crate::suite::Suite;

/// Beyond this a file holds a second idea.
const MAX_LINES: usize = 600;

/// Sources that people write and read.
const SOURCES: [&str; 6] = ["rs", "ts", "mjs", "css", "html", "md"];

/// What must not get into the repository. In two halves, or this file would break the rule itself.
const FOREIGN: [(&str, &str, &str); 8] = [
    ("registry.np", "mjs.", "names a registry: npm's configuration does"),
    ("registry.yarn", "pkg.", "names a registry: npm's configuration does"),
    ("npm", "mirror.com", "names a registry: npm's configuration does"),
    ("index.crates", ".io", "names a registry: cargo's configuration does"),
    ("\"/ro", "ot/", "is a path of one machine"),
    ("\"/wo", "rk/", "is a path of one machine"),
    ("/ho", "me/", "is a path of one machine"),
    ("/Us", "ers/", "is a path of one machine"),
];

/// The bundler gets files, time and network from whoever calls it.
const IMPURE: [&str; 7] =
    ["std::fs", "std::net", "std::env::", "std::process", "std::thread", "Instant::now", "SystemTime::now"];

/// Runs all rules, each as one check.
pub fn run(repo: &Repo, suite: &mut Suite) {
    let files = match tracked(repo) {
        Ok(files) => files,
        Err(error) => {
            suite.check("tidy", || Err(error));
            return;
        }
    };
    suite.check("tidy: who knows whom", || report(edges::broken(repo)?));
    suite.check("tidy: length of files", || report(too_long(&files)));
    suite.check("tidy: module headers", || report(headless(&files)));
    suite.check("tidy: hosts and paths", || report(foreign(&files)));
    suite.check("tidy: a pure bundler", || report(impure(&files)));
}

fn report(mut problems: Vec<String>) -> anyhow::Result<()> {
    problems.sort();
    if problems.is_empty() { Ok(()) } else { bail!("\n  {}", problems.join("\n  ")) }
}

/// A file of ours.
struct File {
    path: PathBuf,
    text: String,
}

impl File {
    fn has_extension(&self, extensions: &[&str]) -> bool {
        self.path.extension().and_then(|kind| kind.to_str()).is_some_and(|kind| extensions.contains(&kind))
    }

    fn is_lock(&self) -> bool {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        name == "Cargo.lock" || name == "package-lock.json" || name.ends_with(".lock.json")
    }
}

/// What git tracks, or would if it were added.
fn tracked(repo: &Repo) -> anyhow::Result<Vec<File>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(repo.root());
    let list = ask(&mut git).context("`git ls-files` fails: the rules look at a checkout, with git installed")?;
    let read = |path: &str| {
        // A file that is no text, or deleted but still tracked, has nothing to say.
        let text = fs::read_to_string(repo.at(path)).ok()?;
        Some(File { path: PathBuf::from(path), text })
    };
    Ok(list.lines().filter_map(read).collect())
}

fn too_long(files: &[File]) -> Vec<String> {
    let long = |file: &&File| file.has_extension(&SOURCES) && file.text.lines().count() > MAX_LINES;
    let shown =
        |file: &File| format!("{}: {} lines, {MAX_LINES} is the most", file.path.display(), file.text.lines().count());
    files.iter().filter(long).map(shown).collect()
}

fn headless(files: &[File]) -> Vec<String> {
    let root = |path: &Path| path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
    let without = files.iter().filter(|file| root(&file.path) && !file.text.starts_with("//!"));
    without.map(|file| format!("{}: doesn't open with `//!`", file.path.display())).collect()
}

fn foreign(files: &[File]) -> Vec<String> {
    let mut problems = Vec::new();
    for File { path, text } in files {
        for (number, line) in text.lines().enumerate() {
            for (first, second, why) in FOREIGN {
                if line.contains(&format!("{first}{second}")) {
                    problems.push(format!("{}:{}: {first}{second} {why}", path.display(), number + 1));
                }
            }
        }
    }
    // npm is told to leave addresses out of locks; one that has them binds everyone to a registry.
    let hosts = files.iter().filter(|file| file.is_lock() && file.text.contains("\"resolved\": \"http"));
    problems.extend(hosts.map(|file| format!("{}: records where packages came from", file.path.display())));
    problems
}

fn impure(files: &[File]) -> Vec<String> {
    let mut problems = Vec::new();
    let ours = |path: &Path| path.starts_with("bundler") && path.iter().any(|part| part == "src");
    for File { path, text } in files.iter().filter(|file| ours(&file.path) && file.has_extension(&["rs"])) {
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            if let Some(word) = IMPURE.into_iter().find(|word| line.contains(word)) {
                problems.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: fn(&[File]) -> Vec<String>, path: &str, text: &str, problems: usize) {
        let file = File { path: PathBuf::from(path), text: text.to_owned() };
        assert_eq!(rule(&[file]).len(), problems, "{path}: {text}");
    }

    #[test]
    fn length() {
        check(too_long, "a.rs", &"\n".repeat(600), 0);
        check(too_long, "a.rs", &"\n".repeat(601), 1);
        check(too_long, "a.json", &"\n".repeat(601), 0);
    }

    #[test]
    fn headers() {
        check(headless, "a/src/lib.rs", "//! A.\n", 0);
        check(headless, "a/src/lib.rs", "mod a;\n", 1);
        check(headless, "a/src/other.rs", "mod a;\n", 0);
    }

    #[test]
    fn hosts_and_paths() {
        check(foreign, "a.md", concat!("see registry.np", "mjs.org"), 1);
        check(foreign, "a.ts", concat!("read(\"/ro", "ot/a\")"), 1);
        check(foreign, "a.ts", "read(\"/src/a\")", 0);
        check(foreign, "b/package-lock.json", "{\n\"resolved\": \"https://a/b.tgz\"", 1);
    }

    #[test]
    fn purity() {
        check(impure, "bundler/src/a.rs", "use std::fs;\n", 1);
        check(impure, "bundler/npm/src/a.rs", "let now = Instant::now();\n", 1);
        check(impure, "bundler/src/a.rs", "// not std::fs\n#[cfg(test)]\nmod tests {\nuse std::fs;\n", 0);
        check(impure, "bundler/transform/tests/it/a.rs", "use std::process::Command;\n", 0);
        check(impure, "vmhost/src/a.rs", "use std::fs;\n", 0);
    }
}
