// Modules in the linked form → what they log, and what their importers see.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Module } from "./module";
import { Registry, type Host } from "./registry";

type Entry = [id: string, kind: number, statics: (string | null)[], factory: string, requests?: Record<string, string | null>];

const CJS = 0;
const ESM = 1;
const TLA = 2;
const NODE = 8;

let out: unknown[] = [];

function registryOf(entries: Entry[], host: Partial<Host> = {}): Registry {
  const registry = new Registry({
    loadChunk: async () => {},
    importUrl: async (url) => ({ url }),
    css: () => {},
    meta: (module: Module) => ({ url: module.id }),
    ...host,
  });
  for (const [id, kind, statics, body, requests] of entries) {
    const names = statics.map((_, index) => `,$${index}`).join("");
    const head = (kind & 3) === CJS ? "function(exports,module,require)" : `${kind & TLA ? "async " : ""}function*($m${names})`;
    const factory = new Function("log", `return ${head}{"use strict";${body}}`)((...values: unknown[]) => out.push(...values)) as () => unknown;
    registry.define(id, kind, statics, requests ?? {}, factory);
  }
  return registry;
}

/** Runs `/main` and compares what was logged. */
function check(name: string, entries: Entry[], expected: unknown[]): void {
  test(name, async () => {
    out = [];
    await registryOf(entries).run("/main").catch((error: Error) => out.push(`threw ${error.message}`));
    await new Promise((resolve) => setTimeout(resolve));
    assert.deepEqual(out, expected);
  });
}

check("dependencies run first, in order, once", [
  ["/main", ESM, ["/a", "/b"], `yield;log("main")`],
  ["/a", ESM, ["/c"], `yield;log("a")`],
  ["/b", ESM, ["/c"], `yield;log("b")`],
  ["/c", ESM, [], `yield;log("c")`],
], ["c", "a", "b", "main"]);

check("bindings are live", [
  ["/main", ESM, ["/a"], `yield;log($0.n);$0.add();log($0.n)`],
  ["/a", ESM, [], `$m.x({n:()=>n,add:()=>add});yield;let n=1;function add(){n++}`],
], [1, 2]);

check("functions of a cycle are hoisted, its variables aren't", [
  ["/main", ESM, ["/a"], `$m.x({hoisted:()=>hoisted,late:()=>late});yield;function hoisted(){return "hoisted"}const late=1;log("main")`],
  ["/a", ESM, ["/main"], `yield;log((0,$0.hoisted)());try{log($0.late)}catch(e){log(e.name)}`],
], ["hoisted", "ReferenceError", "main"]);

check("a namespace is frozen, sorted and has no prototype", [
  ["/main", ESM, ["/a"], `yield;log(Object.keys($0).join(),String(Object.getPrototypeOf($0)),$0[Symbol.toStringTag],Object.isExtensible($0));try{$0.a=2}catch(e){log(e.name)}`],
  ["/a", ESM, [], `$m.x({b:()=>1,a:()=>2,default:()=>3});yield;`],
], ["a,b,default", "null", "Module", false, "TypeError"]);

check("star exports: own names win, default stays behind, later values show", [
  ["/main", ESM, ["/star"], `yield;log(Object.keys($0).join(),$0.own,$0.other)`],
  ["/star", ESM, ["/a"], `$m.x({own:()=>"star's"});$m.s($0);yield;`],
  ["/a", ESM, [], `$m.x({own:()=>"a's",other:()=>other,default:()=>0});yield;const other="o"`],
], ["other,own", "star's", "o"]);

check("star exports that differ exclude each other", [
  ["/main", ESM, ["/star"], `yield;log(Object.keys($0).join(),"x" in $0)`],
  ["/star", ESM, ["/a", "/b"], `$m.s($0);$m.s($1);yield;`],
  ["/a", ESM, [], `$m.x({x:()=>1,y:()=>2});yield;`],
  ["/b", ESM, [], `$m.x({x:()=>3});yield;`],
], ["y", false]);

