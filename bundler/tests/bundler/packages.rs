//! Packages: solved to a lock, prebuilt to one chunk, one instance of each.

use bundler::{Assets, Change, prebuild};
use expect_test::{Expect, expect};

use crate::harness::{Driver, mount, shown};

const APP: &str = r#"
# /package.json
{"dependencies": {"react": "^1.0.0", "react-dom": "^1.0.0", "dual": "*", "deep": "*"}}
# /index.js
import React from "react";
import { render } from "react-dom/client";
import { kind } from "dual";
import part from "deep/parts/one";
render(React, kind, part);
# react@1.0.0/package.json
{"main": "index.js"}
# react@1.0.0/index.js
if (process.env.NODE_ENV === "production") module.exports = require("./prod.js");
else module.exports = require("./dev.js");
# react@1.0.0/dev.js
exports.version = "dev";
# react@1.0.0/prod.js
exports.version = "prod";
# react-dom@1.0.0/package.json
{"peerDependencies": {"react": "^1.0.0"}, "exports": {"./client": "./client.js"}}
# react-dom@1.0.0/client.js
var React = require("react");
exports.render = function (r) { return r === React; };
# dual@1.0.0/package.json
{"exports": {".": {"import": "./esm.mjs", "require": "./cjs.cjs"}}}
# dual@1.0.0/esm.mjs
export const kind = "esm";
# dual@1.0.0/cjs.cjs
exports.kind = "cjs";
# deep@1.0.0/parts/one.js
export default 1;
"#;

fn chunk(driver: &Driver) -> String {
    let pack = driver.project.pack();
    let (_, response) = pack.iter().find(|(path, _)| path.contains("/npm/prebuilt/")).expect("a chunk of packages");
    match &response.body {
        bundler::Body::Text(text) => text.to_string(),
        bundler::Body::Bytes(_) => panic!("a chunk is text"),
    }
}

