// Stacks of three engines → frames.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseStack } from "./stack";

function check(name: string, stack: string, expected: string[]): void {
  test(name, () => assert.deepEqual(parseStack(stack).map(({ function: f, file, line, column }) => `${f}|${file}|${line}|${column}`), expected));
}

check("Chromium", `TypeError: x is not a function
    at App (http://s.localhost:1/__sandglass/chunk/ab.js:12:5)
    at new Point (http://s.localhost:1/a.js:1:2)
    at async Object.load [as run] (http://s.localhost:1/a.js:3:4)
    at http://s.localhost:1/a.js:5:6
    at Array.map (<anonymous>)
    at factory.next (http://s.localhost:1/a.js:7:8)
    at eval (eval at patch (http://s.localhost:1/r.js:1:2), <anonymous>:1:1)
    at App (/src/App.tsx?t=5:3:9)`, [
  "App|http://s.localhost:1/__sandglass/chunk/ab.js|12|5",
  "new Point|http://s.localhost:1/a.js|1|2",
  "load|http://s.localhost:1/a.js|3|4",
  "|http://s.localhost:1/a.js|5|6",
  "|http://s.localhost:1/a.js|7|8",
  "|http://s.localhost:1/r.js|1|2",
  "App|/src/App.tsx?t=5|3|9",
]);

check("Firefox", `App@http://s.localhost:1/a.js:12:5
async*load@http://s.localhost:1/a.js:3:4
@http://s.localhost:1/a.js:5:6
f/<@http://s.localhost:1/a.js:7:8
run@http://s.localhost:1/r.js line 3 > eval:1:1
App@http://s.localhost:1/src/App.tsx?t=5:3:9
`, [
  "App|http://s.localhost:1/a.js|12|5",
  "load|http://s.localhost:1/a.js|3|4",
  "|http://s.localhost:1/a.js|5|6",
  "f|http://s.localhost:1/a.js|7|8",
  "run|http://s.localhost:1/r.js|3|1",
  "App|http://s.localhost:1/src/App.tsx?t=5|3|9",
]);

check("Safari", `App@http://s.localhost:1/a.js:12:5
global code@http://s.localhost:1/a.js:3:4
map@[native code]
http://s.localhost:1/a.js:5:6`, [
  "App|http://s.localhost:1/a.js|12|5",
  "|http://s.localhost:1/a.js|3|4",
  "|http://s.localhost:1/a.js|5|6",
]);

check("words only", "Error: at home\n  nothing (here)\nuser@example", []);
check("an address in a message", "Error: see http://x/y\n    at f (http://x/a.js:1:2)", ["f|http://x/a.js|1|2"]);

test("a stack without end is cut", () => {
  assert.equal(parseStack("    at f (http://x/a.js:1:2)\n".repeat(500)).length, 50);
});