check("star exports of one binding on two ways are one", [
  ["/main", ESM, ["/star"], `yield;log($0.x)`],
  ["/star", ESM, ["/a", "/b"], `$m.s($0);$m.s($1);yield;`],
  ["/a", ESM, ["/c"], `$m.s($0);yield;`],
  ["/b", ESM, ["/c"], `$m.x({x:()=>$0.x});yield;`],
  ["/c", ESM, [], `$m.x({x:()=>x});yield;const x="one"`],
], ["one"]);

check("star exports in a cycle end", [
  ["/main", ESM, ["/a"], `yield;log(Object.keys($0).join())`],
  ["/a", ESM, ["/b"], `$m.x({a:()=>1});$m.s($0);yield;`],
  ["/b", ESM, ["/a"], `$m.x({b:()=>1});$m.s($0);yield;`],
], ["a,b"]);

check("star exports of CommonJS are known once it has run", [
  ["/main", ESM, ["/star"], `yield;log(Object.keys($0).join(),$0.x,Object.isExtensible($0))`],
  ["/star", ESM, ["/c"], `$m.s($0);yield;`],
  ["/c", CJS, [], `exports.x=1;exports.y=2`],
], ["x,y", 1, false]);

check("an error is kept and reaches every importer", [
  ["/main", ESM, ["/a"], `yield;log("main")`, { "/b": "/b" }],
  ["/a", ESM, ["/b"], `yield;log("a")`],
  ["/b", ESM, [], `yield;log("b");throw new Error("no")`],
], ["b", "threw no"]);

test("an error isn't thrown anew by running again", async () => {
  out = [];
  const registry = registryOf([["/main", ESM, [], `yield;log("ran");throw new Error("no")`]]);
  await assert.rejects(registry.run("/main"), /no/);
  await assert.rejects(registry.run("/main"), /no/);
  assert.deepEqual(out, ["ran"]);
});

check("top-level await holds importers, not siblings", [
  ["/main", ESM, ["/slow", "/quick"], `yield;log("main",$0.v)`],
  ["/slow", TLA, [], `$m.x({v:()=>v});yield;log("slow starts");await 0;await 0;const v="value";log("slow ends")`],
  ["/quick", ESM, [], `yield;log("quick")`],
], ["slow starts", "quick", "slow ends", "main", "value"]);

check("two top-level awaits run side by side, importers in order", [
  ["/main", ESM, ["/x", "/y"], `yield;log("main")`],
  ["/x", ESM, ["/a"], `yield;log("x")`],
  ["/y", ESM, ["/b"], `yield;log("y")`],
  ["/a", TLA, [], `yield;log("a1");await 0;await 0;await 0;log("a2")`],
  ["/b", TLA, [], `yield;log("b1");await 0;log("b2")`],
], ["a1", "b1", "b2", "y", "a2", "x", "main"]);

check("a cycle with top-level await", [
  ["/main", ESM, ["/a"], `yield;log("main")`],
  ["/a", TLA, ["/b"], `$m.x({f:()=>f});yield;function f(){return "f"}await 0;log("a")`],
  ["/b", ESM, ["/a"], `yield;log("b",(0,$0.f)())`],
], ["b", "f", "a", "main"]);

check("a rejected top-level await fails its importers", [
  ["/main", ESM, ["/a"], `yield;log("main")`],
  ["/a", ESM, ["/b"], `yield;log("a")`],
  ["/b", TLA, [], `yield;await 0;throw new Error("late")`],
], ["threw late"]);

check("CommonJS: default and names, live", [
  ["/main", ESM, ["/c"], `yield;log($0.default.n,$0.n);$0.up();log($0.n)`],
  ["/c", CJS, [], `exports.n=1;exports.up=()=>{exports.n++}`],
], [1, 1, 2]);

check("CommonJS: a function with properties", [
  ["/main", ESM, ["/c"], `yield;log(typeof $0.default,$0.extra,"length" in $0)`],
  ["/c", CJS, [], `module.exports=function(){};module.exports.extra="e"`],
], ["function", "e", false]);

