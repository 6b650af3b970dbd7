//! What is wrong with a project comes back with its place and a remedy.

use bundler::{Assets, Bytes};
use expect_test::{Expect, expect};

use crate::harness::{mount, shown};

fn check(fixture: &str, expected: &Expect) {
    let mut driver = mount(fixture, Assets::ByUrl);
    expected.assert_eq(&shown(&driver.build()));
}

#[test]
fn nothing_to_start_with() {
    check(
        "# /readme.md\nHello\n",
        &expect![[r#"
        Error :0:0 The project has no /index.html and no module to start with.
        remedy: Add /index.html or /src/main.tsx.
        change: none
    "#]],
    );
}

#[test]
fn syntax_error() {
    check(
        "# /index.ts\nconst a: number = ;\n",
        &expect![[r#"
        Error /index.ts:1:19 Expression expected.
        > 1 | const a: number = ;
            |                   ^
          2 |
        change: none
    "#]],
    );
}

#[test]
fn missing_file_with_a_near_name() {
    check(
        "# /index.ts\nimport { a } from \"./Util\";\na();\n# /util.ts\nexport const a = 1;\n",
        &expect![[r#"
        Error /index.ts:1:19 /index.ts imports "./Util", but /Util doesn't exist.
        > 1 | import { a } from "./Util";
            |                   ^^^^^^^^
          2 | a();
          3 |
        remedy: Did you mean "./util"? There is /util.ts.
        change: none
    "#]],
    );
}

#[test]
fn missing_package() {
    check(
        "# /index.ts\nimport \"left-pad\";\n",
        &expect![[r#"
        Error /index.ts:1:8 /index.ts imports "left-pad", but the npm package left-pad is not in the dependencies.
        > 1 | import "left-pad";
            |        ^^^^^^^^^^
          2 |
        remedy: Add "left-pad" to "dependencies" in package.json.
        change: none
    "#]],
    );
}

#[test]
fn missing_export() {
    check(
        "# /index.ts\nimport { helo } from \"./a\";\nhelo();\n# /a.ts\nexport const hello = 1;\n",
        &expect![[r#"
        Error /index.ts:1:10 "./a" doesn't export helo.
        > 1 | import { helo } from "./a";
            |          ^^^^
          2 | helo();
          3 |
        remedy: Did you mean hello?
        change: none
    "#]],
    );
}

#[test]
fn missing_script_of_the_document() {
    check(
        "# /index.html\n<script type=module src=/main.ts></script>\n",
        &expect![[r#"
        Error /index.html:1:1 /index.html loads /main.ts, which doesn't exist.
        > 1 | <script type=module src=/main.ts></script>
            | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          2 |
        remedy: Correct the address of the script, or create the file.
        change: none
    "#]],
    );
}

#[test]
fn package_that_does_not_exist() {
    check(
        "# /package.json\n{\"dependencies\": {\"no-such-package\": \"^1.0.0\"}}\n# /index.ts\nimport \"no-such-package\";\n",
        &expect![[r#"
            Error /package.json:1:19 There is no package no-such-package in the registry.
            > 1 | {"dependencies": {"no-such-package": "^1.0.0"}}
                |                   ^^^^^^^^^^^^^^^^^
              2 |
            remedy: Check how it is spelled.
            change: none
        "#]],
    );
}

#[test]
fn version_that_cannot_be_solved() {
    check(
        "# /package.json\n{\"dependencies\": {\"a\": \"^2.0.0\"}}\n# /index.ts\nimport \"a\";\n# a@1.0.0/index.js\n",
        &expect![[r#"
            Error /package.json:1:19 No version of a is in the range "^2.0.0"; the latest is 1.0.0.
            > 1 | {"dependencies": {"a": "^2.0.0"}}
                |                   ^^^
              2 |
            remedy: Write "a": "^1.0.0".
            change: none
        "#]],
    );
}

#[test]
fn broken_package_json() {
    check(
        "# /package.json\n{\"dependencies\": {\"a\" \"1\"}}\n# /index.ts\n1;\n",
        &expect![[r#"
        Error /package.json:1:23 package.json isn't valid JSON: expected `:`.
        > 1 | {"dependencies": {"a" "1"}}
            |                       ^
          2 |
        change: none
    "#]],
    );
}

#[test]
fn broken_json_import() {
    check(
        "# /index.ts\nimport data from \"./a.json\";\ndata;\n# /a.json\n{\"a\": 1,}\n",
        &expect![[r#"
        Error /a.json:1:9 /a.json isn't valid JSON: key must be a string.
        > 1 | {"a": 1,}
            |         ^
          2 |
        change: none
    "#]],
    );
}

#[test]
fn missing_style_import() {
    check(
        "# /index.ts\nimport \"./a.css\";\n# /a.css\n@import \"./b.css\";\n",
        &expect![[r#"
        Error /a.css:1:1 /a.css imports "./b.css", which doesn't exist.
        > 1 | @import "./b.css";
            | ^^^^^^^^^^^^^^^^^^
          2 |
        remedy: Correct the path of the @import, or create the file.
        change: none
    "#]],
    );
}

#[test]
fn cyclic_imports_are_no_error() {
    check(
        "# /index.ts\nimport \"./a\";\n# /a.ts\nimport \"./b\";\n# /b.ts\nimport \"./a\";\n",
        &expect![[r#"
        change: load
    "#]],
    );
}

#[test]
fn node_builtin() {
    check(
        "# /index.ts\nimport fs from \"node:fs\";\nfs.readFileSync(\"/\");\n",
        &expect![[r#"
        Error /index.ts:1:16 /index.ts imports "node:fs", but fs is a module of Node.js that browsers don't have.
        > 1 | import fs from "node:fs";
            |                ^^^^^^^^^
          2 | fs.readFileSync("/");
          3 |
        remedy: Do without it: use what browsers offer, or run this code on a server.
        change: none
    "#]],
    );
}

#[test]
fn invalid_utf8() {
    let mut driver = mount("# /index.ts\nimport \"./a\";\n", Assets::ByUrl);
    driver.project.write("/a.ts", Some(Bytes::from(&b"ok;\n\xff"[..]))).expect("the path is valid");
    expect![[r#"
        Error /a.ts:2:0 /a.ts isn't valid UTF-8: byte 4 is 0xff.
        remedy: Save the file as UTF-8, or import it with ?url if it is binary.
        change: none
    "#]]
    .assert_eq(&shown(&driver.build()));
}

#[test]
fn file_of_100_mib() {
    let mut driver = mount("# /index.ts\n1;\n", Assets::ByUrl);
    let large = Bytes::from(vec![0; 100 << 20]);
    driver.project.write("/big.bin", Some(large)).expect("the path is valid");
    expect![[r#"
        Error /big.bin:0:0 /big.bin is 100 MiB; a file can have 32 MiB.
        remedy: Make it smaller, or fetch it at run time.
        change: none
    "#]]
    .assert_eq(&shown(&driver.build()));
    driver.write("/big.bin", "small");
    expect![[r#"
        change: load
    "#]]
    .assert_eq(&shown(&driver.build()));
}

#[test]
fn a_repair_clears_everything_and_the_last_good_page_stays_until_then() {
    let mut driver = mount("# /index.ts\nexport {};\n", Assets::ByUrl);
    driver.build();
    let good = driver.project.document().map(str::to_owned);
    driver.write("/index.ts", "let a = (;");
    assert!(!driver.build().diagnostics.is_empty());
    assert_eq!(driver.project.document().map(str::to_owned), good);
    driver.write("/index.ts", "let a = 1; a;");
    assert!(driver.build().diagnostics.is_empty());
    assert_ne!(driver.project.document().map(str::to_owned), good);
}
