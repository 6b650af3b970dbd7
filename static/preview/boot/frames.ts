// The inner iframe with the user's document.
//
// Every load is a new iframe: no history entry, no "leave this page?", and the
// scripts of the old one end for sure. The old one is shown until the new
// document begins, so that a reload doesn't flash.

import { DOCUMENT_HELLO } from "../page/channel";
import { parseFromDocument, type FromDocument, type ToDocument } from "../messages";
import { dropped } from "./host-port";
import { close, listen, post } from "../ports";

/** What to load: an address that the service worker answers, or a generated document. */
export type Source = { url: string } | { html: string };

/** Where a document's signs of life go. */
export interface FrameEvents {
  /** A document has begun: its runtime has opened its port. */
  started(): void;
  message(message: FromDocument): void;
}

// A generated document gets an origin of its own: nothing of ours is in its reach.
const GENERATED_SANDBOX = "allow-scripts allow-forms allow-modals allow-popups allow-popups-to-escape-sandbox allow-downloads allow-pointer-lock";

/** The documents of one preview, one at a time. */
export class Frames {
  #frame: HTMLIFrameElement | undefined;
  #old: HTMLIFrameElement | undefined;
  #port: MessagePort | undefined;
  /** A document has said hello since the last one was loaded. */
  #greeted = false;
  #plain = false;
  /** Sent before the document has begun. */
  #waiting: ToDocument[] = [];

  constructor(private readonly events: FrameEvents) {
    addEventListener("message", (event) => this.#adopt(event));
  }

  /** Whether there is a document, or one on its way. */
  get isOpen(): boolean {
    return this.#frame !== undefined;
  }

  /** Whether the document takes messages. */
  get isConnected(): boolean {
    return this.#port !== undefined;
  }

  /** Whether the document is one without our runtime. */
  get isPlain(): boolean {
    return this.#plain;
  }

  /** Loads a document in place of the one there is. */
  load(source: Source): void {
    this.#old?.remove();
    this.#old = this.#frame;
    this.#disconnect();
    const frame = document.createElement("iframe");
    frame.title = "Preview";
    frame.allow = "fullscreen";
    if ("url" in source) {
      frame.src = source.url;
    } else {
      frame.setAttribute("sandbox", GENERATED_SANDBOX);
      frame.srcdoc = source.html;
    }
    this.#frame = frame;
    frame.onload = () => this.#loaded(frame);
    document.body.prepend(frame);
  }

  /** Ends the document and its scripts. */
  stop(): void {
    this.#old?.remove();
    this.#frame?.remove();
    this.#old = this.#frame = undefined;
    this.#disconnect();
  }

  /** Sends a message, once the document has begun. */
  send(message: ToDocument): void {
    if (this.#port) post(this.#port, message);
    else if (this.#frame) this.#waiting.push(message);
  }

  /** A document without our runtime never says hello. */
  #loaded(frame: HTMLIFrameElement): void {
    if (frame !== this.#frame) return;
    this.#removeOld(frame);
    if (!this.#greeted) {
      this.#disconnect();
      this.#plain = true;
    }
    this.#greeted = false;
  }

  #disconnect(): void {
    this.#greeted = this.#plain = false;
    if (this.#port) close(this.#port);
    this.#port = undefined;
    this.#waiting = [];
  }

  #removeOld(frame: HTMLIFrameElement): void {
    if (frame !== this.#frame) return;
    this.#old?.remove();
    this.#old = undefined;
  }

  #adopt(event: MessageEvent): void {
    const frame = this.#frame;
    const port = event.ports[0];
    if (event.data !== DOCUMENT_HELLO || !port) return;
    // Frames within the document and documents that were replaced are nobody to us.
    const origin = frame?.hasAttribute("srcdoc") ? "null" : location.origin;
    if (!frame || event.source !== frame.contentWindow || event.origin !== origin) return dropped();
    // A link was followed within the frame: the newest document is the one.
    if (this.#port) close(this.#port);
    this.#plain = false;
    this.#greeted = true;
    this.#port = port;
    listen(port, (data) => {
      const message = parseFromDocument(data);
      if (message) this.events.message(message);
      else dropped();
    });
    this.#removeOld(frame);
    this.events.started();
    for (const message of this.#waiting.splice(0)) post(port, message);
  }
}
