//! Messages and remedies.

use bundler_resolve::Mode::Import;
use expect_test::expect;

use crate::{check, check_import};

#[test]
fn missing_file() {
    check_import(
        "",
        "./nothing",
        expect![[r#"
        /src/main.ts imports "./nothing", but /src/nothing doesn't exist.
        Correct the path, or create the file."#]],
    );
}

#[test]
fn case_extension_or_a_slip() {
    let tree = "# /src/App.tsx\n# /src/hooks/useFoo.ts\n# /src/Upper/x.css\n# /src/logo.png";
    check_import(
        tree,
        "./app",
        expect![[r#"
        /src/main.ts imports "./app", but /src/app doesn't exist.
        Did you mean "./App"? There is /src/App.tsx."#]],
    );
    check_import(
        tree,
        "./app.tsx",
        expect![[r#"
        /src/main.ts imports "./app.tsx", but /src/app.tsx doesn't exist.
        Did you mean "./App.tsx"? There is /src/App.tsx."#]],
    );
    check_import(
        tree,
        "./hooks/usefoo",
        expect![[r#"
        /src/main.ts imports "./hooks/usefoo", but /src/hooks/usefoo doesn't exist.
        Did you mean "./hooks/useFoo"? There is /src/hooks/useFoo.ts."#]],
    );
    check_import(
        tree,
        "./upper/x.css",
        expect![[r#"
        /src/main.ts imports "./upper/x.css", but /src/upper/x.css doesn't exist.
        Did you mean "./Upper/x.css"? There is /src/Upper/x.css."#]],
    );
    check_import(
        tree,
        "./logo.svg",
        expect![[r#"
        /src/main.ts imports "./logo.svg", but /src/logo.svg doesn't exist.
        Did you mean "./logo.png"? There is /src/logo.png."#]],
    );
    check_import(
        tree,
        "./logo",
        expect![[r#"
        /src/main.ts imports "./logo", but /src/logo doesn't exist.
        Did you mean "./logo.png"? There is /src/logo.png."#]],
    );
    check_import(
        tree,
        "/src/ap",
        expect![[r#"
        /src/main.ts imports "/src/ap", but /src/ap doesn't exist.
        Did you mean "/src/App"? There is /src/App.tsx."#]],
    );
    check(
        tree,
        "/src/hooks/useFoo.ts",
        "../Ap",
        Import,
        expect![[r#"
        /src/hooks/useFoo.ts imports "../Ap", but /src/Ap doesn't exist.
        Did you mean "../App"? There is /src/App.tsx."#]],
    );
}

#[test]
fn above_the_root() {
    check_import(
        "",
        "../../x",
        expect![[r#"
        /src/main.ts imports "../../x", which is above the project's root.
        Remove a "../", or write the path from the root: "/src/file"."#]],
    );
}

#[test]
fn missing_package() {
    let tree = r#"
# /package.json
{"dependencies": {"react": "*", "lodash": "*"}, "devDependencies": {"vite": "*"}}
"#;
    check_import(
        tree,
        "left-pad",
        expect![[r#"
        /src/main.ts imports "left-pad", but the npm package left-pad is not in the dependencies.
        Add "left-pad" to "dependencies" in package.json."#]],
    );
    check_import(
        tree,
        "@a/b/c",
        expect![[r#"
        /src/main.ts imports "@a/b/c", but the npm package @a/b is not in the dependencies.
        Add "@a/b" to "dependencies" in package.json."#]],
    );
    check_import(
        tree,
        "recat",
        expect![[r#"
        /src/main.ts imports "recat", but the npm package recat is not in the dependencies.
        Did you mean "react"? Else add "recat" to "dependencies" in package.json."#]],
    );
    check_import(
        tree,
        "vite/client",
        expect![[r#"
        /src/main.ts imports "vite/client", but the npm package vite is not in the dependencies.
        Move "vite" from "devDependencies" to "dependencies" in package.json."#]],
    );
}

#[test]
fn an_entry_has_no_importer_to_name() {
    check(
        "",
        "/index.js",
        "left-pad",
        Import,
        expect![[r#"
        "left-pad" is imported, but the npm package left-pad is not in the dependencies.
        Add "left-pad" to "dependencies" in package.json."#]],
    );
}

#[test]
fn aliases_of_other_tools() {
    for alias in ["@/a", "~/a"] {
        let name = &alias[..1];
        let files = crate::Fixture::parse("# /src/main.ts");
        let found = bundler_resolve::Resolver::new(Default::default()).resolve(&files, "/src/main.ts", alias, Import);
        assert_eq!(
            crate::shown(&found),
            format!(
                "/src/main.ts imports \"{alias}\", which is neither a package nor mapped to a folder.\n\
                 Map it in tsconfig.json under \"compilerOptions\": \"paths\": {{\"{name}/*\": [\"./src/*\"]}}."
            )
        );
    }
}

#[test]
fn missing_subpath() {
    check_import(
        "# /node_modules/p/index.js",
        "p/x",
        expect![[r#"
        /src/main.ts imports "p/x", but the package p has no file /node_modules/p/x.
        Correct the path within p, or choose a version of it that has the file."#]],
    );
}

#[test]
fn broken_manifest() {
    check_import(
        "# /node_modules/p/package.json\n{\"main\": }\n# /node_modules/p/index.js",
        "p",
        expect![[r#"
        /src/main.ts imports "p", but /node_modules/p/package.json isn't valid JSON: expected value at line 1 column 10.
        Correct it, or choose another version of the package."#]],
    );
}

#[test]
fn no_specifier_at_all() {
    check_import(
        "",
        "",
        expect![[r#"
        /src/main.ts imports "", which can't be a module: it is empty.
        Write a path such as "./file", the name of a package, or a URL."#]],
    );
    check_import(
        "",
        "./a\0",
        expect![[r#"
        /src/main.ts imports "./a\0", which can't be a module: it has a control character.
        Write a path such as "./file", the name of a package, or a URL."#]],
    );
    check_import(
        "",
        ".\\a",
        expect![[r#"
        /src/main.ts imports ".\\a", which can't be a module: it has a backslash, and paths are written with /.
        Write a path such as "./file", the name of a package, or a URL."#]],
    );
    check_import(
        "",
        ".a",
        expect![[r#"
        /src/main.ts imports ".a", which can't be a module: no package can have this name.
        Write a path such as "./file", the name of a package, or a URL."#]],
    );
    check_import(
        "",
        "npm:react",
        expect![[r#"
        /src/main.ts imports "npm:react", but npm: is not an address a browser can load modules from.
        Import an https: URL, or the name of a package alone."#]],
    );
}
