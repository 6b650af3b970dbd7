use std::collections::BTreeMap;

use bundler_npm::{Packument, PackumentState, Solve, solve};
use expect_test::expect;

use crate::universe::{layout, wanted};

/// What registries hold, the oddest included.
const FULL: &str = r#"{
    "_id": "a", "name": "a", "readme": "…", "time": {"1.0.0": "2020-01-01"},
    "dist-tags": {"latest": "1.1.0", "odd": 7},
    "versions": {
        "1.0.0": {
            "name": "a", "version": "1.0.0", "scripts": {"test": "x"},
            "dependencies": {"b": "1", "c": "1", "odd": {"version": "1"}}, "optionalDependencies": {"c": "1"},
            "peerDependencies": {"d": "1", "e": "1"},
            "peerDependenciesMeta": {"d": {"optional": true}, "e": {"optional": false}, "f": {"optional": true}},
            "os": "!win32", "cpu": ["x64", null], "deprecated": "no more",
            "dist": {"integrity": "sha1-qvTGHdzF6KLavt4PO0gs2a6pQ00=", "shasum": "00", "unpackedSize": 7, "tarball": "x"}
        },
        "1.1.0": {"dependencies": [], "peerDependenciesMeta": null, "deprecated": false,
            "dist": {"shasum": "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", "integrity": null}},
        "1.2.0": {"dist": {"tarball": "cannot be verified"}},
        "1.3.0": {},
        "1.4.0": null,
        "not a version": {"dist": {"integrity": "sha1-qvTGHdzF6KLavt4PO0gs2a6pQ00="}},
        "1.5.0-../../x": {"dist": {"integrity": "sha1-qvTGHdzF6KLavt4PO0gs2a6pQ00="}}
    }
}"#;

#[test]
fn trimmed_it_is_the_same_packument() {
    let trimmed = Packument::trimmed(FULL.as_bytes()).expect("a packument");
    expect![[r#"{"name":"a","dist-tags":{"latest":"1.1.0"},"versions":{"1.0.0":{"dependencies":{"b":"1"},"optionalDependencies":{"c":"1"},"peerDependencies":{"d":"1","e":"1"},"peerDependenciesMeta":{"d":{"optional":true}},"os":["!win32"],"cpu":["x64"],"deprecated":true,"dist":{"integrity":"sha1-qvTGHdzF6KLavt4PO0gs2a6pQ00=","unpackedSize":7}},"1.1.0":{"dist":{"shasum":"aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"}}}}"#]].assert_eq(&trimmed);
    let whole = Packument::parse(FULL.as_bytes()).expect("a packument");
    assert_eq!(Packument::parse(trimmed.as_bytes()).expect("a packument"), whole);
    assert_eq!(Packument::trimmed(trimmed.as_bytes()).expect("a packument"), trimmed);
}

#[test]
fn versions_that_cannot_be_verified_are_passed_over() {
    let packument = Packument::parse(FULL.as_bytes()).expect("a packument");
    let known = BTreeMap::from([("a".to_owned(), PackumentState::Found(packument))]);
    let Solve::Done(lock) = solve(&wanted("a:^1.1.0"), None, &known) else { panic!("no lock") };
    assert_eq!(layout(&lock), "a 1.1.0\n");
    assert_eq!(lock.packages["node_modules/a"].integrity, "sha1-qvTGHdzF6KLavt4PO0gs2a6pQ00=");
}

#[test]
fn what_is_none() {
    for text in [
        "",
        "<html>",
        "[]",
        r#"{"error": "x"}"#,
        r#"{"name": "a", "versions": []}"#,
        r#"{"name": "a", "versions": {"1.0.0": 7}}"#,
        r#"{"name": "a""#,
    ] {
        assert!(Packument::parse(text.as_bytes()).is_err(), "{text}");
        assert!(Packument::trimmed(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Packument::parse(&[0xff, 0xfe]).is_err());
}
