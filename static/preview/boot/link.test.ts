// A worker that is stopped: what goes on, and what is given up.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { FromWorker, WorkerRequest } from "../worker/protocol";
import { Link, LostError } from "./link";

/** One start of a worker; it answers what `answers` says. */
class FakeWorker {
  readonly heard: string[] = [];
  readonly port: MessagePort;
  readonly #own: MessagePort;

  constructor(answers: Record<string, unknown>) {
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    this.#own = port2;
    port2.onmessage = (event: MessageEvent) => {
      const { id, message } = event.data as WorkerRequest;
      this.heard.push(message.type);
      if (!(message.type in answers)) return;
      this.say({ type: "ack", id });
      this.say({ type: "reply", id, value: answers[message.type] });
    };
  }

  say(message: FromWorker): void {
    this.#own.postMessage(message);
  }

  end(): void {
    this.#own.close();
  }
}

interface Seen {
  link: Link;
  lost: number;
  silent: number;
}

function linkTo(worker: FakeWorker, resumed = true): Seen {
  const seen: Seen = { link: undefined as unknown as Link, lost: 0, silent: 0 };
  seen.link = new Link("worker", undefined, { event: () => {}, resumed: async () => resumed, lost: () => void seen.lost++ });
  seen.link.onSilence(() => void seen.silent++);
  seen.link.adopt(worker.port);
  return seen;
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 20));

test("a request is answered, in words where it fails", async () => {
  const worker = new FakeWorker({ list: ["/a"] });
  const { link } = linkTo(worker);
  assert.deepEqual(await link.request({ type: "list" }), ["/a"]);
  const failing = link.request({ type: "readFile" });
  await turn();
  worker.say({ type: "reply", id: 2, error: "It isn't there." });
  await assert.rejects(failing, /isn't there/);
  worker.end();
});

test("a worker without memory is told apart from one that refuses", async () => {
  const worker = new FakeWorker({});
  const { link } = linkTo(worker);
  const request = link.request({ type: "write" });
  await turn();
  worker.say({ type: "reply", id: 1, error: "lost" });
  await assert.rejects(request, (error) => error instanceof LostError);
  worker.end();
});

test("no acknowledgement: somebody is told", async () => {
  const worker = new FakeWorker({});
  const seen = linkTo(worker);
  void seen.link.request({ type: "write" }).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 600));
  assert.equal(seen.silent, 1);
  worker.end();
});

/** A change is answered and perhaps kept, the worker stops, the next change finds another one. */
async function stopped(kept: boolean, restored: boolean, resumed: boolean): Promise<{ seen: Seen; heard: string[]; outcome: unknown }> {
  const first = new FakeWorker({ mount: 1 });
  const seen = linkTo(first, resumed);
  await seen.link.request({ type: "mount" });
  if (kept) first.say({ type: "kept", through: 1 });
  await turn();
  first.end();
  const write = seen.link.request({ type: "write" }).catch((error: unknown) => error);
  const second = new FakeWorker({ restore: restored, write: 2 });
  seen.link.adopt(second.port);
  await seen.link.resume();
  const outcome = await write;
  second.end();
  return { seen, heard: second.heard, outcome };
}

test("what was kept is restored, and the open request goes to the new worker", async () => {
  const { seen, heard, outcome } = await stopped(true, true, true);
  assert.deepEqual([outcome, heard, seen.lost], [2, ["restore", "write"], 0]);
});

for (const [name, kept, restored, resumed] of [
  ["a change that wasn't kept", false, true, true],
  ["nothing was kept", true, false, true],
  ["another build is shown", true, true, false],
] as const) {
  test(`${name}: the request fails and the project is lost`, async () => {
    const { seen, outcome } = await stopped(kept, restored, resumed);
    assert.ok(outcome instanceof LostError);
    assert.equal(seen.lost, 1);
  });
}
