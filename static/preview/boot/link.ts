// The boot page's line to its worker: requests with replies, and events.

import type { EngineMessage, FromWorker, WorkerEvent, WorkerRequest } from "../worker/protocol";
import { close, listen, post } from "../ports";

// A living worker acknowledges at once, unless it is in the middle of a build;
// then it is asked in vain, which does no harm.
const ACK_MS = 400;
// What a living worker has sent to an earlier port may still be on its way.
const DRAIN_MS = 1_000;

const CHANGES = new Set(["mount", "write", "rename"]);

interface Pending {
  request: WorkerRequest;
  resolve(value: unknown): void;
  reject(error: Error): void;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** The worker forgot everything: what was asked can't be answered any more. */
export class LostError extends Error {
  constructor() {
    super("The preview's worker was restarted.");
  }
}

/** Where a link's events go. */
export interface LinkEvents {
  event(message: WorkerEvent): void;
  /** Another start of the worker has the project from what was kept; false: it isn't what is shown. */
  resumed(): Promise<boolean>;
  /** The worker was stopped and has forgotten the project. */
  lost(): void;
}

/** One worker, over whichever port it listens on now. */
export class Link {
  readonly #pending = new Map<number, Pending>();
  #port: MessagePort | undefined;
  #last = 0;
  /** The last change of files that was answered. */
  #answered = 0;
  /** The last one that survives a stop of the worker. */
  #kept = 0;
  #silent: () => void = () => {};

  constructor(
    readonly mode: "worker" | "fallback",
    readonly reason: string | undefined,
    private readonly events: LinkEvents,
  ) {}

  /** What to do when a request isn't acknowledged in time. */
  onSilence(act: () => void): void {
    this.#silent = act;
  }

  /** Takes the port on which the worker answers from now on. */
  adopt(port: MessagePort): void {
    const old = this.#port;
    if (old) setTimeout(() => close(old), DRAIN_MS);
    this.#port = port;
    listen(port, (data) => this.#take(data as FromWorker));
  }

  /** Asks the worker. */
  request(message: EngineMessage): Promise<unknown> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#silent(), ACK_MS);
      const request = { id, message };
      this.#pending.set(id, { request, resolve, reject, timer });
      post(this.#port!, request);
    });
  }

  /** The worker is another one than before: goes on where the project could be had again. */
  async resume(): Promise<void> {
    const waiting = [...this.#pending.values()];
    const kept = this.#answered <= this.#kept;
    const resumed = kept && (await this.request({ type: "restore" }).catch(() => false)) === true && (await this.events.resumed());
    if (!resumed) return this.#lose();
    // What the old one was asked and didn't answer, it had no time to keep.
    for (const { request } of waiting) if (this.#pending.has(request.id)) post(this.#port!, request);
  }

  #lose(): void {
    this.#giveUp(new LostError());
    this.events.lost();
  }

  /** Gives up what the worker was asked. */
  #giveUp(error: Error): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject, timer } of pending) {
      clearTimeout(timer);
      reject(error);
    }
  }

  #take(message: FromWorker): void {
    if (message.type === "event") return this.events.event(message.message);
    if (message.type === "hello") return;
    if (message.type === "kept") return void (this.#kept = message.through);
    // No new mount by ourselves: the same files would do the same again.
    if (message.type === "crashed") return this.#giveUp(new Error(`The bundler broke down (${message.reason}). Edit or reload to start it again.`));
    const request = this.#pending.get(message.id);
    if (!request) return;
    clearTimeout(request.timer);
    if (message.type === "ack") return;
    this.#pending.delete(message.id);
    if (CHANGES.has(request.request.message.type)) this.#answered = message.id;
    if (message.error === undefined) request.resolve(message.value);
    else request.reject(message.error === "lost" ? new LostError() : new Error(message.error));
  }
}
