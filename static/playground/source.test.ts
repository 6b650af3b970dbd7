import assert from "node:assert/strict";
import { test } from "node:test";
import { dedent } from "./source";

function check(text: string, expected: string): void {
  assert.equal(dedent(text), expected, JSON.stringify(text));
}

test("code loses what the page's indentation added, and no more", () => {
  check("a\nb", "a\nb\n");
  check("\n    a\n      b\n    c\n  ", "a\n  b\nc\n");
  check("\n\n  a\n\n  b", "a\n\nb\n");
  check("  a\n b", " a\nb\n");
  check("\ta\n\t\tb", "a\n\tb\n");
  check("\ta\n  b", "\ta\n  b\n");
  check("a\r\nb\rc", "a\nb\nc\n");
  check("", "\n");
  check("  \n  ", "\n");
});
