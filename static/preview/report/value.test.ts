// Values and how they are cut.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isConsoleValue } from "../../client/wire";
import type { ConsoleValue } from "../../client/protocol";
import { format } from "./console";
import { consoleValue } from "./value";

function text(value: ConsoleValue): string {
  if (value.kind === "list") return `${value.name}[${value.items.map(text).join(",")}${value.more ? ` +${value.more}` : ""}]`;
  if (value.kind === "object") return `${value.name}{${value.entries.map(([key, each]) => `${key}:${text(each)}`).join(",")}${value.more ? ` +${value.more}` : ""}}`;
  return value.kind === "string" ? JSON.stringify(value.text) : value.text;
}

function check(name: string, value: unknown, expected: string): void {
  test(name, () => {
    const shown = consoleValue(value);
    assert.equal(text(shown), expected);
    assert.ok(isConsoleValue(shown), "the host page would drop it");
  });
}

const cycle: { self?: unknown } = {};
cycle.self = cycle;
class Point {
  x = 1;
}

check("text", "a\n", `"a\\n"`);
check("long text", "x".repeat(10_001), `"${"x".repeat(10_000)}… (1 more)"`);
check("numbers", [-0, 1.5, NaN, 10n], "Array(4)[-0,1.5,NaN,10n]");
check("nothing", [null, undefined], "Array(2)[null,undefined]");
check("symbols and functions", [Symbol("s"), function f() {}, class A {}, () => {}], "Array(4)[Symbol(s),ƒ f(),class A,ƒ (anonymous)()]");
check("an object", { a: 1, b: { c: "d" } }, `Object{a:1,b:Object{c:"d"}}`);
check("an instance", new Point(), "Point{x:1}");
check("without a prototype", Object.assign(Object.create(null), { a: 1 }), "Object{a:1}");
check("symbol keys", { [Symbol("k")]: 1 }, "Object{Symbol(k):1}");
check("map and set", [new Map([["a", 1]]), new Set([1, 2])], `Array(2)[Map(1){"a":1},Set(2)[1,2]]`);
check("typed arrays", new Uint8Array([1, 2]), "Uint8Array(2)[1,2]");
check("dates and expressions", [new Date(0), new Date(NaN), /a/g], "Array(3)[1970-01-01T00:00:00.000Z,Invalid Date,/a/g]");
check("a cycle", cycle, "Object{self:[Circular]}");
check("the same twice is no cycle", (() => { const a = {}; return [a, a]; })(), "Array(2)[Object{},Object{}]");
check("depth", { a: { b: { c: { d: { e: 1 } } } } }, "Object{a:Object{b:Object{c:Object{d:{…}}}}}");
check("width", Array.from({ length: 103 }, () => 0), `Array(103)[${Array(100).fill(0).join(",")} +3]`);
check("getters aren't run", { get a() { throw new Error("ran"); } }, "Object{a:(…)}");
check("a proxy that throws", new Proxy({}, { ownKeys: () => { throw new Error(); } }), "[Unreadable]");
check("an error with a cause", Object.assign(new TypeError("t", { cause: new Error("c") }), { stack: "" }), "TypeError: t\nCaused by Error: c");

test("nodes are bounded", () => {
  const wide = () => Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${index}`, index]));
  const value = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`w${index}`, wide()]));
  let nodes = 0;
  const count = (each: ConsoleValue): void => {
    nodes++;
    if (each.kind === "object") each.entries.forEach(([, member]) => count(member));
  };
  count(consoleValue(value));
  assert.ok(nodes <= 2_000, `${nodes} nodes`);
});

function checkFormat(args: unknown[], expected: unknown[]): void {
  test(`format ${JSON.stringify(args)}`, () => assert.deepEqual(format(args), expected));
}

checkFormat(["%s is %d", "a", "7.5", "rest"], ["a is 7", "rest"]);
checkFormat(["%cred", "color: red"], ["red"]);
checkFormat(["100%", 1], ["100%", 1]);
checkFormat(["%o", { a: 1 }], ["", { a: 1 }]);
checkFormat(["%s %s", "one"], ["one %s"]);
