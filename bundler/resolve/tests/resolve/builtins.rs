//! Modules that only Node has.

use bundler_resolve::Mode::{Import, Require};
use expect_test::expect;

use crate::{check, check_import};

#[test]
fn not_there() {
    check_import(
        "",
        "fs",
        expect![[r#"
        /src/main.ts imports "fs", but fs is a module of Node.js that browsers don't have.
        Do without it: use what browsers offer, or run this code on a server."#]],
    );
    check_import(
        "",
        "node:fs/promises",
        expect![[r#"
        /src/main.ts imports "node:fs/promises", but fs/promises is a module of Node.js that browsers don't have.
        Do without it: use what browsers offer, or run this code on a server."#]],
    );
    check_import(
        "",
        "path",
        expect![[r#"
        /src/main.ts imports "path", but path is a module of Node.js that browsers don't have.
        Add the package "path-browserify", which does the same in browsers, to "dependencies" in package.json."#]],
    );
    check_import(
        "",
        "node:whatever",
        expect![[r#"
        /src/main.ts imports "node:whatever", but whatever is a module of Node.js that browsers don't have.
        Do without it: use what browsers offer, or run this code on a server."#]],
    );
}

#[test]
fn a_package_of_that_name_answers() {
    let tree = r#"
# /node_modules/buffer/index.js
# /node_modules/events pending
# /node_modules/process/browser.js
# /node_modules/path-browserify/index.js
# /node_modules/p/index.js
"#;
    check_import(tree, "buffer", expect!["/node_modules/buffer/index.js"]);
    check_import(tree, "node:buffer", expect!["/node_modules/buffer/index.js"]);
    check_import(tree, "buffer/", expect!["/node_modules/buffer/index.js"]);
    check_import(tree, "events", expect!["pending /node_modules/events by events"]);
    check_import(tree, "process/browser", expect!["/node_modules/process/browser.js"]);
    check(tree, "/node_modules/p/index.js", "path", Require, expect!["/node_modules/path-browserify/index.js"]);
    check(
        tree,
        "/node_modules/p/index.js",
        "node:path/posix",
        Import,
        expect!["/node_modules/path-browserify/index.js"],
    );
}
