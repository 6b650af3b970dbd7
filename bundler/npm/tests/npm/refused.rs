//! What stands against a lock, and what is said about it.

use expect_test::expect;

use crate::solve::check;
use crate::universe::{drive, universe, wanted};

#[test]
fn what_package_json_gets_wrong() {
    let registry = "
        a@1.2.3
        a@2.0.0-beta.1 #next
        down !fails
    ";
    for (dependencies, expected) in [
        (
            "gone:1 a:^9",
            expect![[r#"
            a: No version of a is in the range "^9"; the latest is 1.2.3.
                Write "a": "^1.2.3".
            gone: There is no package gone in the registry.
                Check how it is spelled.
        "#]],
        ),
        (
            "a:nightly",
            expect![[r#"
            a: No version of a is tagged "nightly"; its tags are latest, next.
                Write "a": "latest".
        "#]],
        ),
        (
            "down:1",
            expect![[r#"
            down: down can't be looked up: the line is cut.
                Try again when the registry answers.
        "#]],
        ),
        (
            "a:!1",
            expect![[r#"
            a: a: "!1" is not a range of versions.
                Write a range such as `^1.0.0`, or `latest`.
        "#]],
        ),
        (
            "a:git+ssh://git@host/a.git",
            expect![[r#"
            a: a: "git+ssh://git@host/a.git" is a git repository, and only packages of the registry can be used here.
                Use a published version of the package, or copy its files into the project.
        "#]],
        ),
        (
            "a:user/repository",
            expect![[r#"
            a: a: "user/repository" is a git repository, and only packages of the registry can be used here.
                Use a published version of the package, or copy its files into the project.
        "#]],
        ),
        (
            "a:file:../a",
            expect![[r#"
            a: a: "file:../a" is a path on a disk, and only packages of the registry can be used here.
                Copy the folder's files into the project and import them by path.
        "#]],
        ),
        (
            "a:../a",
            expect![[r#"
            a: a: "../a" is a path on a disk, and only packages of the registry can be used here.
                Copy the folder's files into the project and import them by path.
        "#]],
        ),
        (
            "a:http://host/a.tgz",
            expect![[r#"
            a: a: "http://host/a.tgz" is an address, and only packages of the registry can be used here.
                Use the published version that lies at this address.
        "#]],
        ),
        (
            "a:workspace:*",
            expect![[r#"
            a: a: "workspace:*" is a package of a workspace, and only packages of the registry can be used here.
                Write the published range, or copy the package's files into the project.
        "#]],
        ),
        (
            "a:jsr:@a/b",
            expect![[r#"
            a: a: "jsr:@a/b" is a protocol of another package manager, and only packages of the registry can be used here.
                Write a range of a package in npm's registry.
        "#]],
        ),
        (
            "a:npm:../b",
            expect![[r#"
            a: a: "npm:../b" is not an alias of a package.
                Write it as `npm:name@^1.0.0`.
        "#]],
        ),
        (
            "../a:1",
            expect![[r#"
            ../a: ../a: "../a" is not a package name.
                Write it as in the registry: `name` or `@scope/name`.
        "#]],
        ),
        (
            "node_modules:1",
            expect![[r#"
            node_modules: node_modules: "node_modules" is not a package name.
                Write it as in the registry: `name` or `@scope/name`.
        "#]],
        ),
    ] {
        check(registry, dependencies, expected);
    }
}

#[test]
fn what_a_package_gets_wrong() {
    let registry = "
        a@1.0.0 b:1
        b@1.0.0 gone:1 down:1 c:^9 ../../x:1 d:git://host/d
        c@1.0.0
        down !fails
    ";
    check(
        registry,
        "a:1",
        expect![[r#"
        a: ../../x: "../../x" is not a package name (needed by a@1.0.0 → b@1.0.0).
            Use another version of a, or do without it.
        a: No version of c is in the range "^9"; the latest is 1.0.0 (needed by a@1.0.0 → b@1.0.0).
            Use another version of a, or do without it.
        a: d: "git://host/d" is a git repository, and only packages of the registry can be used here (needed by a@1.0.0 → b@1.0.0).
            Use another version of a, or do without it.
        a: down can't be looked up: the line is cut (needed by a@1.0.0 → b@1.0.0).
            Try again when the registry answers.
        a: There is no package gone in the registry (needed by a@1.0.0 → b@1.0.0).
            Use another version of a, or do without it.
    "#]],
    );
}

#[test]
fn peers_that_contradict_each_other() {
    check(
        "
        react@18.3.1
        react@19.0.0
        ui@1.0.0 peer:react:^18.0.0
        zui@1.0.0 peer:react:^18.0.0
        ",
        "react:^19 ui:1",
        expect![[r#"
            ui: ui@1.0.0 expects react@^18.0.0 beside it, but react@19.0.0 is there, as package.json asks for react@^19.
                Ask for react@^18.0.0 in package.json, or for a version of ui that goes with the react there is.
        "#]],
    );
    check(
        "
        react@18.3.1
        react@19.0.0
        zui@1.0.0 peer:react:^18.0.0
        ",
        "react:^19 zui:1",
        expect![[r#"
            zui: zui@1.0.0 expects react@^18.0.0 beside it, but react@19.0.0 is there, as package.json asks for react@^19.
                Ask for react@^18.0.0 in package.json, or for a version of zui that goes with the react there is.
        "#]],
    );
    check(
        "
        a@1.0.0 peer:react:^18.0.0
        b@1.0.0 peer:react:^19.0.0
        react@18.3.1
        react@19.0.0
        ",
        "a:1 b:1",
        expect![[r#"
            a: a@1.0.0 expects react@^18.0.0 beside it, but b@1.0.0 asks for react@^19.0.0.
                Ask for react@^18.0.0 in package.json, or for a version of a that goes with the react there is.
            b: b@1.0.0 expects react@^19.0.0 beside it, but a@1.0.0 asks for react@^18.0.0.
                Ask for react@^19.0.0 in package.json, or for a version of b that goes with the react there is.
        "#]],
    );
}

#[test]
fn too_many_packages() {
    let mut registry = String::new();
    for n in 0..5_100 {
        registry.push_str(&format!("p{n}@1.0.0 p{}:1\n", n + 1));
    }
    let mut first = String::new();
    for n in 0..5_100 {
        first.push_str(&format!("p{n}:1 "));
    }
    let found = drive(&universe(&registry), &wanted(&first), None).result.expect_err("it is too much");
    assert_eq!(found.len(), 1);
    assert!(found[0].message().contains("more than 5000 packages"), "{}", found[0]);
}
