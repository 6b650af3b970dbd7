//! What is wrong with a file is said, whatever the file; nothing panics.

use expect_test::expect;

use crate::check::{Setup, check};

#[test]
fn syntax_errors() {
    check(
        "/a.ts",
        "const a = ;\n",
        &expect![[r#"
        1: ";": Expression expected.
    "#]],
    );
    check(
        "/a.ts",
        "export const a = {\n",
        &expect![[r#"
            2: "": Unexpected token `<eof>`.
        "#]],
    );
    check(
        "/a.tsx",
        "export const a = <div><b></div>;\n",
        &expect![[r#"
            1: ";\n": Expected '</', got 'jsx text'. Close the element, or write it as <Name />.
        "#]],
    );
    check(
        "/a.js",
        "import a from './a;\n",
        &expect![[r#"
        1: "'./a;": Unterminated string constant. Close the string with the quote it began with.
    "#]],
    );
    check(
        "/a.js",
        "export function f() { await g(); }\n",
        &expect![[r#"
        1: "await": await isn't allowed in non-async function. Mark the function around it as async.
    "#]],
    );
    check(
        "/a.js",
        "export const a = 1;\n<<<<<<< HEAD\nexport const b = 1;\n",
        &expect![[r#"
        2: "<<<<<<<": Merge conflict marker encountered. This is a merge conflict: keep one side and remove the markers.
    "#]],
    );
    check(
        "/a.ts",
        "let a: = 1;\n",
        &expect![[r#"
            1: "=": Unexpected token `=`.
        "#]],
    );
    check(
        "/a.js",
        "export const a = `b ${c`;\n",
        &expect![[r#"
        1: "`;\n": Unterminated template. Close the template with a back quote.
    "#]],
    );
}

#[test]
fn names_that_clash() {
    check(
        "/a.js",
        "import { a } from './x';\nconst a = 1;\n",
        &expect![[r#"
        2: "a": `a` is imported and declared in the same file. Rename one of the two: `import { a as b }`.
    "#]],
    );
    check(
        "/a.js",
        "import { a } from './x';\nimport a from './y';\n",
        &expect![[r#"
        2: "a": `a` is imported twice. Rename one of the two: `import { a as b }`.
    "#]],
    );
    check(
        "/a.js",
        "export const a = 1;\nexport { b as a };\nlet b;\n",
        &expect![[r#"
        2: "b as a": `a` is exported twice. Remove one of the two exports.
    "#]],
    );
    check(
        "/a.js",
        "export { nowhere };\n",
        &expect![[r#"
        1: "nowhere": `nowhere` is exported but not declared in this file. Declare it, import it, or remove the export.
    "#]],
    );
    check(
        "/a.js",
        "import { a } from './x';\na = 1;\na++;\n({ a } = b);\nfor (a of b) {}\n",
        &expect![[r#"
        2: "a": `a` is imported and can't be assigned to. Export a function from the other module that changes it, or copy it to a variable.
        3: "a": `a` is imported and can't be assigned to. Export a function from the other module that changes it, or copy it to a variable.
        4: "a": `a` is imported and can't be assigned to. Export a function from the other module that changes it, or copy it to a variable.
        5: "a": `a` is imported and can't be assigned to. Export a function from the other module that changes it, or copy it to a variable.
    "#]],
    );
}

#[test]
fn what_is_not_supported_yet() {
    check(
        "/a.ts",
        "@decorated class A { @field x = 1; @method() m() {} }\nexport {};\n",
        &expect![[r#"
        1: "@decorated": Decorators aren't supported yet. Call the decorator as a function on the class instead.
        1: "@field": Decorators aren't supported yet. Call the decorator as a function on the class instead.
        1: "@method()": Decorators aren't supported yet. Call the decorator as a function on the class instead.
    "#]],
    );
    check(
        "/a.js",
        "class A { accessor x = 1 }\nexport {};\n",
        &expect![[r#"
        1: "accessor x = 1": `accessor` fields aren't supported yet. Write a getter and a setter.
    "#]],
    );
    check(
        "/a.ts",
        "export = 1;\nimport.meta.url;\n",
        &expect![[r#"
        2: "import.meta": CommonJS has no `import.meta`. Replace `export =` and `import x = require()` by ES module syntax.
    "#]],
    );
}

#[test]
fn code_that_nests_too_deep() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{a:", "}"),
        ("a=>{", "}"),
        ("f(", ")"),
        ("<a>", "</a>"),
        ("`${", "}`"),
        ("!", ""),
        ("a+", ""),
        ("a?b:", ""),
        ("new ", ""),
        ("if(a)b;else ", ""),
    ] {
        let source = format!("export {{}}; {}x{};\n", open.repeat(20_000), close.repeat(20_000));
        for path in ["/a.js", "/a.tsx", "/node_modules/p/a.js"] {
            let result = Setup::new(path).transform(&source);
            if let Err(problems) = result {
                assert!(!problems.is_empty());
            }
        }
    }
    let deep = format!("export default {}1{};\n", "[".repeat(20_000), "]".repeat(20_000));
    let problems = Setup::new("/a.js").transform(&deep).expect_err("it nests too deep");
    assert_eq!(problems[0].message, "This code nests too deep to be parsed.");
}

#[test]
fn a_file_beyond_all_measure() {
    let problems = Setup::new("/a.js").transform(&" ".repeat(64 * 1024 * 1024 + 1)).expect_err("it is too large");
    assert_eq!(problems[0].message, "The file has 64 MiB; a module can have 64 MiB.");
}

/// Sources with as much syntax as fits.
const SOURCES: &[(&str, &str)] = &[
    (
        "/a.tsx",
        r#"#!/x
import a, { b as c, type D } from './é' with { type: 'json' }; import E = a.F; export * as g from "h";
export default class<T> extends c<T> { #p?: T = 1; constructor(private x = 2) { super(x) } static { `a${`b${c}`}` } }
enum Ж { A = 1 << 2, 'b c' = "\u{1F600}" } namespace N.M { export const { a, ...b } = c, d = 1; export function f() {} }
export const G = memo(() => { const [s] = useState<T>({ a: 1 }); return <><a.b key="k" {...s} c='&amp;'>te {x /* y */} xt</a.b></> });
for await (const x of y!) { if (process.env.NODE_ENV !== 'production') z?.(<any[]>[x]) else w as T } label: for (;;) break label;
abstract class Q { abstract m(): asserts this is T; declare n: { [k in K]?: V }; get [k](): `a${B}` { return /[/\]]+/giu } }
new Worker(new URL("./w.ts", import.meta.url)); const r = async <T,>(x: T) => await import(`./y`); c = { c, ...c }; '😀'
"#,
    ),
    (
        "/b.js",
        r#"import { a, default as b } from 'x'; export { a as 'b-c', b }; export default async function* () { yield* a`t${b}` }
export const { c = a, d: [e, ...f] } = b, g = class { static async *[a]() {} get x() { return a } #y = this?.#y ?? 1n };
({ a, b } = a); [a.b = b] = c; try { require('z') } catch ({ a }) {} finally { a?.[b]?.(c) } switch (a) { case b: let a }
"#,
    ),
    (
        "/node_modules/p/c.js",
        r#"'use strict'; if (process.env.NODE_ENV === "production") { module.exports = require('./a') } else if (x) y; else { z }
var é = require("é"), r = a / b / /re[/]g/g, t = `x${`y${'}'}`}`; exports.a = exports['b'] = () => import('./c');
Object.defineProperty(exports, "c", { get: function () { return require('\x64') } }); 0 && (module.exports = { d, e: 1, ...require('f') });
process.env.NODE_ENV !== 'test' ? a ? b : c : d; __exportStar(require('g'), exports); try { require('h') } catch { } // end 😀
"#,
    ),
    (
        "/d.cts",
        "import a = require('a'); import * as b from 'b'; export import c = b.c; export * from 'd'; export = a; namespace X { import y = b.y; export { y } }\n",
    ),
];

#[test]
fn no_prefix_of_a_source_panics() {
    each_cut(|source, at| source[..at].to_owned());
}

#[test]
fn no_source_with_a_hole_panics() {
    each_cut(|source, at| {
        let rest = source[at..].char_indices().nth(3).map_or("", |(offset, _)| &source[at + offset..]);
        format!("{}{rest}", &source[..at])
    });
}

#[test]
fn no_suffix_of_a_source_panics() {
    each_cut(|source, at| source[at..].to_owned());
}

fn each_cut(cut: impl Fn(&str, usize) -> String) {
    for (path, source) in SOURCES {
        for (at, _) in source.char_indices() {
            let text = cut(source, at);
            let setup = Setup { refresh: true, map: true, ..Setup::new(path) };
            match setup.transform(&text) {
                Ok(module) => assert!(module.factory.ends_with('}')),
                Err(problems) => {
                    for problem in problems {
                        assert!(text.get(problem.start as usize..problem.end as usize).is_some(), "{problem:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_same_text_gives_the_same_module() {
    for (path, source) in SOURCES {
        let setup = Setup { refresh: true, map: true, ..Setup::new(path) };
        assert_eq!(format!("{:?}", setup.transform(source)), format!("{:?}", setup.transform(source)));
    }
}
