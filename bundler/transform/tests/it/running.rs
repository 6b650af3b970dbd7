//! Fixtures of several modules, run.

use expect_test::expect;

use crate::run::check_run;

#[test]
fn live_bindings() {
    check_run(
        r#"
# /main.js
import { count, add } from './counter';
import * as counter from './counter';
console.log(count, counter.count);
add();
console.log(count, counter.count, Object.keys(counter).join());
# /counter.js
export let count = 0;
export function add() { count++; }
"#,
        &expect![[r#"
            0 0
            1 1 add,count
        "#]],
    );
}

#[test]
fn cycles_see_hoisted_functions() {
    check_run(
        r#"
# /main.js
import { isEven } from './even';
console.log(isEven(10), isEven(7));
# /even.js
import { isOdd } from './odd';
export function isEven(n) { return n === 0 || isOdd(n - 1); }
console.log('even', isOdd(1));
# /odd.js
import { isEven } from './even';
export function isOdd(n) { return n !== 0 && isEven(n - 1); }
console.log('odd', isEven(2));
"#,
        &expect![[r#"
            odd true
            even true
            true false
        "#]],
    );
}

#[test]
fn a_cycle_that_reads_too_early() {
    check_run(
        r#"
# /main.js
import './a';
# /a.js
import { b } from './b';
export const a = 1;
# /b.js
import { a } from './a';
export const b = 2;
console.log(a);
"#,
        &expect![[r#"
            failed: Cannot access 'a' before initialization
        "#]],
    );
}

#[test]
fn reexports_and_stars() {
    check_run(
        r#"
# /main.js
import all, { a, b as bee, ns, c } from './index';
import * as index from './index';
console.log(all, a, bee, ns.a, c, 'd' in index, Object.keys(index).join());
# /index.js
export * from './x';
export * from './y';
export { default } from './x';
export { b } from './y';
export * as ns from './x';
# /x.js
export const a = 'a';
export default 'default';
# /y.js
export let b = 'b';
export * from './z';
export default 'not exported by a star';
# /z.js
import { a } from './index';
export const c = () => a;
"#,
        &expect![[r#"
            default a b a [Function: c] false a,b,c,default,ns
        "#]],
    );
}

#[test]
fn evaluation_is_in_order() {
    check_run(
        r#"
# /main.js
console.log('main');
import './a';
import './b';
# /a.js
import './c';
console.log('a');
# /b.js
import './c';
console.log('b');
# /c.js
console.log('c');
"#,
        &expect![[r#"
            c
            a
            b
            main
        "#]],
    );
}

#[test]
fn top_level_await() {
    check_run(
        r#"
# /main.js
import { value } from './slow';
console.log('main', value);
const late = await import('./late');
console.log(late.default, (await import('./slow')).value);
export {};
# /slow.js
export let value = 'early';
value = await new Promise(done => setTimeout(() => done('awaited'), 5));
# /late.js
export default 'late';
console.log('late runs');
"#,
        &expect![[r#"
            main awaited
            late runs
            late awaited
        "#]],
    );
}

#[test]
fn default_exports_and_their_names() {
    check_run(
        r#"
# /main.js
import f from './f';
import C from './class';
import g from './arrow';
import h, { later } from './named';
import value from './value';
console.log(f(), f.name, C.name, new C().x, g.name, g(), value);
console.log(h());
later();
console.log(h);
# /f.js
export default function () { return 'f'; }
# /class.js
export default class { x = 1 }
# /arrow.js
export default () => 'arrow'
# /named.js
export default function h() { return 'h' }
export function later() { h = 'changed' }
# /value.js
let value = 1
export default value
value = 2
"#,
        &expect![[r#"
            f default default 1 default arrow 1
            h
            changed
        "#]],
    );
}

#[test]
fn interop_with_common_js() {
    check_run(
        r#"
# /main.js
import plain, { a } from './plain.cjs';
import * as ns from './plain.cjs';
import babel, { named } from './babel.cjs';
import { strict } from './strict.mjs';
console.log(plain.a, a, ns.default === plain, ns.a);
console.log(babel, named, strict.default, strict.named);
# /plain.cjs
exports.a = 'a';
exports.self = this === exports && module.exports === exports;
# /babel.cjs
Object.defineProperty(exports, '__esModule', { value: true });
exports.default = 'default';
exports.named = 'named';
# /strict.mjs
import strict from './babel.cjs';
export { strict };
"#,
        &expect![[r#"
            a a true a
            default named default named
        "#]],
    );
}

#[test]
fn common_js_requires() {
    check_run(
        r#"
# /main.js
const a = require('./a.cjs');
const esm = require('./esm.mjs');
console.log(a.name, a.late(), esm.default, esm.__esModule, process.env.NODE_ENV);
let optional = 'none';
try { optional = require('./missing') } catch (error) { console.log(error.message) }
if (process.env.NODE_ENV === 'production') require('./production'); else console.log('development');
import('./esm.mjs').then(ns => console.log(ns.default));
return;
# /a.cjs
const b = require('./b.cjs');
exports.name = 'a sees ' + b.name;
exports.late = () => require('./b.cjs').seen;
# /b.cjs
exports.name = 'b';
exports.seen = 'b saw ' + Object.keys(require('./a.cjs'));
# /esm.mjs
export default 'esm';
"#,
        &expect![[r#"
            a sees b b saw  esm true development
            Cannot find module './missing'
            development
            esm
        "#]],
    );
}

#[test]
fn jsx_through_a_runtime() {
    check_run(
        r#"
# /main.tsx
import { Card, type Props } from './Card';
import * as ui from './Card';
const rest = { id: 'i', key: 'from rest' };
const list = [1, 2].map(n => <li key={n}>{n}</li>);
const show = (element: unknown) => console.log(JSON.stringify(element));
show(<Card title="a &amp; b" {...rest}>text {list.length} <b>bold</b>{/* nothing */}</Card>);
show(list);
show(<><ui.Card title='t' /></>);
show(<a data-x aria-label={`l`} xlink:href="/">
  one
  two {'three'}
</a>);
show(<p {...rest} key="k">{...list}</p>);
show(<Generic<string> of="s" />);
function Generic<T>(props: { of: T }) { return null }
const p: Props = { title: '' };
# /Card.tsx
export interface Props { title: string; children?: unknown }
export function Card({ title }: Props) { return <i>{title}</i>; }
# /node_modules/react/jsx-runtime.js
exports.Fragment = 'Fragment';
exports.jsx = exports.jsxs = (type, props, key) => ({ type: type.name ?? type, props, key });
# /node_modules/react/index.js
exports.createElement = (type, props, ...children) => ({ createElement: type.name ?? type, props, children });
"#,
        &expect![[r#"
            {"type":"Card","props":{"title":"a & b","id":"i","key":"from rest","children":["text ",2," ",{"type":"b","props":{"children":"bold"}}]}}
            [{"type":"li","props":{"children":1},"key":1},{"type":"li","props":{"children":2},"key":2}]
            {"type":"Fragment","props":{"children":{"type":"Card","props":{"title":"t"}}}}
            {"type":"a","props":{"data-x":true,"aria-label":"l","xlink:href":"/","children":["one two ","three"]}}
            {"createElement":"p","props":{"id":"i","key":"k"},"children":[{"type":"li","props":{"children":1},"key":1},{"type":"li","props":{"children":2},"key":2}]}
            {"type":"Generic","props":{"of":"s"}}
        "#]],
    );
}

#[test]
fn enums() {
    check_run(
        r#"
# /main.ts
import { Color, Mode } from './enums';
enum Local { A, B = A + 5, C, D = 'x'.length, E = -1, F = 1 << 3, G = B | F, H = Color.Green }
enum Text { A = 'a', B = `b`, C = A + 'c' }
enum Local { Z = 100, Y = A }
declare enum Ambient { A }
console.log(JSON.stringify(Local), JSON.stringify(Text));
console.log(Color.Red, Color[Color.Red], Mode.On, Object.keys(Mode).join());
function f() { enum Inner { A } enum Inner { B = 1 } return JSON.stringify(Inner) }
console.log(f());
# /enums.ts
export enum Color { Red = 1, Green, 'dark blue' = 10 }
export const enum Mode { On = 'on', Off = 'off' }
"#,
        &expect![[r#"
            {"0":"Y","1":"D","2":"H","5":"B","6":"C","8":"F","13":"G","100":"Z","A":0,"B":5,"C":6,"D":1,"E":-1,"-1":"E","F":8,"G":13,"H":2,"Z":100,"Y":0} {"A":"a","B":"b","C":"ac"}
            1 Red on On,Off
            {"0":"A","1":"B","A":0,"B":1}
        "#]],
    );
}

#[test]
fn namespaces() {
    check_run(
        r#"
# /main.ts
import Shapes, { Shapes as S, Outer, Fn, count } from './shapes';
console.log(S.area(2), S.unit, S.Kind.Square, new S.Box().side, Shapes === S);
console.log(Outer.Inner.deep, Fn(), Fn.extra, count());
# /shapes.ts
export namespace Shapes {
  export const unit = 'cm', [one, two = unit] = [1];
  let hidden = 3;
  export function area(n: number) { return n * n + hidden + two; }
  export enum Kind { Circle, Square }
  export class Box { side = hidden }
  export interface Erased {}
  export type T = Erased;
}
export namespace Shapes {
  export let more = unit + area(1);
  export enum Kind { Triangle = 5 }
  console.log(more, Kind.Triangle, Kind.Square, one);
}
export namespace Outer.Inner {
  export let deep = 'deep';
  export namespace Third { export const x = deep; }
  import Alias = Third;
  import Types = OnlyTypes;
  console.log(Alias.x);
  const t: Types.T = 1;
}
namespace OnlyTypes { export type T = number }
export function Fn() { return Fn.extra + '!' }
export namespace Fn { export let extra = 'extra' }
namespace Counter { export let n = 0; export const up = () => ++n; n += 5; [n] = [n + 1]; ({ n } = { n: n * 2 }) }
import C = Counter;
export import Up = Counter.up;
export const count = () => Up() + C.n;
export default Shapes;
"#,
        &expect![[r#"
            cm4cm 5 1 1
            deep
            7cm cm 1 3 true
            deep extra! extra 26
        "#]],
    );
}

#[test]
fn classes_of_typescript() {
    check_run(
        r#"
# /main.ts
abstract class Base<T = unknown> {
  protected abstract f(): T;
  static readonly made: string[] = [];
  declare ambient: number;
  constructor(public readonly name: string, private n = 1, rest?: number) { Base.made.push(name + n + rest) }
  get double(): number { return this.n * 2 }
  optional?(): void;
}
class Derived extends Base<string> implements Named {
  private x!: number;
  y? = 5;
  override f(): string { return this.name + this.z + this.y }
  constructor(public z: number, ...args: [string]) { const before = 1; super(args[0], before + 1); }
}
class Odd extends Base<void> {
  constructor(public q: number) { if (q) super('odd'); else super('even'); }
  f() {}
}
interface Named { name: string }
const d = new Derived(7, 'n');
console.log(d.f(), d.double, Base.made.join(), 'ambient' in d, 'x' in d, new Odd(1).q, Object.keys(d).join());
export {};
"#,
        &expect![[r#"
            n75 4 n2undefined false true 1 name,n,x,y,z
        "#]],
    );
}

#[test]
fn common_js_of_typescript() {
    check_run(
        r#"
# /main.ts
import lib = require('./lib');
import type ignored = require('./missing');
import value from './value.cts';
console.log(lib.make(), new lib.Thing().x, value);
export = lib;
# /lib.ts
import { a } from './a';
class Thing { x = a }
const lib = { make: () => 'made', Thing };
export = lib;
# /a.ts
export const a = 'a';
# /value.cts
import { a } from './a';
export default a + '!';
export const other = 1;
"#,
        &expect![[r#"
            made a a!
        "#]],
    );
}

#[test]
fn refresh_leaves_behaviour_alone() {
    check_run(
        r#"
# /main.jsx
import { memo, useState } from './react'; // @refresh
import useThing from './useThing';
export const App = () => { const [n] = useState(1); return useThing() + n; };
export const Wrapped = memo(() => { useThing(); return 'wrapped'; });
const Short = () => useThing();
export default function Page() { return useThing() + App() + Wrapped() + Short(); }
console.log(Page(), App.name, Short.name);
setTimeout(() => console.log(__sg.registrations.map(([name, type]) => name + ' ' + typeof type).join()));
# /react.js
export const memo = type => type;
export const useState = value => [value];
# /useThing.js
import { useState } from './react';
export default function useThing() { return useState('thing')[0]; }
"#,
        &expect![[r#"
            thingthing1wrappedthing App Short
            App function,Wrapped$memo function,Wrapped function,Short function,Page function
        "#]],
    );
}
