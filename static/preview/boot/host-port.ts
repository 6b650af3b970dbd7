// The way to the host page: one hello, one connect, then a port.
//
// The port stays in a closure, and nothing is put on the window: the user's
// document may be of our origin and look there.

import { VERSION, type ClientMessage, type PreviewMessage } from "../../client/protocol";
import { parseClientMessage } from "./client-message";
import { listen, post } from "../ports";

/** The host page's end. */
export interface HostPort {
  /** Sends a message; `id` repeats the request's on a reply. */
  send(message: PreviewMessage, id?: number): void;
}

/** What comes in. */
export type TakeMessage = (message: ClientMessage, id: number | undefined) => void;

/** Takes the nonce out of the address, so that it doesn't stay where the document could read it. */
export function takeNonce(): string {
  const nonce = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  return nonce;
}

/** Says hello and resolves once the host page has handed over a port. */
export function shakeHands(nonce: string, busy: boolean): Promise<(take: TakeMessage) => HostPort> {
  return new Promise((resolve) => {
    const hear = (event: MessageEvent) => {
      if (event.source !== parent || !isConnect(event.data, nonce)) return;
      const port = event.ports[0];
      if (!port) return;
      removeEventListener("message", hear);
      resolve((take) => adopt(port, take));
    };
    addEventListener("message", hear);
    // Whoever frames us made the nonce; to anyone else it says nothing.
    parent.postMessage({ sandglass: VERSION, type: "hello", nonce, busy }, "*");
  });
}

function isConnect(data: unknown, nonce: string): boolean {
  if (typeof data !== "object" || data === null) return false;
  const message = data as Record<string, unknown>;
  return message["sandglass"] === VERSION && message["type"] === "connect" && message["nonce"] === nonce;
}

function adopt(port: MessagePort, take: TakeMessage): HostPort {
  listen(port, (data) => {
    const message = parseClientMessage(data);
    if (!message) return dropped();
    take(message, (data as { id?: number }).id);
  });
  return { send: (message, id) => post(port, id === undefined ? { sandglass: VERSION, ...message } : { sandglass: VERSION, id, ...message }) };
}

let count = 0;

/** Counts a message that wasn't of the protocol. */
export function dropped(): void {
  if (++count === 1 || count % 1_000 === 0) console.warn(`[sandglass] ${count} unreadable message(s) dropped.`);
}
