use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bundler_npm::Lock;
use expect_test::{Expect, expect};

use crate::universe::{drive, layout, universe, wanted};

const SHA1: &str = "sha1-qvTGHdzF6KLavt4PO0gs2a6pQ00=";

/// A lock with these `packages`, read and laid out, or why not.
fn check(packages: &str, expected: Expect) {
    let text = format!(r#"{{"lockfileVersion": 3, "packages": {{{}}}}}"#, packages.replace("SHA1", SHA1));
    check_text(&text, expected);
}

fn check_text(text: &str, expected: Expect) {
    expected.assert_eq(&Lock::parse(text).map_or_else(|error| error.to_string(), |lock| layout(&lock)));
}

#[test]
fn the_text() {
    let registry = universe(
        "
        app@1.0.0 x:^1.0.0 opt:y:1 opt:linux:1 peer:react:>=18 peer?:vue:^3 z:npm:x@^2
        linux@1.0.0 os=linux
        react@19.0.0
        x@1.0.0
        x@2.0.0
        y@1.0.0
        ",
    );
    let lock = drive(&registry, &wanted("app:^1.0.0"), None).result.expect("a lock");
    let hash = without_hashes(&lock.to_text());
    expect![[r#"
        {
          "lockfileVersion": 3,
          "requires": true,
          "packages": {
            "": {
              "dependencies": {
                "app": "^1.0.0"
              }
            },
            "node_modules/app": {
              "version": "1.0.0",
              "integrity": "sha512-…",
              "dependencies": {
                "x": "^1.0.0",
                "z": "npm:x@^2"
              },
              "optionalDependencies": {
                "linux": "1",
                "y": "1"
              },
              "peerDependencies": {
                "react": ">=18",
                "vue": "^3"
              },
              "peerDependenciesMeta": {
                "vue": {
                  "optional": true
                }
              }
            },
            "node_modules/react": {
              "version": "19.0.0",
              "integrity": "sha512-…",
            },
            "node_modules/x": {
              "version": "1.0.0",
              "integrity": "sha512-…",
            },
            "node_modules/y": {
              "version": "1.0.0",
              "integrity": "sha512-…",
            },
            "node_modules/z": {
              "name": "x",
              "version": "2.0.0",
              "integrity": "sha512-…",
            }
          }
        }
    "#]]
    .assert_eq(&hash);
}

/// The text with hashes cut short.
fn without_hashes(text: &str) -> String {
    text.lines()
        .map(|line| match line.split_once("sha512-") {
            Some((start, _)) => format!("{start}sha512-…\",\n"),
            None => format!("{line}\n"),
        })
        .collect()
}

#[test]
fn what_npm_writes_is_read_and_written_canonically() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../static");
    for (path, dependencies) in [
        ("templates/react-ts/package-lock.json", "react:^19.2.0 react-dom:^19.2.0"),
        ("examples/react.lock.json", "react:^19.2.0 react-dom:^19.2.0 clsx:^2.1.1 date-fns:^4.1.0 ms:^2.1.3"),
    ] {
        let text = fs::read_to_string(root.join(path)).expect("a lock of ours");
        let lock = Lock::parse(&text).expect(path);
        let written = lock.to_text();
        assert_eq!(Lock::parse(&written).as_ref(), Ok(&lock), "{path}");
        assert_eq!(Lock::parse(&written).expect("ours").to_text(), written, "{path}");
        assert!(lock.satisfies(&wanted(dependencies)), "{path}");
        assert!(!written.contains("resolved") && !written.contains("http"), "{path}");
    }
}

#[test]
fn only_what_a_page_can_use_is_kept() {
    check(
        r#"
        "": {"name": "x", "dependencies": {"a": "1"}, "devDependencies": {"dev": "1"}, "workspaces": ["packages/*"]},
        "packages/w": {"version": "1.0.0"},
        "node_modules/w": {"resolved": "packages/w", "link": true},
        "node_modules/a": {"version": "1.0.0", "integrity": "SHA1", "bin": {"a": "a.js"}, "hasInstallScript": true},
        "node_modules/a/node_modules/b": {"version": "1.0.0", "inBundle": true},
        "node_modules/dev": {"version": "1.0.0", "integrity": "SHA1", "dev": true},
        "node_modules/linux": {"version": "1.0.0", "integrity": "SHA1", "optional": true, "os": ["linux"], "cpu": ["x64"]},
        "node_modules/wasm": {"version": "1.0.0", "integrity": "SHA1", "optional": true, "cpu": ["wasm32"]},
        "node_modules/alias": {"name": "@real/name", "version": "1.0.0", "integrity": "SHA1", "peer": true}
        "#,
        expect![[r#"
            a 1.0.0
            alias = @real/name 1.0.0
            wasm 1.0.0
        "#]],
    );
}

#[test]
fn what_is_not_a_lock() {
    check_text("", expect!["it is not a package-lock.json: EOF while parsing a value at line 1 column 0"]);
    check_text("[]", expect!["it is not a package-lock.json: invalid length 0, expected an object at line 1 column 2"]);
    check_text(
        r#"{"lockfileVersion": 1, "dependencies": {}}"#,
        expect!["its lockfileVersion is 1, and 3 is wanted, which `npm install --lockfile-version 3` writes"],
    );
    check_text(
        r#"{"lockfileVersion": 3}"#,
        expect![[r#"it has no "packages", which `npm install --lockfile-version 3` writes"#]],
    );
    check_text("\u{feff}{\"lockfileVersion\": 2, \"packages\": {}}", expect![[""]]);
}

#[test]
fn what_could_lead_elsewhere_is_refused() {
    for (packages, expected) in [
        (
            r#""node_modules/../../x": {"version": "1.0.0", "integrity": "SHA1"}"#,
            expect![[r#""node_modules/../../x" is not the path of a package"#]],
        ),
        (
            r#""node_modules/a/b": {"version": "1.0.0", "integrity": "SHA1"}"#,
            expect![[r#""node_modules/a/b" is not the path of a package"#]],
        ),
        (
            r#""node_modules/a": {"version": "../1", "integrity": "SHA1"}"#,
            expect![[r#"node_modules/a has the version "../1", which is not exact"#]],
        ),
        (
            r#""node_modules/a": {"version": "^1.0.0", "integrity": "SHA1"}"#,
            expect![[r#"node_modules/a has the version "^1.0.0", which is not exact"#]],
        ),
        (
            r#""node_modules/a": {"integrity": "SHA1"}"#,
            expect![[r#"node_modules/a has the version "", which is not exact"#]],
        ),
        (
            r#""node_modules/a": {"name": "../x", "version": "1.0.0", "integrity": "SHA1"}"#,
            expect![[r#"node_modules/a has the name "../x", which is not a package name"#]],
        ),
        (
            r#""node_modules/a": {"version": "1.0.0"}"#,
            expect![
                "node_modules/a has no integrity, so it can't be verified; only packages of the registry can be used here"
            ],
        ),
        (
            r#""node_modules/a": {"version": "1.0.0", "integrity": "md5-AA"}"#,
            expect![
                "node_modules/a has no integrity, so it can't be verified; only packages of the registry can be used here"
            ],
        ),
    ] {
        check(packages, expected);
    }
}

#[test]
fn more_packages_than_are_laid_out() {
    let package = |n: u32| format!(r#""node_modules/p{n}": {{"version": "1.0.0", "integrity": "SHA1"}}"#);
    let packages: Vec<String> = (0..5_001).map(package).collect();
    check(&packages.join(","), expect!["it has more than 5000 packages"]);
}

#[test]
fn satisfied_by() {
    let text = r#"{"packages": {
        "": {"dependencies": {"a": "^1.0.0", "@types/a": "1", "t": "next", "r": "npm:real@1"}},
        "node_modules/a": {"version": "1.2.0", "integrity": "SHA1", "dependencies": {"b": "*"}},
        "node_modules/b": {"version": "3.0.0", "integrity": "SHA1"},
        "node_modules/r": {"name": "real", "version": "1.0.0", "integrity": "SHA1"},
        "node_modules/t": {"version": "2.0.0", "integrity": "SHA1"}
    }}"#;
    let lock = Lock::parse(&text.replace("SHA1", SHA1)).expect("a lock");
    for (dependencies, expected) in [
        ("a:^1.0.0 t:next r:npm:real@1", true),
        ("a:^1.1.0 t:next r:npm:real@^1", true),
        ("a:^1.0.0 t:^2 r:npm:real@1", true),
        // Another range, tag or package.
        ("a:^1.3.0 t:next r:npm:real@1", false),
        ("a:^1.0.0 t:latest r:npm:real@1", false),
        ("a:^1.0.0 t:next r:1", false),
        // One more, one less.
        ("a:^1.0.0 t:next r:npm:real@1 b:*", true),
        ("a:^1.0.0 t:next r:npm:real@1 c:*", false),
        ("a:^1.0.0 t:next", false),
        ("a:^1.0.0 t:next r:npm:real@1 @types/a:1", false),
        ("", false),
    ] {
        assert_eq!(lock.satisfies(&wanted(dependencies)), expected, "{dependencies}");
    }
    assert!(Lock::parse(r#"{"packages": {}}"#).expect("a lock").satisfies(&BTreeMap::new()));
}

#[test]
fn a_lock_without_what_a_package_needs_is_of_no_use() {
    let text = r#"{"packages": {
        "": {"dependencies": {"a": "1"}},
        "node_modules/a": {"version": "1.0.0", "integrity": "SHA1", "dependencies": {"b": "*"}}
    }}"#;
    let lock = Lock::parse(&text.replace("SHA1", SHA1)).expect("a lock");
    assert!(!lock.satisfies(&wanted("a:1")));
}
