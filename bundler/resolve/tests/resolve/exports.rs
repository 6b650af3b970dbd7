//! `exports`, by the rules of Node's documentation.

use bundler_resolve::Mode::{Import, Require};
use expect_test::{Expect, expect};

use crate::{check, check_import};

/// A package `p` with these exports and a few files, imported and required.
fn exported(exports: &str, specifier: &str, expect: Expect) {
    in_mode(exports, specifier, Import, expect);
}

fn in_mode(exports: &str, specifier: &str, mode: bundler_resolve::Mode, expect: Expect) {
    let files = "a.js b.js c.mjs d.cjs lib/a.js lib/deep/b.js lib/secret/k.js lib/x.css index.js internal/i.js café.js";
    let mut tree = format!(
        "# /src/m.ts\n# /node_modules/p/package.json\n{{\"name\": \"p\", \"main\": \"index.js\", \"exports\": {exports}}}\n"
    );
    for file in files.split(' ') {
        tree.push_str(&format!("# /node_modules/p/{file}\n"));
    }
    check(&tree, "/src/m.ts", specifier, mode, expect);
}

#[test]
fn strings_and_dots() {
    exported(r#""./a.js""#, "p", expect!["/node_modules/p/a.js"]);
    exported(r#"{".": "./a.js"}"#, "p", expect!["/node_modules/p/a.js"]);
    exported(r#"{".": "./a.js", "./b": "./b.js"}"#, "p/b", expect!["/node_modules/p/b.js"]);
    exported(r#"{".": "./a.js"}"#, "p/", expect!["/node_modules/p/a.js"]);
}

#[test]
fn exports_hide_everything_else() {
    exported(
        r#""./a.js""#,
        "p/b.js",
        expect![[r#"
        /src/m.ts imports "p/b.js", but the package p doesn't export that to browsers.
        It does export "p"."#]],
    );
    exported(
        r#"{".": "./a.js"}"#,
        "p/package.json",
        expect![[r#"
        /src/m.ts imports "p/package.json", but the package p doesn't export that to browsers.
        It does export "p"."#]],
    );
}

#[test]
fn conditions_in_the_order_they_are_written() {
    let exports = r#"{"node": "./a.js", "require": "./d.cjs", "import": "./c.mjs", "default": "./b.js"}"#;
    in_mode(exports, "p", Import, expect!["/node_modules/p/c.mjs"]);
    in_mode(exports, "p", Require, expect!["/node_modules/p/d.cjs"]);
    exported(r#"{"default": "./b.js", "import": "./c.mjs"}"#, "p", expect!["/node_modules/p/b.js"]);
    exported(r#"{"import": "./c.mjs", "browser": "./a.js"}"#, "p", expect!["/node_modules/p/c.mjs"]);
    exported(r#"{"browser": "./a.js", "import": "./c.mjs"}"#, "p", expect!["/node_modules/p/a.js"]);
    exported(r#"{"production": "./b.js", "development": "./a.js"}"#, "p", expect!["/node_modules/p/a.js"]);
    exported(r#"{"types": "./a.d.ts", "deno": "./b.js", "default": "./c.mjs"}"#, "p", expect!["/node_modules/p/c.mjs"]);
}

#[test]
fn module_gives_one_instance_to_import_and_require() {
    let exports = r#"{"module": "./c.mjs", "import": "./a.js", "require": "./d.cjs"}"#;
    in_mode(exports, "p", Import, expect!["/node_modules/p/c.mjs"]);
    in_mode(exports, "p", Require, expect!["/node_modules/p/c.mjs"]);
}

#[test]
fn nested_conditions_fall_through() {
    let exports = r#"{"browser": {"worker": "./a.js"}, "import": {"node": "./a.js", "default": "./c.mjs"}, "default": "./d.cjs"}"#;
    in_mode(exports, "p", Import, expect!["/node_modules/p/c.mjs"]);
    in_mode(exports, "p", Require, expect!["/node_modules/p/d.cjs"]);
}

#[test]
fn no_condition_holds() {
    exported(
        r#"{".": {"node": "./a.js"}}"#,
        "p",
        expect![[r#"
        /src/m.ts imports "p", but the package p doesn't export that to browsers.
        Look up in the documentation of p what can be imported."#]],
    );
    in_mode(
        r#"{"import": "./a.js"}"#,
        "p",
        Require,
        expect![[r#"
        /src/m.ts imports "p", but the package p doesn't export that to browsers.
        Look up in the documentation of p what can be imported."#]],
    );
}

#[test]
fn patterns() {
    let exports = r#"{"./f/*": "./lib/*.js", "./f/*.js": "./lib/*.js", "./f/secret/*": null, "./*.css": "./lib/*.css", "./x/*/y": "./lib/*/b.js"}"#;
    exported(exports, "p/f/a", expect!["/node_modules/p/lib/a.js"]);
    exported(exports, "p/f/a.js", expect!["/node_modules/p/lib/a.js"]);
    exported(exports, "p/f/deep/b", expect!["/node_modules/p/lib/deep/b.js"]);
    exported(exports, "p/x.css", expect!["/node_modules/p/lib/x.css"]);
    exported(exports, "p/x/deep/y", expect!["/node_modules/p/lib/deep/b.js"]);
    exported(
        exports,
        "p/f/secret/k",
        expect![[r#"
            /src/m.ts imports "p/f/secret/k", but the package p doesn't export that to browsers.
            It does export "p/f/*", "p/f/*.js", "p/x/*/y" and "p/*.css"."#]],
    );
}

#[test]
fn the_most_specific_pattern_wins_whatever_the_order() {
    let exports = r#"{"./*": "./*.js", "./lib/*": "./lib/deep/*.js", "./lib/a*": "./lib/a*"}"#;
    exported(exports, "p/lib/b", expect!["/node_modules/p/lib/deep/b.js"]);
    exported(exports, "p/lib/a.js", expect!["/node_modules/p/lib/a.js"]);
    exported(exports, "p/a", expect!["/node_modules/p/a.js"]);
}

#[test]
fn every_star_of_a_target_is_replaced() {
    let tree = "# /src/m.ts\n# /node_modules/p/package.json\n{\"exports\": {\"./*\": \"./d/*/*.js\"}}\n# /node_modules/p/d/x/x.js";
    check(tree, "/src/m.ts", "p/x", Import, expect!["/node_modules/p/d/x/x.js"]);
}

#[test]
fn folder_keys_of_old_packages() {
    let exports = r#"{"./": "./", "./l/": "./lib/"}"#;
    exported(exports, "p/b.js", expect!["/node_modules/p/b.js"]);
    exported(exports, "p/l/deep/b.js", expect!["/node_modules/p/lib/deep/b.js"]);
}

#[test]
fn lists_skip_what_is_invalid() {
    exported(r#"["b.js", "./a.js"]"#, "p", expect!["/node_modules/p/a.js"]);
    exported(r#"[{"node": "./b.js"}, "./a.js"]"#, "p", expect!["/node_modules/p/a.js"]);
    exported(r#"[null, "./a.js"]"#, "p", expect!["/node_modules/p/a.js"]);
    // What is valid and missing isn't skipped: which files exist is no condition.
    exported(
        r#"["./missing.js", "./a.js"]"#,
        "p",
        expect![[r#"
        /src/m.ts imports "p", but the package p has no file /node_modules/p/missing.js.
        Correct the path within p, or choose a version of it that has the file."#]],
    );
    exported(
        "[]",
        "p",
        expect![[r#"
        /src/m.ts imports "p", but the package p doesn't export that to browsers.
        Look up in the documentation of p what can be imported."#]],
    );
}

#[test]
fn null_stops_the_search() {
    exported(
        r#"{".": {"browser": null, "default": "./a.js"}}"#,
        "p",
        expect![[r#"
        /src/m.ts imports "p", but the package p doesn't export that to browsers.
        Look up in the documentation of p what can be imported."#]],
    );
}

#[test]
fn targets_stay_in_their_package() {
    for target in [
        "a.js",
        "../q/a.js",
        "/a.js",
        "./../q/a.js",
        "./node_modules/q/a.js",
        "./lib/%2e%2E/a.js",
        "./lib//a.js",
        "./lib%2fa.js",
        "https://a",
    ] {
        let files = crate::Fixture::parse(&format!(
            "# /src/m.ts\n# /node_modules/p/package.json\n{{\"exports\": \"{target}\"}}"
        ));
        let found = bundler_resolve::Resolver::new(Default::default()).resolve(&files, "/src/m.ts", "p", Import);
        let invalid = matches!(found, Err(bundler_resolve::ResolveError::InvalidTarget { .. }));
        assert!(invalid, "{target}: {found:?}");
    }
    exported(
        r#"{"./*": "./lib/*"}"#,
        "p/../../secret",
        expect![[r#"
        /src/m.ts imports "p/../../secret", but /node_modules/p/package.json maps it to "./lib/*", which can't be a target.
        A target starts with "./" and stays in its package; correct it, or choose another version."#]],
    );
}

#[test]
fn subpaths_beside_conditions_are_neither() {
    exported(
        r#"{".": "./a.js", "import": "./b.js"}"#,
        "p",
        expect![[r#"
        /src/m.ts imports "p", but /node_modules/p/package.json maps it to subpaths and conditions side by side, which can't be a target.
        A target starts with "./" and stays in its package; correct it, or choose another version."#]],
    );
}

#[test]
fn no_extensions_are_added() {
    exported(
        r#"{"./*": "./*"}"#,
        "p/a",
        expect![[r#"
        /src/m.ts imports "p/a", but the package p has no file /node_modules/p/a.
        Correct the path within p, or choose a version of it that has the file."#]],
    );
}

#[test]
fn names_of_prototypes_are_names() {
    exported(
        r#"{"__proto__": "./b.js", "constructor": "./b.js", "default": "./a.js"}"#,
        "p",
        expect!["/node_modules/p/a.js"],
    );
    exported(r#"{"./__proto__": "./a.js"}"#, "p/__proto__", expect!["/node_modules/p/a.js"]);
    exported(
        r#"{"./a": "./a.js"}"#,
        "p/constructor",
        expect![[r#"
        /src/m.ts imports "p/constructor", but the package p doesn't export that to browsers.
        It does export "p/a"."#]],
    );
}

#[test]
fn decoded_targets() {
    exported(r#"{"./c": "./caf%C3%A9.js"}"#, "p/c", expect!["/node_modules/p/café.js"]);
}

#[test]
fn near_exports_are_listed() {
    exported(
        r#"{"./client": "./a.js", "./server": "./a.js", "./jsx-runtime": "./a.js"}"#,
        "p/clent",
        expect![[r#"
        /src/m.ts imports "p/clent", but the package p doesn't export that to browsers.
        It does export "p/client", "p/server" and "p/jsx-runtime"."#]],
    );
}

#[test]
fn a_package_knows_itself_by_name() {
    let tree = r#"
# /node_modules/p/package.json
{"name": "p", "exports": {".": "./a.js", "./b": "./b.js"}}
# /node_modules/p/a.js
# /node_modules/p/b.js
# /node_modules/p/node_modules/p/index.js
# /node_modules/q/package.json
{"name": "q", "main": "a.js"}
# /node_modules/q/a.js
# /package.json
{"name": "app", "exports": {"./x": "./src/x.js"}}
# /src/x.ts
"#;
    check(tree, "/node_modules/p/a.js", "p/b", Import, expect!["/node_modules/p/b.js"]);
    check(tree, "/node_modules/q/a.js", "q", Require, expect!["/node_modules/q/a.js"]);
    check_import(tree, "app/x", expect!["/src/x.ts"]);
}
