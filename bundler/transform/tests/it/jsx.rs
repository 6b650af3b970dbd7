//! JSX, in both ways of writing it out.

use bundler_transform::Jsx;
use expect_test::expect;

use crate::check::{Setup, check};

#[test]
fn elements_and_attributes() {
    check(
        "/a.jsx",
        "const a = <div class=\"b\" data-c {...d} e={f} g>\n  text &amp; more\n  {h}\n  <i/>\n</div>;\nexport {};\n",
        &expect![[r#"
        Esm import "react/jsx-runtime" {}
        function*($m,$0){"use strict";yield;const a = (0,$0.jsxs)("div",{ class:"b", "data-c":true,  ...d, e: f , g:true,children:[
        "text & more"
        , h ,
        (0,$0.jsx)("i",{}),
        ]});
        ;

        }
    "#]],
    );
    check(
        "/a.jsx",
        "const a = <A.B.C x='&quot;&#65;&#x42;&unknown;' />;\n<this.x></this.x>;\n<a-b c:d=\"e\" />;\n<svg:rect />;\nexport {};\n",
        &expect![[r#"
        Esm import "react/jsx-runtime" {}
        function*($m,$0){"use strict";yield;const a = (0,$0.jsx)(A.B.C,{ x:"\"AB&unknown;", });
        (0,$0.jsx)(this.x,{});
        (0,$0.jsx)("a-b",{ "c:d":"e", });
        (0,$0.jsx)("svg:rect",{ });
        ;

        }
    "#]],
    );
}

#[test]
fn keys_move_to_the_end() {
    check(
        "/a.jsx",
        "<li key={a} b={c}>{d}</li>;\n<li key=\"x\" />;\n<li {...a} key={b} />;\n<li key={b} {...a} />;\n<li key />;\n<li key={a.map(\n  x => x)} />;\nexport {};\n",
        &expect![[r#"
        Esm import "react/jsx-runtime" {} import "react" {}
        function*($m,$0,$1){"use strict";yield;(0,$0.jsx)("li",{         b: c ,children: d }, a );
        (0,$0.jsx)("li",{         },"x");
        (0,$1.createElement)("li",{  ...a, key: b , });
        (0,$0.jsx)("li",{          ...a, }, b );
        (0,$0.jsx)("li",{     },true);
        (0,$1.createElement)("li",{ key: a.map(
          x => x) , });
        ;

        }
    "#]],
    );
}

#[test]
fn fragments_and_children() {
    check(
        "/a.jsx",
        "<></>;\n<>a</>;\n<>{a}{b}</>;\n<>\n  {/* nothing */}\n  {...c}\n</>;\n<a>{' '}</a>;\n<a> b </a>;\n<a>{(b, c)}</a>;\n<a b=<c/> />;\nexport {};\n",
        &expect![[r#"
        Esm import "react/jsx-runtime" {}
        function*($m,$0){"use strict";yield;(0,$0.jsx)($0.Fragment,{});
        (0,$0.jsx)($0.Fragment,{children:"a"});
        (0,$0.jsxs)($0.Fragment,{children:[ a , b ,]});
        (0,$0.jsxs)($0.Fragment,{children:[

         ...c ,
        ]});
        (0,$0.jsx)("a",{children: ' ' });
        (0,$0.jsx)("a",{children:" b "});
        (0,$0.jsx)("a",{children: (b, c) });
        (0,$0.jsx)("a",{ b:(0,$0.jsx)("c",{}), });
        ;

        }
    "#]],
    );
}

#[test]
fn imports_as_types_and_values() {
    check(
        "/a.jsx",
        "import { A, b } from './x';\nimport * as ns from './y';\nconst c = <A b={b}>{b}<ns.D /><A.E /></A>;\nfunction f() { return <b/>; }\nconst g = () => <A />\n",
        &expect![[r#"
        Esm import "./x" {A,b} import "./y" {} import "react/jsx-runtime" {}
        function*($m,$0,$1,$2){"use strict";yield;;
        ;
        const c = (0,$2.jsxs)($0.A,{ b: $0.b ,children:[ $0.b ,(0,$2.jsx)($1.D,{ }),(0,$2.jsx)($0.A.E,{ }),]});
        function f() { return (0,$2.jsx)("b",{}); }
        const g = () => (0,$2.jsx)($0.A,{ })

        }
    "#]],
    );
}

#[test]
fn comments_and_lines_stay() {
    check(
        "/a.jsx",
        "function f() {\n  return (\n    <a // why\n      b=\"c\" /* d */\n      e\n    >\n      {/* f */}\n      g\n    </a>\n  );\n}\nexport {};\n",
        &expect![[r#"
        Esm import "react/jsx-runtime" {}
        function*($m,$0){"use strict";yield;function f() {
          return (
            (0,$0.jsx)("a",{ // why
              b:"c", /* d */
              e:true,
            children:

        "g"
        })
          );
        }
        ;

        }
    "#]],
    );
}

#[test]
fn classic_runtime() {
    let classic = Setup {
        jsx: Jsx::Classic { pragma: "React.createElement".to_owned(), fragment: "React.Fragment".to_owned() },
        ..Setup::new("/a.jsx")
    };
    classic.check("import React from 'react';\nconst a = <A b=\"c\" key=\"d\" {...e}>f{g}<></></A>;\nconst h = () => { return<i/> };\n", &expect![[r#"
        Esm import "react" {default}
        function*($m,$0){"use strict";yield;;
        const a =  $0.default.createElement(A,{ b:"c", key:"d",  ...e,},"f", g , $0.default.createElement($0.default.Fragment,null));
        const h = () => { return $0.default.createElement("i",null) };

        }
    "#]]);
    check(
        "/a.jsx",
        "/** @jsx h @jsxFrag F */\nimport { h, F } from 'preact';\n<a><>b</></a>;\n",
        &expect![[r#"
        Esm import "preact" {h,F}
        function*($m,$0){"use strict";yield;/** @jsx h @jsxFrag F */
        ;
         $0.h("a",null, $0.h($0.F,null,"b"));

        }
    "#]],
    );
    check(
        "/a.jsx",
        "/* @jsxImportSource preact */\n<a/>;\nexport {};\n",
        &expect![[r#"
        Esm import "preact/jsx-runtime" {}
        function*($m,$0){"use strict";yield;/* @jsxImportSource preact */
        (0,$0.jsx)("a",{});
        ;

        }
    "#]],
    );
}

#[test]
fn white_space_and_entities() {
    check(
        "/a.jsx",
        "<a>\n  one\n\n  two&nbsp;\n  {x} three \n</a>;\n<a b=\"c\n   d\" />;\n<a>&lt;&copy;&hearts;&zwj;&bogus;&#128512;&</a>;\nexport {};\n",
        &expect![[r#"
        Esm import "react/jsx-runtime" {}
        function*($m,$0){"use strict";yield;(0,$0.jsxs)("a",{children:[
        "one two "


        , x ," three"
        ,]});
        (0,$0.jsx)("a",{ b:"c d"
        , });
        (0,$0.jsx)("a",{children:"<©♥‍&bogus;😀&"});
        ;

        }
    "#]],
    );
}
