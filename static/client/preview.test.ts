import assert from "node:assert/strict";
import { test } from "node:test";
import { containerOf, FakePage, type BootPage } from "./fake-page";
import { connect, type Preview } from "./preview";

type Answer = NonNullable<BootPage["answer"]>;

/** Runs a test against a preview whose boot page gives `answer`; `log` has its requests. */
async function withPreview(answer: Answer, body: (preview: Preview, log: string[], page: FakePage) => Promise<void>): Promise<void> {
  const log: string[] = [];
  const page: FakePage = new FakePage({
    load: (frame) => page.hello(frame),
    answer: (message, port) => {
      const detail = message.type === "write" ? ` ${Object.entries(message.files).map(([path, text]) => `${path}=${String(text)}`).join(",")}` : "";
      log.push(message.type + detail);
      return answer(message, port);
    },
  });
  const preview = await connect({ previewOrigin: "https://{id}.example.net", id: "box", container: containerOf(page) });
  try {
    await body(preview, log, page);
  } finally {
    preview.dispose();
    page.close();
  }
}

const FILES = { "/a": "1" };
const polite: Answer = (message) => ({ value: message.type === "write" || message.type === "rename" ? 5 : null });

test("a write resolves with the revision, and the page's files follow", async () => {
  await withPreview(polite, async (preview, log) => {
    await preview.mount({ files: FILES });
    assert.equal(await preview.write({ "/a": "2", "/b": "x" }), 5);
    assert.equal(await preview.rename("/b", "/c"), 5);
    assert.deepEqual(preview.files, { "/a": "2", "/c": "x" });
    assert.deepEqual(log, ["mount", "write /a=2,/b=x", "rename"]);
  });
});

test("the first edit goes out at once, those made meanwhile travel together", async () => {
  await withPreview(polite, async (preview, log) => {
    await preview.mount({ files: FILES });
    const first = preview.write({ "/a": "2" });
    await Promise.resolve();
    await Promise.all([first, preview.write({ "/a": "3" }), preview.write({ "/b": "y" }), preview.write({ "/a": "4" })]);
    assert.deepEqual(log, ["mount", "write /a=2", "write /a=4,/b=y"]);
    assert.deepEqual(preview.files, { "/a": "4", "/b": "y" });
  });
});

test("paths that are not absolute are refused before anything is sent", async () => {
  await withPreview(polite, async (preview, log) => {
    await assert.rejects(preview.mount({ files: { "a.ts": "" } }), { code: "refused" });
    await assert.rejects(preview.write({ "/a": "" }), { code: "refused" });
    assert.deepEqual(log, []);
  });
});

test("an error in a reply rejects, and its text is the preview's", async () => {
  await withPreview(() => ({ error: "There is no such file." }), async (preview) => {
    await assert.rejects(preview.readFile("/x"), { code: "refused", message: "There is no such file." });
  });
});

test("a worker that forgot the project is given it again", async () => {
  let mounts = 0;
  await withPreview((message, port) => {
    if (message.type === "mount" && ++mounts === 1) setTimeout(() => port.postMessage({ sandglass: 1, type: "lost" }));
    return { value: null };
  }, async (preview) => {
    await preview.mount({ files: FILES });
    await new Promise((done) => preview.on("lost", done));
    await preview.list();
    assert.equal(mounts, 2);
  });
});

test("edits to a stopped preview wait for its next start", async () => {
  const mounted: unknown[] = [];
  await withPreview((message) => {
    if (message.type === "mount") mounted.push(message.project.files);
    return { value: null };
  }, async (preview, log) => {
    await preview.mount({ files: FILES });
    await preview.stop();
    assert.equal(await preview.write({ "/a": "edited" }), 0);
    await preview.restart();
    assert.deepEqual(mounted, [FILES, { "/a": "edited" }]);
    assert.deepEqual(log, ["mount", "stop", "mount"]);
  });
});

test("a preview that doesn't answer a stop loses its frame and gets a new one", async () => {
  let silent = false;
  await withPreview(() => (silent ? undefined : { value: null }), async (preview, _log, page) => {
    await preview.mount({ files: FILES });
    silent = true;
    const hanging = preview.write({ "/a": "2" });
    hanging.catch(() => {});
    await preview.stop();
    await assert.rejects(hanging, { code: "closed" });
    assert.equal(page.frames[0]?.isConnected, false);
    silent = false;
    await preview.restart();
    assert.equal(page.frames[1]?.isConnected, true);
    assert.deepEqual(preview.files, { "/a": "2" });
  });
});

test("messages that are not of the protocol are counted, not shown", async () => {
  await withPreview((message, port) => {
    if (message.type === "mount") for (const junk of [null, "x", { sandglass: 1, type: "evil" }]) port.postMessage(junk);
    return { value: null };
  }, async (preview) => {
    await preview.mount({ files: FILES });
    assert.equal(preview.dropped, 3);
  });
});

test("ending the signal ends the preview and what it still owes", async () => {
  const ending = new AbortController();
  const page: FakePage = new FakePage({ load: (frame) => page.hello(frame) });
  const preview = await connect({ previewOrigin: "https://{id}.example.net", id: "box", container: containerOf(page), signal: ending.signal });
  const mounting = preview.mount({ files: FILES });
  ending.abort();
  await assert.rejects(mounting, { code: "closed" });
  assert.equal(page.frames[0]?.isConnected, false);
  page.close();
});