check("CommonJS made from ES: default is its default", [
  ["/main", ESM, ["/c"], `yield;log($0.default,$0.x)`],
  ["/c", CJS, [], `Object.defineProperty(exports,"__esModule",{value:true});exports.default="d";exports.x="x"`],
], ["d", "x"]);

check("the same, from an importer in Node's mode", [
  ["/main", ESM | NODE, ["/c"], `yield;log($0.default.default,$0.x)`],
  ["/c", CJS, [], `Object.defineProperty(exports,"__esModule",{value:true});exports.default="d";exports.x="x"`],
], ["d", "x"]);

check("require: cycles see what is there", [
  ["/main", CJS, [], `exports.early=1;log(require("./a").seen);exports.late=2`, { "./a": "/a" }],
  ["/a", CJS, [], `exports.seen=Object.keys(require("./main")).join()`, { "./main": "/main" }],
], ["early"]);

check("require of an ES module is marked as one", [
  ["/main", CJS, [], `const a=require("./a");log(a.__esModule,a.default,a.x,Object.keys(a).join())`, { "./a": "/a" }],
  ["/a", ESM, [], `$m.x({default:()=>"d",x:()=>"x"});yield;`],
], [true, "d", "x", "default,x"]);

check("require of a module with top-level await is refused", [
  ["/main", CJS, [], `try{require("./a")}catch(e){log(e.message)}`, { "./a": "/a" }],
  ["/a", TLA, [], `yield;await 0`],
], [`require("./a") can't give a module with top-level await; use import() in /main`]);

check("require of nothing has Node's code", [
  ["/main", CJS, [], `try{require("x")}catch(e){log(e.code,e.message)}`, { x: null }],
], ["MODULE_NOT_FOUND", `Cannot find module "x", imported by /main`]);

check("a CommonJS module that threw is tried again", [
  ["/main", CJS, [], `try{require("a")}catch(e){log(e.message)}try{require("a")}catch(e){log(e.message)}`, { a: "/a" }],
  ["/a", CJS, [], `log("a");throw new Error("no")`],
], ["a", "no", "a", "no"]);

check("import() is later, by the map, computed and by URL", [
  ["/main", ESM, [], `yield;for(const s of ["lib","./pages/"+"a.js","https://x/y.js"])$m.i(s).then(n=>log(n.default??n.url),e=>log(e.message));log("main")`, { lib: "/lib" }],
  ["/lib", CJS, [], `module.exports="lib"`],
  ["/pages/a.ts", ESM, [], `$m.x({default:()=>"page"});yield;`],
], ["main", "lib", "page", "https://x/y.js"]);

check("import() of nothing rejects", [
  ["/main", ESM, [], `yield;$m.i("nope").catch(e=>log(e.message));$m.i("gone").catch(e=>log(e.message))`, { gone: null }],
], [`Cannot find module "nope", imported by /main`, `Cannot find module "gone", imported by /main`]);

check("this and module of CommonJS", [
  ["/main", CJS, [], `log(this===exports,module.exports===exports,module.id,typeof require.resolve)`],
], [true, true, "/main", "function"]);

test("a late module comes by its chunk, and what the page has stays", async () => {
  out = [];
  const registry: Registry = registryOf(
    [["/main", ESM, ["/node_modules/a"], `yield;$m.i("b").then(n=>log(n.v,n.a===$0.a))`, { b: "/node_modules/b" }],
      ["/node_modules/a", ESM, [], `$m.x({a:()=>a});yield;const a={};`]],
    { loadChunk: async (id) => {
      out.push(`load ${id}`);
      registry.define("/node_modules/a", ESM, [], {}, function* () {} as never);
      registry.define(id, ESM, ["/node_modules/a"], {}, function* (m: Module, a: { a: object }) {
        m.x({ v: () => 1, a: () => a.a });
        yield;
      } as never);
    } },
  );
  await registry.run("/main");
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(out, ["load /node_modules/b", 1, true]);
});
