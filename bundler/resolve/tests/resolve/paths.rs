//! Relative and absolute specifiers, extensions, index files, queries, URLs.

use bundler_resolve::Mode::{Import, Require};
use expect_test::expect;

use crate::{check, check_import};

const TREE: &str = r#"
# /index.html
# /src/a.ts
# /src/a.js
# /src/b.tsx
# /src/b.ts
# /src/b/index.ts
# /src/style.css
# /src/data.json
# /src/logo.svg
# /src/a#b.js
# /src/a b.js
# /src/%41.js
# /src/folder/index.jsx
# /src/folder/deep/inner.ts
# /src/only.mjs
# /src/lib/package.json
{"main": "./start", "module": "missing.js"}
# /src/lib/start.js
# /src/lib/index.js
# /src/index.ts
# /index.ts
# /public/vite.svg
# /public/src/logo.svg
"#;

#[test]
fn exact_then_extensions_then_folders() {
    check_import(TREE, "./a.js", expect!["/src/a.js"]);
    check_import(TREE, "./a", expect!["/src/a.ts"]);
    check_import(TREE, "./b", expect!["/src/b.tsx"]);
    check_import(TREE, "./b/", expect!["/src/b/index.ts"]);
    check_import(TREE, "./folder", expect!["/src/folder/index.jsx"]);
    check_import(TREE, "./only", expect!["/src/only.mjs"]);
    check_import(TREE, "./style", expect!["/src/style.css"]);
    check_import(TREE, "./data", expect!["/src/data.json"]);
}

#[test]
fn folder_with_a_manifest_starts_where_it_says() {
    check_import(TREE, "./lib", expect!["/src/lib/start.js"]);
    check_import(TREE, "./lib/", expect!["/src/lib/start.js"]);
}

#[test]
fn dots() {
    check_import(TREE, ".", expect!["/src/index.ts"]);
    check_import(TREE, "./", expect!["/src/index.ts"]);
    check_import(TREE, "..", expect!["/index.ts"]);
    check(TREE, "/src/folder/deep/inner.ts", "../..", Import, expect!["/src/index.ts"]);
    check(TREE, "/src/folder/deep/inner.ts", "..", Import, expect!["/src/folder/index.jsx"]);
    check_import(TREE, ".//a.js", expect!["/src/a.js"]);
    check_import(TREE, "./folder/.././a.js", expect!["/src/a.js"]);
}

#[test]
fn a_folder_is_not_a_file_of_its_name() {
    check(
        "# /src.ts\n# /src/main.ts",
        "/src/main.ts",
        ".",
        Import,
        expect![[r#"
        /src/main.ts imports ".", but /src doesn't exist.
        Correct the path, or create the file."#]],
    );
}

#[test]
fn absolute_is_from_the_root() {
    check_import(TREE, "/src/a", expect!["/src/a.ts"]);
    check_import(TREE, "/", expect!["/index.ts"]);
    check("# /src/a.ts\n# /node_modules/p/x.js", "/node_modules/p/x.js", "/src/a", Import, expect!["/src/a.ts"]);
}

#[test]
fn public_files_by_their_address() {
    check_import(TREE, "/vite.svg", expect!["/public/vite.svg"]);
    check_import(TREE, "/vite.svg?url", expect!["/public/vite.svg?url"]);
    check_import(TREE, "/src/logo.svg", expect!["/src/logo.svg"]);
}

#[test]
fn typescript_names_its_output() {
    let tree = "# /a.ts\n# /b.tsx\n# /c.mts\n# /d.cts\n# /e.tsx\n# /m.ts\n# /m.js\n# /x.js\n# /x.tsx";
    check(tree, "/m.ts", "./a.js", Import, expect!["/a.ts"]);
    check(tree, "/m.ts", "./b.js", Import, expect!["/b.tsx"]);
    check(tree, "/m.ts", "./b.jsx", Import, expect!["/b.tsx"]);
    check(tree, "/m.ts", "./c.mjs", Import, expect!["/c.mts"]);
    check(tree, "/m.ts", "./d.cjs", Require, expect!["/d.cts"]);
    check(tree, "/m.ts", "./x.js", Import, expect!["/x.js"]);
    check(
        tree,
        "/m.js",
        "./a.js",
        Import,
        expect![[r#"
        /m.js imports "./a.js", but /a.js doesn't exist.
        Did you mean "./a.ts"? There is /a.ts."#]],
    );
}

#[test]
fn queries_are_kept_and_fragments_dropped() {
    check_import(TREE, "./logo.svg?raw", expect!["/src/logo.svg?raw"]);
    check_import(TREE, "./logo.svg?raw#x", expect!["/src/logo.svg?raw"]);
    check_import(TREE, "./logo.svg#icon", expect!["/src/logo.svg"]);
    check_import(TREE, "./a.js?", expect!["/src/a.js"]);
    check_import(TREE, "./a?a=1&b=2?c", expect!["/src/a.ts?a=1&b=2?c"]);
    check_import(TREE, "./a#b.js", expect!["/src/a#b.js"]);
    check_import(TREE, "./a#b", expect!["/src/a#b.js"]);
}

#[test]
fn percent_encoded() {
    check_import(TREE, "./a%20b.js", expect!["/src/a b.js"]);
    check_import(TREE, "./a b", expect!["/src/a b.js"]);
    check_import(TREE, "./%41.js", expect!["/src/%41.js"]);
    check(
        TREE,
        "/src/a.js",
        "./a%20b.js",
        Require,
        expect![[r#"
            /src/a.js imports "./a%20b.js", but /src/a%20b.js doesn't exist.
            Correct the path, or create the file."#]],
    );
}

#[test]
fn addresses_are_left_to_the_browser() {
    for url in ["https://esm.example/a?b#c", "http://a", "//a/b.js", "data:text/javascript,export{}\\n", "blob:x"] {
        let found = crate::shown(&bundler_resolve::Resolver::new(Default::default()).resolve(
            &crate::fixture::Fixture::default(),
            "/src/main.ts",
            url,
            Import,
        ));
        assert_eq!(found, format!("url {url}"));
    }
}

#[test]
fn packages_prefer_javascript_to_the_sources_beside_it() {
    let tree = "# /node_modules/p/x.ts\n# /node_modules/p/x.js\n# /node_modules/p/y.json\n# /node_modules/p/y.css\n# /node_modules/p/main.ts";
    check(tree, "/node_modules/p/main.ts", "./x", Import, expect!["/node_modules/p/x.js"]);
    check(tree, "/node_modules/p/main.ts", "./y", Require, expect!["/node_modules/p/y.json"]);
}
