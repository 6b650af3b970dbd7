//! Packages without `exports`: the lookup upward, `main`, `module`, files within.

use bundler_resolve::Mode::{Import, Require};
use expect_test::expect;

use crate::{check, check_import};

const TREE: &str = r#"
# /node_modules/a/package.json
{"main": "lib/main", "module": "esm/main.js"}
# /node_modules/a/lib/main.js
# /node_modules/a/esm/main.js
# /node_modules/a/sub/package.json
{"main": "../lib/sub.js", "module": "../esm/sub.js"}
# /node_modules/a/lib/sub.js
# /node_modules/a/esm/sub.js
# /node_modules/a/util/index.js
# /node_modules/a/node_modules/b/index.js
# /node_modules/b/index.js
# /node_modules/@s/c/package.json
{"main": "."}
# /node_modules/@s/c/index.js
# /node_modules/@s/c/deep/file.mjs
# /node_modules/single.js
# /node_modules/gone/package.json
{"main": "not-there.js"}
# /node_modules/gone/index.js
# /node_modules/folder-main/package.json
{"main": "dist"}
# /node_modules/folder-main/dist/index.js
# /node_modules/types/package.json
{"types": "index.d.ts", "main": ""}
# /node_modules/types/index.d.ts
# /node_modules/browser/package.json
{"browser": "dist/browser.js", "module": "esm.js", "main": "cjs.js"}
# /node_modules/browser/dist/browser.js
# /node_modules/browser/esm.js
# /node_modules/browser/cjs.js
# /node_modules/odd/package.json
{"main": false, "module": {"a": 1}, "browser": 5, "name": [], "exports": null}
# /node_modules/odd/index.js
# /node_modules/styled/package.json
{"main": "a.js", "style": "a.css"}
# /node_modules/styled/a.js
# /node_modules/styled/a.css
# /src/deep/er/x.ts
# /src/node_modules/b/index.js
# /src/main.css
"#;

#[test]
fn main_and_module_by_mode() {
    check_import(TREE, "a", expect!["/node_modules/a/esm/main.js"]);
    check(TREE, "/src/x.js", "a", Require, expect!["/node_modules/a/lib/main.js"]);
    check_import(TREE, "a/sub", expect!["/node_modules/a/esm/sub.js"]);
    check(TREE, "/src/x.js", "a/sub", Require, expect!["/node_modules/a/lib/sub.js"]);
}

#[test]
fn browser_as_a_string_comes_first() {
    check_import(TREE, "browser", expect!["/node_modules/browser/dist/browser.js"]);
    check(TREE, "/src/x.js", "browser", Require, expect!["/node_modules/browser/dist/browser.js"]);
}

#[test]
fn fields_that_lead_nowhere_are_passed_over() {
    check_import(TREE, "gone", expect!["/node_modules/gone/index.js"]);
    check_import(TREE, "odd", expect!["/node_modules/odd/index.js"]);
    check_import(TREE, "folder-main", expect!["/node_modules/folder-main/dist/index.js"]);
    check_import(TREE, "@s/c", expect!["/node_modules/@s/c/index.js"]);
}

#[test]
fn files_within() {
    check_import(TREE, "a/lib/main", expect!["/node_modules/a/lib/main.js"]);
    check_import(TREE, "a/util", expect!["/node_modules/a/util/index.js"]);
    check_import(TREE, "a/", expect!["/node_modules/a/esm/main.js"]);
    check_import(TREE, "@s/c/deep/file", expect!["/node_modules/@s/c/deep/file.mjs"]);
    check_import(TREE, "a/package.json", expect!["/node_modules/a/package.json"]);
    check_import(TREE, "a/lib/main.js?raw", expect!["/node_modules/a/lib/main.js?raw"]);
    check_import(TREE, "single", expect!["/node_modules/single.js"]);
}

#[test]
fn nearest_node_modules_wins() {
    check_import(TREE, "b", expect!["/src/node_modules/b/index.js"]);
    check(TREE, "/src/deep/er/x.ts", "b", Import, expect!["/src/node_modules/b/index.js"]);
    check(TREE, "/node_modules/a/lib/main.js", "b", Require, expect!["/node_modules/a/node_modules/b/index.js"]);
    check(TREE, "/node_modules/@s/c/index.js", "b", Require, expect!["/node_modules/b/index.js"]);
}

#[test]
fn a_folder_that_only_holds_others_is_passed_over() {
    let tree = "# /app/node_modules/a/node_modules/x/index.js\n# /node_modules/a/index.js";
    check(tree, "/app/m.js", "a", Import, expect!["/node_modules/a/index.js"]);
}

#[test]
fn style_sheets_import_style() {
    check(TREE, "/src/main.css", "styled", Import, expect!["/node_modules/styled/a.css"]);
    check_import(TREE, "styled", expect!["/node_modules/styled/a.js"]);
}

#[test]
fn types_alone_are_no_module() {
    check_import(
        TREE,
        "types",
        expect![[r#"
        /src/main.ts imports "types", but the package types has no module to start with.
        If only types are wanted, write "import type"; else import a file of types by its path."#]],
    );
}

#[test]
fn locked_but_not_unpacked() {
    let tree = r#"
# /node_modules/a pending
# /node_modules/@s/b pending
# /node_modules/c/index.js
# /node_modules/c/node_modules/a pending
# /node_modules/a/node_modules/d/index.js
"#;
    check_import(tree, "a", expect!["pending /node_modules/a by a"]);
    check_import(tree, "a/x/y.css?inline", expect!["pending /node_modules/a by a/x/y.css?inline"]);
    check_import(tree, "@s/b/x", expect!["pending /node_modules/@s/b by @s/b/x"]);
    check_import(tree, "/node_modules/a/x.js", expect!["pending /node_modules/a by /node_modules/a/x.js"]);
    check_import(tree, "../node_modules/@s/b/x", expect!["pending /node_modules/@s/b by /node_modules/@s/b/x"]);
    check(tree, "/node_modules/c/index.js", "a", Require, expect!["pending /node_modules/c/node_modules/a by a"]);
    check(tree, "/node_modules/a/node_modules/d/index.js", "a", Require, expect!["pending /node_modules/a by a"]);
}
