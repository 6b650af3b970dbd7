//! The `browser` field as a map.

use bundler_resolve::Mode::{Import, Require};
use expect_test::expect;

use crate::{check, check_import};

const TREE: &str = r#"
# /node_modules/p/package.json
{"main": "index", "module": "./es/index.js", "browser": {
  "./index.js": "./browser.js",
  "./es/index.js": "./es/browser.js",
  "./lib/node": "./lib/web.js",
  "./lib/folder/index.js": "./lib/web",
  "./lib/gone.js": false,
  "lib/plain.js": "lib/web.js",
  "fs": false,
  "crypto": "./lib/web.js",
  "request": "fetcher",
  "stream": "stream",
  "dep/sub.js": "dep",
  "./a.js": "./b.js",
  "./b.js": "./a.js",
  "./self.js": "./self.js",
  "bad": "./not-there.js",
  "worse": 5,
  "out": "../../../../x"
}}
# /node_modules/p/index.js
# /node_modules/p/browser.js
# /node_modules/p/es/index.js
# /node_modules/p/es/browser.js
# /node_modules/p/es/package.json
{"type": "module"}
# /node_modules/p/lib/node.js
# /node_modules/p/lib/web.js
# /node_modules/p/lib/plain.js
# /node_modules/p/lib/folder/index.js
# /node_modules/p/a.js
# /node_modules/p/b.js
# /node_modules/p/self.js
# /node_modules/fetcher/index.js
# /node_modules/stream/index.js
# /node_modules/dep/index.js
# /node_modules/dep/sub.js
# /node_modules/q/package.json
{"exports": {"./x": "./x.js"}, "browser": {"./x.js": "./y.js"}}
# /node_modules/q/x.js
# /node_modules/q/y.js
"#;

#[test]
fn entries() {
    check_import(TREE, "p", expect!["/node_modules/p/es/browser.js"]);
    check(TREE, "/src/m.js", "p", Require, expect!["/node_modules/p/browser.js"]);
    check_import(TREE, "q/x", expect!["/node_modules/q/y.js"]);
}

#[test]
fn relative_files() {
    let from = "/node_modules/p/lib/plain.js";
    check(TREE, from, "./node", Require, expect!["/node_modules/p/lib/web.js"]);
    check(TREE, from, "./node.js", Require, expect!["/node_modules/p/lib/web.js"]);
    check(TREE, from, "./folder", Require, expect!["/node_modules/p/lib/web.js"]);
    check(TREE, from, "./plain.js", Require, expect!["/node_modules/p/lib/web.js"]);
    check(TREE, from, "./web", Require, expect!["/node_modules/p/lib/web.js"]);
}

#[test]
fn a_file_that_is_not_shipped_can_be_replaced() {
    check(TREE, "/node_modules/p/lib/web.js", "./gone", Require, expect!["empty"]);
    check_import(TREE, "p/lib/gone", expect!["empty"]);
}

#[test]
fn packages_and_builtins() {
    let from = "/node_modules/p/index.js";
    check(TREE, from, "fs", Require, expect!["empty"]);
    check(TREE, from, "node:fs", Import, expect!["empty"]);
    check(TREE, from, "crypto", Require, expect!["/node_modules/p/lib/web.js"]);
    check(TREE, from, "request", Require, expect!["/node_modules/fetcher/index.js"]);
    check(TREE, from, "stream", Require, expect!["/node_modules/stream/index.js"]);
    check(TREE, from, "dep/sub", Require, expect!["/node_modules/dep/index.js"]);
}

#[test]
fn a_manifest_that_only_says_a_type_hides_no_map() {
    check(TREE, "/node_modules/p/es/index.js", "fs", Import, expect!["empty"]);
}

#[test]
fn the_map_of_another_package_is_not_asked() {
    check(
        TREE,
        "/node_modules/dep/index.js",
        "request",
        Require,
        expect![[r#"
        /node_modules/dep/index.js imports "request", but the npm package request is not in the dependencies.
        Add "request" to "dependencies" in package.json: dep expects it to be there."#]],
    );
}

#[test]
fn cycles_end_after_one_step() {
    let from = "/node_modules/p/index.js";
    check(TREE, from, "./a", Require, expect!["/node_modules/p/b.js"]);
    check(TREE, from, "./b", Require, expect!["/node_modules/p/a.js"]);
    check(TREE, from, "./self", Require, expect!["/node_modules/p/self.js"]);
}

#[test]
fn values_that_lead_nowhere() {
    let from = "/node_modules/p/index.js";
    check(
        TREE,
        from,
        "bad",
        Require,
        expect![[r#"
        /node_modules/p/index.js imports "bad", but /node_modules/p/not-there.js doesn't exist.
        Correct the path, or create the file."#]],
    );
    check(
        TREE,
        from,
        "worse",
        Require,
        expect![[r#"
        /node_modules/p/index.js imports "worse", but the npm package worse is not in the dependencies.
        Add "worse" to "dependencies" in package.json: p expects it to be there."#]],
    );
    check(
        TREE,
        from,
        "out",
        Require,
        expect![[r#"
        /node_modules/p/index.js imports "out", but /node_modules/p/package.json maps it to "../../../../x", which can't be a target.
        A target starts with "./" and stays in its package; correct it, or choose another version."#]],
    );
}

#[test]
fn maps_of_two_packages_in_a_circle_overflow_no_stack() {
    let tree = r#"
# /node_modules/a/package.json
{"browser": {"./index.js": "b"}}
# /node_modules/a/index.js
# /node_modules/b/package.json
{"browser": {"./index.js": "a"}}
# /node_modules/b/index.js
"#;
    check_import(tree, "a", expect!["/node_modules/a/index.js"]);
}
