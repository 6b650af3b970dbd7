//! `paths` and `baseUrl` of `tsconfig.json`.

use bundler_resolve::Mode::Import;
use expect_test::expect;

use crate::{check, check_import};

const FILES: &str = r#"
# /src/a.ts
# /src/ui/button/index.tsx
# /src/ui/special.ts
# /src/fallback/x.ts
# /src/react.ts
# /src/types/dep.d.ts
# /node_modules/dep/index.js
# /node_modules/react/index.js
# /node_modules/later pending
"#;

fn tree(config: &str) -> String {
    format!("{FILES}\n# /tsconfig.json\n{config}\n")
}

#[test]
fn paths_with_comments_and_trailing_commas() {
    let tree = tree(
        r#"{
  // for the editor too
  "compilerOptions": {
    "paths": {
      "@/*": ["./src/*"], /* all */
      "@/ui/*": ["./src/missing/*", "src/ui/*"],
      "exact": ["./src/a"],
      "*/suffix": ["./src/fallback/*"],
    },
  },
}"#,
    );
    check_import(&tree, "@/a", expect!["/src/a.ts"]);
    check_import(&tree, "@/a.js", expect!["/src/a.ts"]);
    check_import(&tree, "@/a?raw", expect!["/src/a.ts?raw"]);
    check_import(&tree, "@/ui/button", expect!["/src/ui/button/index.tsx"]);
    check_import(&tree, "exact", expect!["/src/a.ts"]);
    check_import(&tree, "x/suffix", expect!["/src/fallback/x.ts"]);
    check_import(&tree, "dep", expect!["/node_modules/dep/index.js"]);
    check(
        &tree,
        "/node_modules/dep/index.js",
        "exact",
        Import,
        expect![[r#"
        /node_modules/dep/index.js imports "exact", but the npm package exact is not in the dependencies.
        Add "exact" to "dependencies" in package.json: dep expects it to be there."#]],
    );
}

#[test]
fn base_url() {
    let tree = tree(r#"{"compilerOptions": {"baseUrl": "./src", "paths": {"~ui/*": ["ui/*"]}}}"#);
    check_import(&tree, "a", expect!["/src/a.ts"]);
    check_import(&tree, "ui/special", expect!["/src/ui/special.ts"]);
    check_import(&tree, "~ui/special", expect!["/src/ui/special.ts"]);
    check_import(&tree, "react", expect!["/src/react.ts"]);
    check_import(&tree, "dep", expect!["/node_modules/dep/index.js"]);
}

#[test]
fn nothing_above_the_root() {
    let tree = tree(r#"{"compilerOptions": {"baseUrl": "../..", "paths": {"@/*": ["./src/*"], "up": ["../../a"]}}}"#);
    check_import(
        &tree,
        "@/../../../a",
        expect![[r#"
        /src/main.ts imports "@/../../../a", which is neither a package nor mapped to a folder.
        Map it in tsconfig.json under "compilerOptions": "paths": {"@/*": ["./src/*"]}."#]],
    );
    check_import(&tree, "dep", expect!["/node_modules/dep/index.js"]);
}

#[test]
fn types_and_packages_to_come_are_not_what_a_path_means() {
    let tree =
        tree(r#"{"compilerOptions": {"paths": {"dep": ["./src/types/dep.d.ts"], "react": ["./node_modules/later"]}}}"#);
    check_import(&tree, "dep", expect!["/node_modules/dep/index.js"]);
    check_import(&tree, "react", expect!["/node_modules/react/index.js"]);
}

#[test]
fn inherited() {
    let tree = format!(
        "{FILES}{}",
        r##"
# /tsconfig.json
{"extends": ["./config/one", "./config/two.json", "@scope/config", "./nowhere"]}
# /config/one.json
{"compilerOptions": {"paths": {"gone": ["../src/a"]}}}
# /config/two.json
{"extends": "../tsconfig.json", "compilerOptions": {"paths": {"@/*": ["../src/*"], "#x": ["${configDir}/src/a"]}}}
"##
    );
    check_import(&tree, "@/a", expect!["/src/a.ts"]);
    check_import(&tree, "#x", expect!["/src/a.ts"]);
    check_import(
        &tree,
        "gone",
        expect![[r#"
        /src/main.ts imports "gone", but the npm package gone is not in the dependencies.
        Add "gone" to "dependencies" in package.json."#]],
    );
}

#[test]
fn the_configuration_that_vite_references() {
    let tree = format!(
        "{FILES}{}",
        r#"
# /tsconfig.json
{"files": [], "references": [{"path": "./tsconfig.app.json"}]}
# /tsconfig.app.json
{"compilerOptions": {"paths": {"@/*": ["./src/*"]}}}
"#
    );
    check_import(&tree, "@/a", expect!["/src/a.ts"]);
}

#[test]
fn broken_ones_say_nothing() {
    for config in
        ["", "{", "[]", "5", r#"{"compilerOptions": {"paths": {"a": 5, "b": [6, {}], "*": "x"}, "baseUrl": []}}"#]
    {
        check_import(&tree(config), "dep", expect!["/node_modules/dep/index.js"]);
    }
}
