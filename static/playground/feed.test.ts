import assert from "node:assert/strict";
import { test } from "node:test";
import type { Diagnostic } from "../client/protocol";
import { Feed } from "./feed";

/** A preview that says what a test wants it to. */
class FakePreview {
  readonly #listeners = new Map<string, (event: never) => void>();

  on(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, listener);
  }

  say(type: string, more: object = {}): void {
    this.#listeners.get(type)?.({ type, ...more } as never);
  }
}

/** A feed that is followed and listened to; `heard` has what arrived. */
function listening(): { feed: Feed; preview: FakePreview; heard: string[] } {
  const [feed, preview, heard] = [new Feed(), new FakePreview(), [] as string[]];
  feed.follow(preview);
  feed.on("ready", ({ revision }) => heard.push(`ready ${revision}`));
  feed.on("console", ({ level }) => heard.push(level));
  return { feed, preview, heard };
}

test("what was said before anybody listened comes in its order", () => {
  const { feed, preview, heard } = listening();
  preview.say("console", { level: "log" });
  preview.say("ready", { revision: 1 });
  assert.deepEqual(heard, []);
  feed.open();
  preview.say("console", { level: "warn" });
  assert.deepEqual(heard, ["log", "ready 1", "warn"]);
});

test("a log loop that nobody listens to costs its oldest lines", () => {
  const { feed, preview, heard } = listening();
  preview.say("ready", { revision: 1 });
  for (let i = 0; i < 2_000; i++) preview.say("console", { level: "log" });
  feed.open();
  assert.equal(heard.length, 2_000);
  assert.equal(heard[0], "log");
});

test("who comes late finds the newest problems", () => {
  const { feed, preview } = listening();
  const problem: Diagnostic = { severity: "error", message: "m", file: "/a", line: 1, column: 1, codeFrame: "", remedy: "" };
  feed.open();
  preview.say("diagnostics", { revision: 1, diagnostics: [problem] });
  assert.deepEqual(feed.problems, [problem]);
  preview.say("diagnostics", { revision: 2, diagnostics: [] });
  assert.deepEqual(feed.problems, []);
});

test("a second preview goes on where the first was", () => {
  const { feed, preview, heard } = listening();
  feed.open();
  preview.say("ready", { revision: 1 });
  const second = new FakePreview();
  feed.follow(second);
  second.say("ready", { revision: 2 });
  assert.deepEqual(heard, ["ready 1", "ready 2"]);
});
