import assert from "node:assert/strict";
import { test } from "node:test";
import { Drafts } from "./drafts";

/** A storage that holds `room` characters. */
function store(room = 1_000): Map<string, string> {
  const kept = new Map<string, string>();
  const value = {
    getItem: (key: string) => kept.get(key) ?? null,
    removeItem: (key: string) => kept.delete(key),
    setItem: (key: string, text: string) => {
      if (text.length > room) throw new Error("full");
      kept.set(key, text);
    },
  };
  Object.defineProperty(globalThis, "sessionStorage", { value, configurable: true });
  return kept;
}

const ORIGINAL = { "/a": "1", "/b": "2" };

test("edits come back on the same example", () => {
  store();
  new Drafts("x", ORIGINAL).keep({ "/a": "edited", "/c": "new" });
  assert.deepEqual(new Drafts("x", ORIGINAL).restore(), { "/a": "edited", "/c": "new" });
});

test("they don't come back on another one, or on a changed original", () => {
  store();
  new Drafts("x", ORIGINAL).keep({ "/a": "edited", "/b": "2" });
  assert.equal(new Drafts("y", ORIGINAL).restore(), undefined);
  assert.equal(new Drafts("x", { ...ORIGINAL, "/a": "1.1" }).restore(), undefined);
});

test("files as they were leave nothing behind", () => {
  const kept = store();
  const drafts = new Drafts("x", ORIGINAL);
  drafts.keep({ "/a": "edited", "/b": "2" });
  drafts.keep({ ...ORIGINAL });
  assert.equal(kept.size, 0);
  assert.equal(drafts.restore(), undefined);
});

test("a full storage still keeps the newest text for this page", () => {
  store(40);
  const drafts = new Drafts("x", ORIGINAL);
  drafts.keep({ ...ORIGINAL, "/a": "short" });
  drafts.keep({ ...ORIGINAL, "/a": "long".repeat(20) });
  assert.equal(new Drafts("x", ORIGINAL).restore()?.["/a"], "long".repeat(20));
});

test("what somebody else wrote there is no draft", () => {
  const kept = store();
  const drafts = new Drafts("x", ORIGINAL);
  drafts.keep({ ...ORIGINAL, "/a": "edited" });
  for (const key of kept.keys()) kept.set(key, "{broken");
  assert.equal(drafts.restore(), undefined);
});
