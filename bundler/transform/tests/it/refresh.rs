//! React Fast Refresh: who is registered, and what their signatures say.

use expect_test::{Expect, expect};

use crate::check::Setup;

fn check(source: &str, expect: &Expect) {
    Setup { refresh: true, ..Setup::new("/a.jsx") }.check(source, expect);
}

#[test]
fn functions_and_constants() {
    check(
        "export default function App() { return 1; }\nfunction Other() {}\nfunction helper() {}\nexport const Arrow = () => 1;\nconst Fn = function () {};\nconst lower = () => 1;\nlet A = 1, B = () => 2;\nexport class C {}\n",
        &expect![[r#"
        Esm refresh exports default,Arrow,C
        function*($m){"use strict";$m.x({default:()=>App,Arrow:()=>Arrow,C:()=>C});yield;               function App() { return 1; }
        function Other() {}
        function helper() {}
               const Arrow = () => 1;
        const Fn = function () {};
        const lower = () => 1;
        let A = 1, B = () => 2;
               class C {}

        $m.r(App,"App");$m.r(Other,"Other");$m.r(Arrow,"Arrow");$m.r(Fn,"Fn");}
    "#]],
    );
}

#[test]
fn wrapped_components() {
    check(
        "import { memo, forwardRef } from 'react';\nexport const A = memo(() => 1);\nconst B = memo(forwardRef(function B2(props, ref) {}));\nconst C = memo(A);\nconst D = require('x');\nconst E = hoc(x => y => 1);\nexport default memo(forwardRef(() => 1));\n",
        &expect![[r#"
        Esm refresh import "react" {memo,forwardRef} Require "x" exports A,default
        function*($m,$0){"use strict";$m.x({A:()=>A,default:()=>$d});var $x0,$x1,$x2,$x3,$x4;yield;;
               const A = (0,$0.memo)(($x0=() => 1));
        const B = (0,$0.memo)(($x2=(0,$0.forwardRef)(($x1=function B2(props, ref) {}))));
        const C = (0,$0.memo)(A);
        const D = $m.require('x');
        const E = hoc(x => y => 1);
        const $d=(0,$0.memo)(($x4=(0,$0.forwardRef)(($x3=() => 1))));;

        $m.r($x0,"A$memo");$m.r(A,"A");$m.r($x1,"B$memo$forwardRef");$m.r($x2,"B$memo");$m.r(B,"B");$m.r(C,"C");$m.r($x3,"%default%$memo$forwardRef");$m.r($x4,"%default%$memo");$m.r($d,"%default%");}
    "#]],
    );
}

#[test]
fn anonymous_defaults() {
    check(
        "export default function () { return <a/>; }\n",
        &expect![[r#"
        Esm refresh import "react/jsx-runtime" {} exports default
        function*($m,$0){"use strict";$m.x({default:()=>$d});Object.defineProperty($d,"name",{value:"default",configurable:true});yield;               function  $d() { return (0,$0.jsx)("a",{}); }

        $m.r($d,"%default%");}
    "#]],
    );
    check(
        "export default () => <a/>\n",
        &expect![[r#"
        Esm refresh import "react/jsx-runtime" {} exports default
        function*($m,$0){"use strict";$m.x({default:()=>$d});yield;const $d={default:() => (0,$0.jsx)("a",{})}.default;

        $m.r($d,"%default%");}
    "#]],
    );
    check(
        "export default (a, b) => a + b\n",
        &expect![[r#"
        Esm exports default
        function*($m){"use strict";$m.x({default:()=>$d});yield;const $d={default:(a, b) => a + b}.default;

        }
    "#]],
    );
}

#[test]
fn used_as_a_type_of_an_element() {
    check(
        "const Title = styled.h1`x`;\nconst Box = create('div');\nconst Data = compute();\nexport const App = () => <Title><Box/></Title>;\n",
        &expect![[r#"
        Esm refresh import "react/jsx-runtime" {} exports App
        function*($m,$0){"use strict";$m.x({App:()=>App});yield;const Title = styled.h1`x`;
        const Box = create('div');
        const Data = compute();
               const App = () => (0,$0.jsx)(Title,{children:(0,$0.jsx)(Box,{})});

        $m.r(App,"App");$m.r(Title,"Title");$m.r(Box,"Box");}
    "#]],
    );
}

#[test]
fn signatures_of_hooks() {
    check(
        "import React, { useState } from 'react';\nimport { useThing } from './things';\nimport * as things from './things';\nexport function App() {\n  const [a, setA] = useState(0);\n  React.useEffect(() => { useNot; });\n  const b = useThing(a);\n  things.useOther();\n  return a;\n}\nexport const useMine = () => useThing();\nexport const B = () => { useMine(); };\nconst C = React.memo(() => { useState({ x: 1 }); });\n",
        &expect![[r#"
        Esm refresh import "react" {default,useState} import "./things" {useThing} exports App,useMine,B
        function*($m,$0,$1){"use strict";$m.x({App:()=>App,useMine:()=>useMine,B:()=>B});var $s0=$m.g(),$s1=$m.g(),$s2=$m.g(),$s3=$m.g(),$x0;yield;;
        ;
        ;
               function App() {$s0();
          const [a, setA] = (0,$0.useState)(0);
          $0.default.useEffect(() => { useNot; });
          const b = (0,$1.useThing)(a);
          $1.useOther();
          return a;
        }$s0(App,"ca7537132bafdde8",false,()=>[$1.useThing,$1.useOther]);
               const useMine = () => ($s1(),(0,$1.useThing)()),{}=$s1(useMine,"fbec9292e9693664",false,()=>[$1.useThing]);
               const B = () => {$s2(); useMine(); },{}=$s2(B,"356808de32ae8fbb",false,()=>[useMine]);
        const C = $0.default.memo(($x0=$s3(() => {$s3(); (0,$0.useState)({ x: 1 }); },"8b0a7ba43ec6da25")));

        $m.r(App,"App");$m.r(B,"B");$m.r($x0,"C$React.memo");$m.r(C,"C");}
    "#]],
    );
}

#[test]
fn hooks_that_cannot_be_named_reset_state() {
    check(
        "export function App({ useProp }) { useProp(); this.x.useDeep(); }\n",
        &expect![[r#"
        Esm refresh exports App
        function*($m){"use strict";$m.x({App:()=>App});var $s0=$m.g();yield;       function App({ useProp }) {$s0(); useProp(); this.x.useDeep(); }$s0(App,"4577cb5c329707da",true);

        $m.r(App,"App");}
    "#]],
    );
    check(
        "// @refresh reset\nexport function App() { useState(); }\n",
        &expect![[r#"
        Esm refresh exports App
        function*($m){"use strict";$m.x({App:()=>App});var $s0=$m.g();yield;// @refresh reset
               function App() {$s0(); useState(); }$s0(App,"5263cf5e41c968f1",true);

        $m.r(App,"App");}
    "#]],
    );
}

#[test]
fn nested_functions_have_signatures_of_their_own() {
    check(
        "export const make = () => {\n  function Inner() { useState(1) }\n  const Other = () => { useRef() }, x = 1;\n  return hoc(() => { useMemo() });\n};\nexport default () => { useState(2); return <a/> }\n",
        &expect![[r#"
        Esm refresh import "react/jsx-runtime" {} exports make,default
        function*($m,$0){"use strict";$m.x({make:()=>make,default:()=>$d});var $s0=$m.g(),$s1=$m.g(),$s2=$m.g(),$s3=$m.g();yield;       const make = () => {
          function Inner() {$s0(); useState(1) }$s0(Inner,"8581fb252ecdda4f");
          const Other = () => {$s1(); useRef() },{}=$s1(Other,"707a1aedac5fd631"), x = 1;
          return hoc($s2(() => {$s2(); useMemo() },"808baec6b58c9cd6"));
        };
        const $d={default:$s3(() => {$s3(); useState(2); return (0,$0.jsx)("a",{}) },"6c2f842520a6541a")}.default;

        $m.r($d,"%default%");}
    "#]],
    );
}

#[test]
fn a_file_without_components() {
    check(
        "export const a = 1;\nexport function b() {}\n",
        &expect![[r#"
        Esm exports a,b
        function*($m){"use strict";$m.x({a:()=>a,b:()=>b});yield;       const a = 1;
               function b() {}

        }
    "#]],
    );
}
