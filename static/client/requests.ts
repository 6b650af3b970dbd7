// Requests over a port and the replies to them.

import { PreviewError } from "./errors";
import type { ClientMessage, PreviewMessage } from "./protocol";
import { envelope, parse } from "./wire";

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** One port: numbers requests, matches replies, drops and counts what it can't read. */
export class Requests {
  /** Messages that were not of the protocol. */
  dropped = 0;
  readonly #pending = new Map<number, Pending>();
  #last = 0;
  #closed: Error | undefined;

  constructor(
    private readonly port: MessagePort,
    private readonly receive: (message: Exclude<PreviewMessage, { type: "reply" }>) => void,
    private readonly heard: (isBeat: boolean) => void,
  ) {
    port.onmessage = (event) => this.#take(event.data);
  }

  /** Sends a request; its reply settles the promise. */
  send(message: ClientMessage): Promise<unknown> {
    if (this.#closed) return Promise.reject(this.#closed);
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.port.postMessage(envelope(message, id));
    });
  }

  /** Gives up what is still open. */
  close(error: Error): void {
    this.#closed = error;
    this.port.onmessage = null;
    this.port.close();
    for (const request of this.#pending.values()) request.reject(error);
    this.#pending.clear();
  }

  #take(data: unknown): void {
    const incoming = parse(data);
    if (!incoming) {
      this.dropped++;
      return;
    }
    const { id, message } = incoming;
    this.heard(message.type === "alive");
    if (message.type !== "reply") return this.receive(message);
    const request = id === undefined ? undefined : this.#pending.get(id);
    if (!request) {
      this.dropped++;
      return;
    }
    this.#pending.delete(id!);
    if (typeof message.error === "string") request.reject(new PreviewError("refused", message.error));
    else request.resolve(message.value);
  }
}
