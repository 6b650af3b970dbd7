//! What a page has to do after an edit.

use bundler::{Assets, Change};
use expect_test::{Expect, expect};

use crate::harness::{mount, shown};

const APP: &str = r#"
# /index.html
<!doctype html><html><head><link rel="stylesheet" href="/page.css"></head><body>
<img src="/logo.svg"><script type="module" src="/main.ts"></script></body></html>
# /main.ts
import { value } from "./value";
import "./main.css";
console.log(value);
# /value.ts
export const value = 1;
# /main.css
a { color: red }
# /page.css
b { color: red }
# /logo.svg
<svg/>
# /unused.ts
1;
"#;

fn check(path: &str, text: Option<&str>, expected: &Expect) {
    let mut driver = mount(APP, Assets::ByUrl);
    assert!(matches!(driver.build().change, Change::Load), "a first build is loaded");
    match text {
        Some(text) => driver.write(path, text),
        None => driver.project.write(path, None).expect("the path is valid"),
    }
    expected.assert_eq(&shown(&driver.build()));
}

#[test]
fn edits() {
    check(
        "/value.ts",
        Some("export const value = 2;\n"),
        &expect![[r#"
        change: patch ["/value.ts"] removed [] styles []
    "#]],
    );
    check(
        "/main.css",
        Some("a { color: blue }\n"),
        &expect![[r#"
        change: patch ["/main.css"] removed [] styles []
    "#]],
    );
    check(
        "/page.css",
        Some("b { color: blue }\n"),
        &expect![[r#"
        change: patch [] removed [] styles ["/page.css"]
    "#]],
    );
    check(
        "/logo.svg",
        Some("<svg></svg>\n"),
        &expect![[r#"
        change: load
    "#]],
    );
    check(
        "/index.html",
        Some("<script type=module src=/main.ts></script>"),
        &expect![[r#"
        change: load
    "#]],
    );
    check(
        "/unused.ts",
        Some("2;\n"),
        &expect![[r#"
        change: none
    "#]],
    );
    check(
        "/value.ts",
        Some("export const value = 1;\n"),
        &expect![[r#"
        change: none
    "#]],
    );
    check(
        "/main.ts",
        Some("console.log(1);\n"),
        &expect![[r#"
        change: patch ["/main.ts"] removed ["/main.css", "/value.ts"] styles []
    "#]],
    );
    check(
        "/value.ts",
        None,
        &expect![[r#"
        Error /main.ts:1:23 /main.ts imports "./value", but /value doesn't exist.
        > 1 | import { value } from "./value";
            |                       ^^^^^^^^^
          2 | import "./main.css";
          3 | console.log(value);
        remedy: Correct the path, or create the file.
        change: none
    "#]],
    );
}

#[test]
fn a_new_import_brings_its_module() {
    check(
        "/value.ts",
        Some("import \"./unused\";\nexport const value = 1;\n"),
        &expect![[r#"
        change: patch ["/unused.ts", "/value.ts"] removed [] styles []
    "#]],
    );
}

#[test]
fn patches_carry_only_what_changed() {
    let mut driver = mount(APP, Assets::ByUrl);
    driver.build();
    driver.write("/value.ts", "export const value = 2;\n");
    let Change::Patch(patch) = driver.build().change else { panic!("a module's edit is a patch") };
    expect![[r#"
        (0,eval)("__sg.d(\"/value.ts\",1,[],{},function*($m){\"use strict\";$m.x({value:()=>value});yield;       const value = 2;\n\n})\n//# sourceURL=/value.ts?t=8");
    "#]].assert_eq(&patch.code);
}

#[test]
fn renamed_folders_move_with_all_files() {
    let mut driver = mount("# /a/x.ts\n1;\n# /a/b/y.ts\n2;\n# /ab.ts\n3;\n", Assets::ByUrl);
    driver.project.rename("/a", "/c").expect("the folder is there");
    assert_eq!(driver.project.list(), ["/ab.ts", "/c/b/y.ts", "/c/x.ts"]);
    assert!(driver.project.rename("/gone", "/d").is_err());
}
