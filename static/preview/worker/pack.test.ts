// Records: written, read, and refused when cut off.

import assert from "node:assert/strict";
import { test } from "node:test";
import { encodePack, StoredPack, type Pack } from "./pack";

const PACK: Pack = {
  project: `{"text":"ä"}`,
  entries: [
    ["/", { status: 200, headers: [["content-type", "text/html"]], body: "<p>ä</p>" }],
    ["/a.png", { status: 200, headers: [], body: new Uint8Array([0, 255, 1]) }],
    ["/empty", { status: 204, headers: [] }],
  ],
};

async function bytes(pack: Pack): Promise<ArrayBuffer> {
  return new Blob(encodePack(pack)).arrayBuffer();
}

test("what was written is read", async () => {
  const stored = new StoredPack(await bytes(PACK));
  assert.equal(stored.project, PACK.project);
  const page = stored.answer("/")!;
  assert.deepEqual([page.status, page.headers, new TextDecoder().decode(page.body as Uint8Array)], [200, [["content-type", "text/html"]], "<p>ä</p>"]);
  assert.deepEqual([...(stored.answer("/a.png")!.body as Uint8Array)], [0, 255, 1]);
  assert.equal((stored.answer("/empty")!.body as Uint8Array).length, 0);
  assert.equal(stored.answer("/other"), undefined);
});

test("a record that is cut off is none", async () => {
  const whole = await bytes(PACK);
  assert.throws(() => new StoredPack(whole.slice(0, -1)));
  assert.throws(() => new StoredPack(whole.slice(0, 10)));
  assert.throws(() => new StoredPack(new ArrayBuffer(0)));
});
