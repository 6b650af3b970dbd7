import assert from "node:assert/strict";
import { test } from "node:test";
import { hash, numbered, sandboxId } from "./id";

test("a sandbox's name is fit for a host name and stays the same", () => {
  const id = sandboxId("https://docs.example.net/guide", "0");
  assert.ok(/^s[0-9a-z]{20}$/.test(id), id);
  assert.equal(id, sandboxId("https://docs.example.net/guide", "0"));
  assert.equal(numbered(id, 1), id);
  assert.equal(numbered(id, 2), `${id}-2`);
});

test("other pages, names and texts have other names", () => {
  const names = [sandboxId("a", "0"), sandboxId("a", "1"), sandboxId("b", "0")];
  assert.equal(new Set(names).size, names.length);
  const texts = Array.from({ length: 2_000 }, (_, index) => hash(`file ${index}`));
  assert.equal(new Set(texts).size, texts.length);
  // 20 characters are kept of a name: they must tell texts apart on their own.
  assert.equal(new Set(texts.map((text) => text.slice(0, 20))).size, texts.length);
});
