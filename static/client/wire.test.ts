import assert from "node:assert/strict";
import { test } from "node:test";
import { envelope, isConsoleValue, parse } from "./wire";

/** What `parse` makes of a message: its id and type, or nothing. */
function check(data: unknown, expected: string): void {
  const incoming = parse(data);
  assert.equal(incoming ? `${incoming.id ?? "-"} ${incoming.message.type}` : "dropped", expected, JSON.stringify(data));
}

const ours = (message: object) => ({ sandglass: 1, ...message });
const place = { function: "", file: "/a.ts", line: 1, column: 2 };
const problem = { severity: "error", message: "m", file: "/a.ts", line: 1, column: 1, codeFrame: "", remedy: "" };

test("messages of the protocol are read", () => {
  check(ours({ type: "alive" }), "- alive");
  check(ours({ type: "lost", id: null }), "- lost");
  check(ours({ type: "reply", id: 7, value: { any: "thing" } }), "7 reply");
  check(ours({ type: "reply", id: 7, value: null, error: "No." }), "7 reply");
  check(ours({ type: "mode", mode: "fallback", reason: "blocked" }), "- mode");
  check(ours({ type: "progress", text: "Installing", done: 0, total: 3 }), "- progress");
  check(ours({ type: "updated", revision: 2, how: "hot", paths: ["/a.ts"] }), "- updated");
  check(ours({ type: "diagnostics", revision: 2, diagnostics: [problem] }), "- diagnostics");
  check(ours({ type: "console", level: "log", args: [{ kind: "string", text: "hi" }], at: place }), "- console");
  check(ours({ type: "error", message: "TypeError", frames: [place], codeFrame: null }), "- error");
});

test("what is not of the protocol is dropped whole", () => {
  check(undefined, "dropped");
  check("alive", "dropped");
  check([], "dropped");
  check({ type: "alive" }, "dropped");
  check({ sandglass: 2, type: "alive" }, "dropped");
  check(ours({ type: "constructor" }), "dropped");
  check(ours({ type: "mount", project: {} }), "dropped");
  check(ours({ type: "alive", id: -1 }), "dropped");
  check(ours({ type: "alive", id: "7" }), "dropped");
  check(ours({ type: "mode", mode: "magic" }), "dropped");
  check(ours({ type: "progress", text: "x", done: 0.5, total: 1 }), "dropped");
  check(ours({ type: "updated", revision: 2, how: "hot", paths: "/a.ts" }), "dropped");
  check(ours({ type: "diagnostics", revision: 2, diagnostics: [{ ...problem, line: null }] }), "dropped");
  check(ours({ type: "diagnostics", revision: 2, diagnostics: [problem, null] }), "dropped");
  check(ours({ type: "console", level: "log", args: [{ kind: "html", text: "<b>" }] }), "dropped");
  check(ours({ type: "error", message: "x".repeat((1 << 20) + 1), frames: [] }), "dropped");
});

test("console values of bounded depth and size are taken", () => {
  const nest = (depth: number): unknown => (depth ? { kind: "list", name: "Array(1)", items: [nest(depth - 1)], more: 0 } : { kind: "cut", text: "…" });
  const wide = (items: number) => ({ kind: "list", name: "Array", more: 0, items: Array.from({ length: items }, () => ({ kind: "cut", text: "" })) });
  const cases: [unknown, boolean][] = [
    [{ kind: "atom", typeName: "number", text: "1" }, true],
    [{ kind: "object", name: "Object", entries: [["a", { kind: "string", text: "b" }]], more: 0 }, true],
    [{ kind: "object", name: "Object", entries: [[1, { kind: "string", text: "b" }]], more: 0 }, false],
    [{ kind: "object", name: "Object", entries: ["a"], more: 0 }, false],
    [{ kind: "atom", text: "1" }, false],
    [{ kind: "toString", text: "1" }, false],
    [nest(16), true],
    [nest(17), false],
    [wide(19_999), true],
    [wide(20_000), false],
  ];
  for (const [index, [value, expected]] of cases.entries()) assert.equal(isConsoleValue(value), expected, `case ${index}`);
});

test("an envelope can't be overruled by its message", () => {
  assert.deepEqual(envelope({ type: "list" }, 3), { sandglass: 1, id: 3, type: "list" });
});
