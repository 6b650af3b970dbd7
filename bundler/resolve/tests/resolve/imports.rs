//! `imports`: names with `#` that only their own package knows.

use bundler_resolve::Mode::{Import, Require};
use expect_test::expect;

use crate::{check, check_import};

const TREE: &str = r##"
# /package.json
{"imports": {
  "#a": "./src/a.ts",
  "#u/*": "./src/u/*.js",
  "#u/private/*": null,
  "#dep": {"node": "fs", "default": "dep"},
  "#dep/*": "dep/*",
  "#mode": {"import": "./src/a.ts", "require": "./src/u/b.ts"},
  "#self": "#a",
  "#out": "../x.js",
  "#url": "https://a/b.js",
  "#fs": "node:fs"
}}
# /src/a.ts
# /src/u/b.ts
# /node_modules/dep/package.json
{"imports": {"#in": "./in.js"}}
# /node_modules/dep/index.js
# /node_modules/dep/x.js
# /node_modules/dep/in.js
# /node_modules/dep/esm/package.json
{"type": "module"}
# /node_modules/dep/esm/x.js
"##;

#[test]
fn files_and_packages() {
    check_import(TREE, "#a", expect!["/src/a.ts"]);
    check_import(TREE, "#a?raw", expect!["/src/a.ts?raw"]);
    check_import(TREE, "#u/b", expect!["/src/u/b.ts"]);
    check_import(TREE, "#dep", expect!["/node_modules/dep/index.js"]);
    check_import(TREE, "#dep/x", expect!["/node_modules/dep/x.js"]);
    check_import(TREE, "#url", expect!["url https://a/b.js"]);
    check_import(TREE, "#mode", expect!["/src/a.ts"]);
    check(TREE, "/src/m.ts", "#mode", Require, expect!["/src/u/b.ts"]);
    check(TREE, "/node_modules/dep/x.js", "#in", Require, expect!["/node_modules/dep/in.js"]);
}

#[test]
fn only_the_nearest_manifest_counts() {
    check(
        TREE,
        "/node_modules/dep/esm/x.js",
        "#in",
        Import,
        expect![[r##"
        /node_modules/dep/esm/x.js imports "#in", but "imports" of /node_modules/dep/esm/package.json doesn't have it.
        Add it to "imports" of /node_modules/dep/esm/package.json."##]],
    );
}

#[test]
fn what_is_wrong_is_said() {
    check_import(
        TREE,
        "#b",
        expect![[r##"
            /src/main.ts imports "#b", but "imports" of /package.json doesn't have it.
            It does have "#a", "#fs", "#dep", "#out" and "#u/*"."##]],
    );
    check_import(
        TREE,
        "#u/private/x",
        expect![[r##"
            /src/main.ts imports "#u/private/x", but "imports" of /package.json doesn't have it.
            It does have "#dep/*", "#u/*", "#url", "#a" and "#dep"."##]],
    );
    check_import(
        TREE,
        "#self",
        expect![[r##"
        /src/main.ts imports "#self", but /package.json maps it to "#a", which can't be a target.
        A target starts with "./" and stays in its package; correct it, or choose another version."##]],
    );
    check_import(
        TREE,
        "#out",
        expect![[r##"
        /src/main.ts imports "#out", but /package.json maps it to "../x.js", which can't be a target.
        A target starts with "./" and stays in its package; correct it, or choose another version."##]],
    );
    check_import(
        TREE,
        "#fs",
        expect![[r##"
        /src/main.ts imports "#fs", but fs is a module of Node.js that browsers don't have.
        Do without it: use what browsers offer, or run this code on a server."##]],
    );
    check_import(
        "",
        "#a",
        expect![[r##"
        /src/main.ts imports "#a", but "imports" of /package.json doesn't have it.
        Add it to "imports" of /package.json."##]],
    );
    check_import(
        TREE,
        "#",
        expect![[r##"
            /src/main.ts imports "#", but "imports" of /package.json doesn't have it.
            It does have "#a", "#fs", "#dep", "#out" and "#u/*"."##]],
    );
}
