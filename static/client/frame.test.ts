import assert from "node:assert/strict";
import { test } from "node:test";
import { FakePage, type FakeFrame } from "./fake-page";
import { createFrame, open, originOf, type Link } from "./frame";

const PATTERN = "https://{id}.preview.example.net";
const ORIGIN = "https://box.preview.example.net";

/** Opens a frame against a boot page; says which id it got, or the failure's code. */
async function attempt(load: (page: FakePage, frame: FakeFrame) => void, previewOrigin = PATTERN): Promise<string> {
  const page: FakePage = new FakePage({ load: (frame) => load(page, frame) });
  const frame = createFrame("Preview");
  const options = { previewOrigin, id: "box", timeoutMs: 20, signal: new AbortController().signal };
  const link: Link | { code: string } = await open(frame, options).catch((error: { code: string }) => error);
  if ("port" in link) link.port.close();
  page.close();
  return "port" in link ? link.id : link.code;
}

const forged = (change: object, from: Partial<{ origin: string; source: unknown }> = {}) => (page: FakePage, frame: FakeFrame) =>
  page.post({ sandglass: 1, type: "hello", nonce: frame.nonce, busy: false, ...change }, from.origin ?? frame.origin, "source" in from ? from.source : frame.contentWindow);

test("an id takes its place in the pattern", () => {
  assert.equal(originOf(PATTERN, "box"), ORIGIN);
  assert.equal(originOf("http://{id}.localhost:4001/", "box"), "http://box.localhost:4001");
  assert.equal(originOf("http://127.0.0.1:4001", "box"), "http://127.0.0.1:4001");
});

test("an honest hello gets the port", async () => {
  assert.equal(await attempt((page, frame) => page.hello(frame)), "box");
});

test("a hello of the wrong window, origin, nonce, version or kind gets nothing", async () => {
  assert.equal(await attempt(forged({}, { source: {} })), "unreachable");
  assert.equal(await attempt(forged({}, { source: null })), "unreachable");
  assert.equal(await attempt(forged({}, { origin: "https://other.preview.example.net" })), "unreachable");
  assert.equal(await attempt(forged({ nonce: "0".repeat(32) })), "unreachable");
  assert.equal(await attempt(forged({ nonce: undefined })), "unreachable");
  assert.equal(await attempt(forged({ sandglass: 2 })), "unreachable");
  assert.equal(await attempt(forged({ type: "connect" })), "unreachable");
  assert.equal(await attempt((page, frame) => page.post(null, frame.origin, frame.contentWindow)), "unreachable");
});

test("every attempt has a nonce of its own, and the port goes to that origin only", async () => {
  const nonces = new Set<string>();
  let last: FakeFrame | undefined;
  const honest = (page: FakePage, frame: FakeFrame) => {
    nonces.add(frame.nonce);
    last = frame;
    page.hello(frame);
  };
  await attempt(honest);
  await attempt(honest);
  assert.equal(nonces.size, 2);
  for (const nonce of nonces) assert.ok(/^[0-9a-f]{32}$/.test(nonce), nonce);
  assert.deepEqual(last?.posted, [{ data: { sandglass: 1, type: "connect", nonce: last?.nonce }, origin: ORIGIN }]);
});

test("a sandbox of another tab is passed by, as long as there are names", async () => {
  let visits = 0;
  assert.equal(await attempt((page, frame) => page.hello(frame, ++visits < 3)), "box-3");
  assert.equal(await attempt((page, frame) => page.hello(frame, true)), "busy");
  assert.equal(await attempt((page, frame) => page.hello(frame, true), ORIGIN), "busy");
});

test("a frame that the page's policy refuses is told at once", async () => {
  const violation = (blockedURI: string, effectiveDirective: string) => () =>
    document.dispatchEvent(Object.assign(new Event("securitypolicyviolation"), { blockedURI, effectiveDirective }));
  assert.equal(await attempt(violation(ORIGIN, "frame-src")), "blocked");
  assert.equal(await attempt(violation(ORIGIN, "img-src")), "unreachable");
  assert.equal(await attempt(violation("https://elsewhere.example", "frame-src")), "unreachable");
});

test("an attempt ends with its signal", async () => {
  const page = new FakePage({});
  const ending = new AbortController();
  const opening = open(createFrame("Preview"), { previewOrigin: PATTERN, id: "box", timeoutMs: 60_000, signal: ending.signal });
  ending.abort();
  await assert.rejects(opening, { code: "closed" });
  page.close();
});
