//! ES modules: imports, exports, live bindings, hoisting.

use expect_test::expect;

use crate::check::check;

#[test]
fn named_default_and_namespace_imports() {
    check(
        "/a.js",
        "import a, { b, c as d } from './x';\nimport * as ns from './y';\nimport './z';\na(b, d);\nns.e(ns);\nb``;\nnew d();\nconst o = { a, b: d, [b]: 1 };\n",
        &expect![[r#"
        Esm import "./x" {default,b,c} import "./y" {} import "./z" {}
        function*($m,$0,$1,$2){"use strict";yield;;
        ;
        ;
        (0,$0.default)($0.b, $0.c);
        $1.e($1);
        (0,$0.b)``;
        new $0.c();
        const o = { a:$0.default, b: $0.c, [$0.b]: 1 };

        }
    "#]],
    );
}

#[test]
fn a_call_keeps_its_this() {
    check(
        "/a.js",
        "import { f } from './x';\nf();\nf?.();\n(f)(1);\nnew f();\nf.g();\nf`x`;\n",
        &expect![[r#"
        Esm import "./x" {f}
        function*($m,$0){"use strict";yield;;
        (0,$0.f)();
        (0,$0.f)?.();
        ((0,$0.f))(1);
        new $0.f();
        $0.f.g();
        (0,$0.f)`x`;

        }
    "#]],
    );
}

#[test]
fn statements_without_semicolons_stay_apart() {
    check(
        "/a.js",
        "import { f } from './x'\nlet a = 1\nf()\nlet b = a\nf`x`\nif (a)\n  f()\n",
        &expect![[r#"
        Esm import "./x" {f}
        function*($m,$0){"use strict";yield;;
        let a = 1
        ;(0,$0.f)()
        let b = a
        ;(0,$0.f)`x`
        if (a)
          (0,$0.f)()

        }
    "#]],
    );
}

#[test]
fn local_names_hide_imports() {
    check(
        "/a.js",
        "import { a, b } from './x';\nfunction f(a) { return a + b; }\n{ let b = 1; b; }\nfor (const a of b) a;\ntry { a } catch (a) { a }\nconst g = ({ a = b }) => a;\nclass C { a = a; b() { var a; return a; } }\nlabel: for (;;) { break label; }\na: for (;;) break a;\n",
        &expect![[r#"
        Esm import "./x" {a,b}
        function*($m,$0){"use strict";yield;;
        function f(a) { return a + $0.b; }
        { let b = 1; b; }
        for (const a of $0.b) a;
        try { $0.a } catch (a) { a }
        const g = ({ a = $0.b }) => a;
        class C { a = $0.a; b() { var a; return a; } }
        label: for (;;) { break label; }
        a: for (;;) break a;

        }
    "#]],
    );
}

#[test]
fn exports_of_every_kind() {
    check(
        "/a.js",
        "export const a = 1, { b, c: [d] } = x;\nexport function e() {}\nexport class F {}\nlet g, h;\nexport { g, h as i, h as 'j-k' };\nexport { l, m as default } from './y';\nexport * from './z';\nexport * as n from './z';\n",
        &expect![[r#"
        Esm import "./y" {l,m} import "./z" {} exports l,default,n,a,b,d,e,F,g,i,j-k stars [1]
        function*($m,$0,$1){"use strict";$m.x({l:()=>$0.l,default:()=>$0.m,n:()=>$1,a:()=>a,b:()=>b,d:()=>d,e:()=>e,F:()=>F,g:()=>g,i:()=>h,"j-k":()=>h});$m.s($1);yield;       const a = 1, { b, c: [d] } = x;
               function e() {}
               class F {}
        let g, h;
        ;
        ;
        ;
        ;

        }
    "#]],
    );
}

#[test]
fn default_exports() {
    check(
        "/a.js",
        "export default function () {}\n",
        &expect![[r#"
        Esm exports default
        function*($m){"use strict";$m.x({default:()=>$d});Object.defineProperty($d,"name",{value:"default",configurable:true});yield;               function  $d() {}

        }
    "#]],
    );
    check(
        "/a.js",
        "export default function a() {}\na = 1;\n",
        &expect![[r#"
        Esm exports default
        function*($m){"use strict";$m.x({default:()=>a});yield;               function a() {}
        a = 1;

        }
    "#]],
    );
    check(
        "/a.js",
        "export default class {}\n",
        &expect![[r#"
        Esm exports default
        function*($m){"use strict";$m.x({default:()=>$d});yield;const $d={default: class {}}.default;

        }
    "#]],
    );
    check(
        "/a.js",
        "export default class A {}\n",
        &expect![[r#"
        Esm exports default
        function*($m){"use strict";$m.x({default:()=>A});yield;               class A {}

        }
    "#]],
    );
    check(
        "/a.js",
        "export default () => 1\n",
        &expect![[r#"
        Esm exports default
        function*($m){"use strict";$m.x({default:()=>$d});yield;const $d={default:() => 1}.default;

        }
    "#]],
    );
    check(
        "/a.js",
        "export default a,\nb\n",
        &expect![[r#"
        1: ",": Expected ';', got ','.
    "#]],
    );
    check(
        "/a.js",
        "export default async function* () { yield 1 }\n",
        &expect![[r#"
        Esm exports default
        function*($m){"use strict";$m.x({default:()=>$d});Object.defineProperty($d,"name",{value:"default",configurable:true});yield;               async function*  $d() { yield 1 }

        }
    "#]],
    );
    check(
        "/a.js",
        "export default\n  // why\n  { a: 1 }\n",
        &expect![[r#"
        Esm exports default
        function*($m){"use strict";$m.x({default:()=>$d});yield;const $d=

        { a: 1 };

        }
    "#]],
    );
}

#[test]
fn reexports_of_imports_are_live() {
    check(
        "/a.js",
        "import a, * as ns from './x';\nimport { b } from './y';\nexport { a, b as c, ns };\n",
        &expect![[r#"
        Esm import "./x" {default} import "./y" {b} exports a,c,ns
        function*($m,$0,$1){"use strict";$m.x({a:()=>$0.default,c:()=>$1.b,ns:()=>$0});yield;;
        ;
        ;

        }
    "#]],
    );
}

#[test]
fn import_meta_and_dynamic_import() {
    check(
        "/a.js",
        "import.meta.url;\nconst a = await import('./x');\nimport(`./y`);\nimport(a);\nimport.meta.hot?.accept();\n",
        &expect![[r#"
        EsmAsync Dynamic "./x" Dynamic "./y"
        async function*($m){"use strict";yield;$m.meta.url;
        const a = await $m.i('./x');
        $m.i(`./y`);
        $m.i(a);
        $m.meta.hot?.accept();

        }
    "#]],
    );
}

#[test]
fn top_level_await_makes_a_module_async() {
    check(
        "/a.js",
        "export const a = await b;\n",
        &expect![[r#"
        EsmAsync exports a
        async function*($m){"use strict";$m.x({a:()=>a});yield;       const a = await b;

        }
    "#]],
    );
    check(
        "/a.js",
        "for await (const a of b) {}\nexport {};\n",
        &expect![[r#"
        EsmAsync
        async function*($m){"use strict";yield;for await (const a of b) {}
        ;

        }
    "#]],
    );
    check(
        "/a.js",
        "export const a = async () => { await b; for await (const c of d) {} };\nclass A { async b() { await c } }\n",
        &expect![[r#"
        Esm exports a
        function*($m){"use strict";$m.x({a:()=>a});yield;       const a = async () => { await b; for await (const c of d) {} };
        class A { async b() { await c } }

        }
    "#]],
    );
}

#[test]
fn addresses_beside_the_module() {
    check(
        "/a.js",
        "new URL('./a.png', import.meta.url);\nnew Worker(new URL('./w.js', import.meta.url), { type: 'module' });\nnew URL(x, import.meta.url);\nexport {};\n",
        &expect![[r#"
        Esm Url "./a.png" Worker "./w.js"
        function*($m){"use strict";yield;new URL('./a.png', $m.meta.url);
        new Worker(new URL('./w.js', $m.meta.url), { type: 'module' });
        new URL(x, $m.meta.url);
        ;

        }
    "#]],
    );
}

#[test]
fn require_in_an_es_module() {
    check(
        "/a.js",
        "import './x';\nconst a = require('./y');\ntry { require('./z') } catch {}\nfunction f(require) { require('./no') }\n",
        &expect![[r#"
        Esm import "./x" {} Require "./y" OptionalRequire "./z"
        function*($m,$0){"use strict";yield;;
        const a = $m.require('./y');
        try { $m.require('./z') } catch {}
        function f(require) { require('./no') }

        }
    "#]],
    );
}

#[test]
fn node_env_decides_branches() {
    check(
        "/a.js",
        "import { a } from './x';\nif (process.env.NODE_ENV === 'production') { a(require('./prod')) } else a();\nconst b = process.env.NODE_ENV !== 'production' ? a : require('./prod');\nif (import.meta.env.DEV && process.env.NODE_ENV) a;\n",
        &expect![[r#"
        Esm import "./x" {a}
        function*($m,$0){"use strict";yield;;
        if (false) {                      } else (0,$0.a)();
        const b = true ? $0.a : 0;
        if ($m.meta.env.DEV && "development") $0.a;

        }
    "#]],
    );
}

#[test]
fn attributes_and_strange_names() {
    check(
        "/a.js",
        "import data from './x.json' with { type: 'json' };\nimport { 'a-b' as c, default as d, __proto__ as e } from './y';\nexport { c as __proto__, d as 'x y' };\ndata, c, d, e;\n",
        &expect![[r#"
        Esm import "./x.json" {default} as json import "./y" {a-b,default,__proto__} exports __proto__,x y
        function*($m,$0,$1){"use strict";$m.x({["__proto__"]:()=>$1["a-b"],"x y":()=>$1.default});yield;;
        ;
        ;
        $0.default, $1["a-b"], $1.default, $1.__proto__;

        }
    "#]],
    );
}

#[test]
fn names_of_ours_in_the_source() {
    check(
        "/a.js",
        "import { a } from './x';\nconst $0 = 1, $m = 2, $$d = 3;\nexport default a + $0;\n",
        &expect![[r#"
        Esm import "./x" {a} exports default
        function*($$$m,$$$0){"use strict";$$$m.x({default:()=>$$$d});yield;;
        const $0 = 1, $m = 2, $$d = 3;
        const $$$d=$$$0.a + $0;;

        }
    "#]],
    );
}

#[test]
fn hashbang_and_byte_order_mark() {
    check(
        "/a.js",
        "#!/usr/bin/env node\nimport './x';\n",
        &expect![[r#"
        Esm import "./x" {}
        function*($m,$0){"use strict";yield;
        ;

        }
    "#]],
    );
    check(
        "/a.js",
        "\u{feff}import './x';\n",
        &expect![[r#"
        Esm import "./x" {}
        function*($m,$0){"use strict";yield;;

        }
    "#]],
    );
}

#[test]
fn class_fields_and_private_names() {
    check(
        "/a.js",
        "import { a } from './x';\nexport class A extends a { #p = a; static s = a; static { a() } get #q() { return this.#p } [a] = a; static async *m(a) { yield a } }\n",
        &expect![[r#"
        Esm import "./x" {a} exports A
        function*($m,$0){"use strict";$m.x({A:()=>A});yield;;
               class A extends $0.a { #p = $0.a; static s = $0.a; static { (0,$0.a)() } get #q() { return this.#p } [$0.a] = $0.a; static async *m(a) { yield a } }

        }
    "#]],
    );
}

#[test]
fn patterns_that_assign() {
    check(
        "/a.js",
        "import { a } from './x';\nlet b, c;\n({ b, c = a, ...b[a] } = a);\n[b, c[a]] = [a];\nfor (b.x of a) {}\nb += a;\n",
        &expect![[r#"
        Esm import "./x" {a}
        function*($m,$0){"use strict";yield;;
        let b, c;
        ({ b, c = $0.a, ...b[$0.a] } = $0.a);
        [b, c[$0.a]] = [$0.a];
        for (b.x of $0.a) {}
        b += $0.a;

        }
    "#]],
    );
}
