//! TypeScript: types go, what runs stays.

use expect_test::expect;

use crate::check::check;

#[test]
fn types_leave_white_space() {
    check(
        "/a.ts",
        r#"let a: number = b as any, c!: string;
function f<T extends U>(this: Window, x?: T, { y }: { y: T } = z, ...r: T[]): asserts x is T { return <any>x!; }
const g = async <T,>(x: T): Promise<T> => x satisfies T;
interface I { a: 1 }
type T = { [K in keyof I]?: I[K] };
declare const d: number;
declare module 'm' { export const x: 1 }
declare global { interface Window { x: 1 } }
abstract class A<T> extends B<T> implements C, D<T> {
  abstract a: number;
  private static readonly b?: string = 's';
  [key: string]: unknown;
  declare c: number;
  constructor(x: number);
  constructor(x: any) { super(x) }
  m?<T>(x?: T): void;
  get e(): number { return 1 }
  async *f(this: A<T>): AsyncGenerator {}
}
function over(x: number): void;
function over(x: any) {}
f<number>(1)!.x!.y;
new Map<string, number>();
let h = f<string>;
for (const x of y as any[]) {}
try {} catch (e: unknown) {}
export {};
"#,
        &expect![[r#"
    Esm
    function*($m){"use strict";yield;let a         = b       , c         ;
    function f             (              x    , { y }           = z, ...r     )                 { return      x ; }
    const g = async     (x   )             => x            ;
    ;
    ;
    ;
    ;
    ;
             class A    extends B                       {
      ;
              static          b          = 's';
      ;
      ;
      ;
      constructor(x     ) { super(x) }
      ;
      get e()         { return 1 }
      async *f(          )                 {}
    }
    ;
    function over(x     ) {}
    f        (1) .x .y;
    new Map                ();
    let h = f        ;
    for (const x of y         ) {}
    try {} catch (e         ) {}
    ;

    }
"#]],
    );
}

#[test]
fn line_ends_inside_of_types() {
    check(
        "/a.ts",
        "const f = (a: number\n): {\n  b: string\n} => a\nconst g = <\n  T\n>(x: T) => x\nlet x = y as {\n  a: 1\n}\n(z)\nreturnIt(() => { return <\n  any\n>x })\nclass A { get: string\n  set: number\n  x = 1\n  readonly [y] = 2 }\nexport {}\n",
        &expect![[r#"
        Esm
        function*($m){"use strict";yield;const f = (a


        ) => a
        const g = (

          x   ) => x
        let x = y

         ;
        (z)
        returnIt(() => { return (

         x) })
        class A { get        ;
          set        ;
          x = 1
          ;        [y] = 2 }
        ;

        }
    "#]],
    );
}

#[test]
fn imports_used_as_types_leave_no_edge() {
    check(
        "/a.ts",
        r#"import type { A } from './types';
import { type B, C, D, e } from './mixed';
import F from './unused';
import { type G } from './inline';
import * as H from './types-ns';
import './effect';
import {} from './empty';
export type { I } from './types';
export type * from './types';
export { type J } from './types2';
let x: C | H.K = e;
export { D };
export type L = F;
import M, { type N } from './value';
new M<N>();
"#,
        &expect![[r#"
    Esm import "./mixed" {e} import "./effect" {} import "./value" {default} exports D
    function*($m,$0,$1,$2){"use strict";$m.x({D:()=>$0.D});yield;;
    ;
    ;
    ;
    ;
    ;
    ;
    ;
    ;
    ;
    let x          = $0.e;
    ;
    ;
    ;
    new $2.default   ();

    }
"#]],
    );
}

#[test]
fn enum_text() {
    check(
        "/a.ts",
        "export enum A {\n  X, // one\n  Y = X + 1,\n  'a-b' = 'text',\n  Z = a.length\n}\nconst enum B { X = A.X }\ndeclare enum C { X }\nexport default A\n",
        &expect![[r#"
        Esm exports A,default
        function*($m){"use strict";$m.x({A:()=>A,default:()=>$d});yield;       var A;(function(A){
          A[A["X"]=0]="X"; // one
          A[A["Y"]=A.X + 1]="Y";
          A["a-b"]='text';
          A[A["Z"]=a.length]="Z"
        })(A||(A={}));
        var B;(function(B){ B[B["X"]=A.X]="X" })(B||(B={}));
        ;
        const $d=A;

        }
    "#]],
    );
}

#[test]
fn namespace_text() {
    check(
        "/a.ts",
        "import { x } from './x';\nexport namespace N {\n  export const a = x, { b } = a;\n  export function f() { return a; }\n  namespace M { export type T = 1 }\n  export namespace O { export let p = b }\n}\nnamespace Types { export interface I {} }\n",
        &expect![[r#"
        Esm import "./x" {x} exports N
        function*($m,$0){"use strict";$m.x({N:()=>N});yield;;
               var N;(function(N){N.f=f;
          ;            (N.a = $0.x), ({ b:N.b } = N.a);
                 function f() { return N.a; }
          ;
                 let O;(function(O){ ;          (O.p = N.b) })(O=N.O||(N.O={}));
        })(N||(N={}));
        ;

        }
    "#]],
    );
}

#[test]
fn parameter_properties() {
    check(
        "/a.ts",
        "class A { constructor(private a: number, readonly b = a, c?: string) { a; } }\nclass B extends A { constructor(public d: number) {\n  f();\n  super(d); } }\nexport {};\n",
        &expect![[r#"
        Esm
        function*($m){"use strict";yield;class A { constructor(        a        ,          b = a, c         ) {this.a=a,this.b=b; a; } }
        class B extends A { constructor(       d        ) {
          f();
          super(d),this.d=d; } }
        ;

        }
    "#]],
    );
}

#[test]
fn export_assignment_and_import_require() {
    check(
        "/a.ts",
        "import a = require('./a');\nimport { b } from './b';\nimport type T = require('./t');\nimport U = require('./u');\nlet x: U.V = a(b);\nexport = { x };\n",
        &expect![[r#"
        CommonJs Require "./a" Require "./b"
        function(exports,module,require){"use strict";const $s=m=>m&&m.__esModule?m:Object.assign(Object.create(Object(m)),{default:m});const $0=$s(require("./b"));const a=require('./a');
        ;
        ;
        ;
        let x      = a($0.b);
        module.exports={ x };

        }
    "#]],
    );
    check(
        "/a.cts",
        "import a, { b } from './a';\nexport const c = a(b);\nexport * from './d';\nimport('./e');\nexport default c;\n",
        &expect![[r#"
        CommonJs Dynamic "./e" Require "./a" Require "./d" exports c,default reexports ["./d"]
        function(exports,module,require){"use strict";Object.defineProperty(exports,"__esModule",{value:true});Object.defineProperty(exports,"c",{enumerable:true,get:()=>c});Object.defineProperty(exports,"default",{enumerable:true,get:()=>$d});const $s=m=>m&&m.__esModule?m:Object.assign(Object.create(Object(m)),{default:m});const $0=$s(require("./a"));const $1=$s(require("./d"));Object.keys($1).forEach(k=>k==="default"||k in exports||Object.defineProperty(exports,k,{enumerable:true,get:()=>$1[k]}));;
               const c = (0,$0.default)($0.b);
        ;
        require.import('./e');
        const $d=c;;

        }
    "#]],
    );
}

#[test]
fn aliases_of_namespaces() {
    check(
        "/a.ts",
        "import { ns } from './ns';\nimport A = ns.A;\nimport B = ns.OnlyType;\nimport C = A.C;\nlet x: B = C.d;\nexport import D = ns.D;\n",
        &expect![[r#"
        Esm import "./ns" {ns} exports D
        function*($m,$0){"use strict";$m.x({D:()=>D});yield;;
        const A=$0.ns.A;
        ;
        const C=A.C;
        let x    = C.d;
        const D=$0.ns.D;

        }
    "#]],
    );
}

#[test]
fn generics_in_tsx() {
    check(
        "/a.tsx",
        "const f = <T,>(x: T) => <List<T> items={[x as any]} render={(y: T) => <b>{y!}</b>} />;\nexport {};\n",
        &expect![[r#"
        Esm import "react/jsx-runtime" {}
        function*($m,$0){"use strict";yield;const f =     (x   ) => (0,$0.jsx)(List   ,{ items: [x       ] , render: (y   ) => (0,$0.jsx)("b",{children: y  }) , });
        ;

        }
    "#]],
    );
}

#[test]
fn optional_and_definite_everywhere() {
    check(
        "/a.ts",
        "class A extends B { #p!: number; a?(): void { } static b!: string; 'c'?: number; [d]?: number = 1; override e = 2; accessor = 3; type: string; declare: number; static: boolean }\nlet { a, b: c }: any = x;\nlet [e]: any[] = y;\nf?.<T>(a!);\na! += 1;\n(a as any) = 2;\n(<any>a).b = 3;\n[a!, (c as any)] = [1, 2];\nexport {};\n",
        &expect![[r#"
        Esm
        function*($m){"use strict";yield;class A extends B { #p         ; a ()       { } static b         ; 'c'         ; [d]          = 1;          e = 2; accessor = 3; type        ; declare        ; static         ; }
        let { a, b: c }      = x;
        let [e]        = y;
        f?.   (a );
        a  += 1;
        (a       ) = 2;
        (     a).b = 3;
        [a , (c       )] = [1, 2];
        ;

        }
    "#]],
    );
}
