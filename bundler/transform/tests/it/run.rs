//! Runs the linked form of fixtures in Node, against `registry.js`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use bundler_transform::{Kind, Module, quote};
use expect_test::Expect;

use crate::check::Setup;

pub const REGISTRY: &str = include_str!("registry.js");

/// Transforms the files of a fixture, runs `/main.*` and compares what it logs.
pub fn check_run(fixture: &str, expect: &Expect) {
    let files = files(fixture);
    let mut script = REGISTRY.to_owned();
    let mut entry = None;
    for (path, source) in &files {
        let setup = Setup { refresh: fixture.contains("@refresh"), ..Setup::new(path) };
        let module = setup.transform(source).unwrap_or_else(|problems| panic!("{path}: {problems:?}"));
        script.push_str(&registration(path, &module, &files));
        if path.starts_with("/main.") {
            entry = Some(path);
        }
    }
    let entry = quote(entry.expect("a fixture has a /main file"));
    script.push_str(&format!(
        "Promise.resolve().then(()=>__sg.run({entry})).catch(error=>console.log(\"failed:\",error.message));\n"
    ));
    expect.assert_eq(&node(&["-"], &script));
}

/// `# /path` lines separate the files of a fixture.
fn files(fixture: &str) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for part in fixture.trim_start().split("# /").skip(1) {
        let (name, source) = part.split_once('\n').unwrap_or((part, ""));
        files.insert(format!("/{}", name.trim()), source.to_owned());
    }
    files
}

/// A module's registration, with specifiers resolved among these files.
pub fn registration(path: &str, module: &Module, files: &BTreeMap<String, String>) -> String {
    let mut kind = match module.kind {
        Kind::CommonJs => 0,
        Kind::Esm => 1,
        Kind::EsmAsync => 2,
    };
    if path.ends_with(".mjs") {
        kind += 8;
    }
    let id = |specifier: &str| resolve(path, specifier, files).map_or("null".to_owned(), |id| quote(&id));
    let statics: Vec<String> = module.imports.iter().map(|import| id(&import.specifier)).collect();
    let requests: Vec<String> = module
        .requests
        .iter()
        .map(|request| format!("{}:{}", quote(&request.specifier), id(&request.specifier)))
        .collect();
    format!("__sg.d({},{kind},[{}],{{{}}},{});\n", quote(path), statics.join(","), requests.join(","), module.factory)
}

fn resolve(from: &str, specifier: &str, files: &BTreeMap<String, String>) -> Option<String> {
    let base = if specifier.starts_with('.') {
        let mut parts: Vec<&str> = from.split('/').collect();
        parts.pop();
        for part in specifier.split('/') {
            match part {
                "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts.join("/")
    } else {
        format!("/node_modules/{specifier}")
    };
    ["", ".js", ".ts", ".tsx", ".jsx", ".mjs", ".cjs", "/index.js"]
        .iter()
        .map(|extension| format!("{base}{extension}"))
        .find(|path| files.contains_key(path))
}

/// What a script that Node reads from its standard input prints.
pub fn node(arguments: &[&str], script: &str) -> String {
    let mut child = Command::new("node")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this test runs what the transform writes: install Node.js so that `node` is on the PATH");
    let mut stdin = child.stdin.take().expect("it is piped");
    let script = script.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
    let output = child.wait_with_output().expect("node can be waited for");
    writer.join().expect("the writer doesn't panic").expect("node reads its script");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "node failed:\n{errors}");
    String::from_utf8(output.stdout).expect("node prints UTF-8")
}
