import assert from "node:assert/strict";
import { test } from "node:test";
import { apply, difference, isPath, move, type Changes, type Files } from "./files";

test("a path has one spelling", () => {
  for (const path of ["/a", "/src/App.tsx", "/.env", "/..a/...", "/node_modules/@scope/x.js", "/a b/ü"]) assert.ok(isPath(path), path);
  for (const path of ["", "/", "a", "./a", "//a", "/a/", "/a//b", "/.", "/a/..", "/../a", "/a/./b", "/a\0b"]) assert.equal(isPath(path), false, path);
});

/** Applying the difference of two states to the first gives the second. */
function checkDifference(from: Files, to: Files, expected: Changes): void {
  assert.deepEqual(difference(from, to), expected);
  assert.deepEqual(apply(from, expected), to);
}

test("a difference names what is new, changed and gone", () => {
  checkDifference({}, {}, {});
  checkDifference({ "/a": "1" }, { "/a": "1" }, {});
  checkDifference({ "/a": "1" }, { "/a": "2", "/b": "" }, { "/a": "2", "/b": "" });
  checkDifference({ "/a": "1", "/b": "2" }, { "/b": "2" }, { "/a": null });
});

test("applying changes leaves the original as it was", () => {
  const original: Files = { "/a": "1" };
  apply(original, { "/a": null, "/b": "2" });
  assert.deepEqual(original, { "/a": "1" });
});

/** `from` → `to` over the paths given and expected. */
function checkMove(paths: string, from: string, to: string, expected: string): void {
  const files = Object.fromEntries(paths.split(" ").map((path) => [path, path]));
  assert.equal(Object.keys(move(files, from, to)).join(" "), expected);
}

test("a file or a whole folder moves and keeps its place", () => {
  checkMove("/a /b", "/a", "/c", "/c /b");
  checkMove("/src/a /src/b/c /srcx", "/src", "/lib", "/lib/a /lib/b/c /srcx");
  checkMove("/a", "/missing", "/c", "/a");
});