#[test]
fn an_app_with_packages() {
    let mut driver = mount(APP, Assets::ByUrl);
    let outcome = driver.build();
    expect![[r#"
        change: load
    "#]]
    .assert_eq(&shown(&outcome));
    expect![[r#"
        packument deep
        packument dual
        packument react
        packument react-dom
        prebuilt deep/parts/one dual react react-dom/client
        tarball deep 1.0.0
        tarball dual 1.0.0
        tarball react 1.0.0
        tarball react-dom 1.0.0"#]]
    .assert_eq(&driver.needs.join("\n"));
    expect![[r#"
        {
          "lockfileVersion": 3,
          "requires": true,
          "packages": {
            "": {
              "dependencies": {
                "deep": "*",
                "dual": "*",
                "react": "^1.0.0",
                "react-dom": "^1.0.0"
              }
            },
            "node_modules/deep": {
              "version": "1.0.0",
              "integrity": "sha512-PYLuWbJy1Dj3+vSGnu1PTWC1FhRNSTf5h8CgQs7H1aV/6/u1cPp6PkLRQL9p17QCsPjA2i91YNhe1MrA8Cr15Q=="
            },
            "node_modules/dual": {
              "version": "1.0.0",
              "integrity": "sha512-ia8AcMPBspN143LLVHl9EVoi4ag+moxfdEIozdh18j2hY4PxeyRDsrz+Wxdm0lrfGYEiJNo4cl+WXU64bjdLvQ=="
            },
            "node_modules/react": {
              "version": "1.0.0",
              "integrity": "sha512-a0GiUdrzgBNp8UQR3zOzKCA4cMPP304Cjba/Nu+IIfxveDecWpsmqH2BnEGk99dRieg5WHwjjxuJx54kGsLgJg=="
            },
            "node_modules/react-dom": {
              "version": "1.0.0",
              "integrity": "sha512-W9IFvRFwp1ajzu+pDDvW6PWDf1PU06IhL/5d9kSU6VRJopC6dyRl38oDH096Tm6hi+QrF6TjYGGq/fOthQiidA==",
              "peerDependencies": {
                "react": "^1.0.0"
              }
            }
          }
        }
    "#]].assert_eq(outcome.lock.as_deref().unwrap_or("no lock"));
    expect![[r#"
        __sg.d("/node_modules/deep/parts/one.js",1,[],{},function*($m){"use strict";$m.x({default:()=>$d});yield;const $d=1;;

        });
        __sg.d("/node_modules/dual/esm.mjs",9,[],{},function*($m){"use strict";$m.x({kind:()=>kind});yield;       const kind = "esm";

        });
        __sg.d("/node_modules/react/index.js",0,[],{"./dev.js":"/node_modules/react/dev.js"},function(exports,module,require){if ("development" === "production") module.exports = require("./prod.js");
        else module.exports = require("./dev.js");

        });
        __sg.d("/node_modules/react/dev.js",0,[],{},function(exports,module,require){exports.version = "dev";

        });
        __sg.d("/node_modules/react-dom/client.js",0,[],{"react":"/node_modules/react/index.js"},function(exports,module,require){var React = require("react");
        exports.render = function (r) { return r === React; };

        });
    "#]].assert_eq(chunk(&driver).split_once('\n').map_or("", |(_, body)| body));
}

#[test]
fn the_lock_is_kept_and_asks_no_registry() {
    let mut first = mount(APP, Assets::ByUrl);
    let lock = first.build().lock.expect("a first build solves");
    let mut second = mount(APP, Assets::ByUrl);
    second.project.configure(None, Some(&lock)).expect("it is a lock");
    let outcome = second.build();
    assert!(outcome.lock.is_none(), "nothing was solved");
    assert!(!second.needs.iter().any(|need| need.starts_with("packument")), "{:?}", second.needs);
    assert_eq!(chunk(&first), chunk(&second));
}

#[test]
fn a_server_builds_the_same_bytes() {
    let mut driver = mount(APP, Assets::ByUrl);
    let lock = driver.build().lock.expect("a first build solves");
    let entries = ["react-dom/client", "react", "dual", "deep/parts/one"].map(str::to_owned);
    let registry = mount(APP, Assets::ByUrl).registry;
    let text = prebuild(&lock, &entries, &mut |name, version, _| registry.tarball(name, version));
    assert_eq!(text.as_deref(), Ok(chunk(&driver).as_str()));
}

fn check_edit(path: &str, text: &str, expected: &Expect) {
    let mut driver = mount(APP, Assets::ByUrl);
    driver.build();
    driver.write(path, text);
    expected.assert_eq(&shown(&driver.build()));
}

#[test]
fn an_import_of_a_locked_package_is_a_patch() {
    check_edit(
        "/index.js",
        "import React from \"react\";\nimport two from \"deep/parts/two\";\ntwo;",
        &expect![[r#"
            Error /index.js:2:17 "deep/parts/two" is imported, but the package deep has no file /node_modules/deep/parts/two.
              1 | import React from "react";
            > 2 | import two from "deep/parts/two";
                |                 ^^^^^^^^^^^^^^^^
              3 | two;
            remedy: Correct the path within deep, or choose a version of it that has the file.
            change: none
        "#]],
    );
    check_edit(
        "/index.js",
        "import { render } from \"react-dom/client\";\nrender();",
        &expect![[r#"
        change: patch ["/index.js"] removed [] styles []
    "#]],
    );
}

#[test]
fn two_versions_live_side_by_side() {
    let mut driver = mount(
        r#"
# /package.json
{"dependencies": {"a": "^1.0.0", "b": "^2.0.0"}}
# /index.js
import "a";
import "b";
# a@1.0.0/package.json
{"dependencies": {"b": "^1.0.0"}}
# a@1.0.0/index.js
module.exports = require("b");
# b@1.5.0/index.js
module.exports = 1;
# b@2.0.0/index.js
module.exports = 2;
"#,
        Assets::ByUrl,
    );
    let outcome = driver.build();
    assert!(outcome.diagnostics.is_empty(), "{:?}", outcome.diagnostics);
    expect![[r#"
        __sg.d("/node_modules/a/index.js",0,[],{"b":"/node_modules/a/node_modules/b/index.js"},function(exports,module,require){module.exports = require("b");

        });
        __sg.d("/node_modules/a/node_modules/b/index.js",0,[],{},function(exports,module,require){module.exports = 1;

        });
        __sg.d("/node_modules/b/index.js",0,[],{},function(exports,module,require){module.exports = 2;

        });
    "#]].assert_eq(chunk(&driver).split_once('\n').map_or("", |(_, body)| body));
}

#[test]
fn a_tarball_that_cannot_be_had_names_the_package() {
    let mut driver = mount(APP, Assets::ByUrl);
    let lock = driver.build().lock.expect("a first build solves");
    let mut offline = mount(APP, Assets::ByUrl);
    offline.registry = crate::harness::Registry::default();
    offline.project.configure(None, Some(&lock)).expect("it is a lock");
    let outcome = offline.build();
    assert!(matches!(outcome.change, Change::None));
    expect![[r#"
        Error /package.json:1:74 deep@1.0.0 can't be fetched: the registry doesn't answer
        > 1 | {"dependencies": {"react": "^1.0.0", "react-dom": "^1.0.0", "dual": "*", "deep": "*"}}
            |                                                                          ^^^^^^
          2 |
        remedy: Try again; if it stays so, the registry or the lock is to blame.
        Error /index.js:3:22 dual@1.0.0 can't be fetched: the registry doesn't answer
          1 | import React from "react";
          2 | import { render } from "react-dom/client";
        > 3 | import { kind } from "dual";
            |                      ^^^^^^
          4 | import part from "deep/parts/one";
          5 | render(React, kind, part);
        remedy: Try again; if it stays so, the registry or the lock is to blame.
        Error /index.js:1:19 react@1.0.0 can't be fetched: the registry doesn't answer
        > 1 | import React from "react";
            |                   ^^^^^^^
          2 | import { render } from "react-dom/client";
          3 | import { kind } from "dual";
        remedy: Try again; if it stays so, the registry or the lock is to blame.
        Error /package.json:1:38 react-dom@1.0.0 can't be fetched: the registry doesn't answer
        > 1 | {"dependencies": {"react": "^1.0.0", "react-dom": "^1.0.0", "dual": "*", "deep": "*"}}
            |                                      ^^^^^^^^^^^
          2 |
        remedy: Try again; if it stays so, the registry or the lock is to blame.
        change: none
    "#]]
    .assert_eq(&shown(&outcome));
}
