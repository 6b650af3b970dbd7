// A page without a browser, for tests: frames whose boot page is a function.

import type { ClientMessage } from "./protocol";

/** What a boot page does with its address and, later, with its port. */
export interface BootPage {
  /** The frame got an address; answer by `page.post`. */
  load?(frame: FakeFrame): void;
  /** A request came. Return what to reply, or undefined to stay silent. */
  answer?(message: ClientMessage, port: MessagePort): { value?: unknown; error?: string } | undefined;
}

/** As much of an iframe as the client uses. */
export class FakeFrame {
  title = "";
  isConnected = false;
  parentElement: unknown = null;
  /** What was posted to its window: data and target origin. */
  readonly posted: { data: unknown; origin: string }[] = [];
  readonly contentWindow = { postMessage: (data: unknown, origin: string, ports: MessagePort[]) => this.#receive(data, origin, ports) };
  #src = "";

  constructor(private readonly boot: BootPage) {}

  get src(): string {
    return this.#src;
  }

  set src(address: string) {
    this.#src = address;
    this.boot.load?.(this);
  }

  get origin(): string {
    return new URL(this.#src).origin;
  }

  get nonce(): string {
    return new URL(this.#src).hash.slice(1);
  }

  setAttribute(): void {}

  remove(): void {
    this.isConnected = false;
  }

  #receive(data: unknown, origin: string, ports: MessagePort[]): void {
    this.posted.push({ data, origin });
    const port = ports[0];
    if (!port) return;
    port.onmessage = (event) => {
      const request = event.data as ClientMessage & { id: number };
      const reply = this.boot.answer?.(request, port);
      if (reply) port.postMessage({ sandglass: 1, type: "reply", id: request.id, ...reply });
    };
    openPorts.push(port);
  }
}

const openPorts: MessagePort[] = [];

/** The page under test. */
export class FakePage {
  readonly frames: FakeFrame[] = [];
  readonly container = { append: (frame: FakeFrame) => void (frame.isConnected = true) };

  /** Stands in for the globals of a page. */
  constructor(boot: BootPage) {
    const document = Object.assign(new EventTarget(), {
      visibilityState: "visible",
      body: this.container,
      createElement: () => {
        const frame = new FakeFrame(boot);
        this.frames.push(frame);
        return frame;
      },
    });
    const globals = { window: new EventTarget(), document, navigator: { onLine: true } };
    for (const [name, value] of Object.entries(globals)) Object.defineProperty(globalThis, name, { value, configurable: true });
  }

  /** A message event on the page's window. */
  post(data: unknown, origin: string, source: unknown): void {
    window.dispatchEvent(Object.assign(new Event("message"), { data, origin, source }));
  }

  /** What an honest boot page says. */
  hello(frame: FakeFrame, busy = false): void {
    this.post({ sandglass: 1, type: "hello", nonce: frame.nonce, busy }, frame.origin, frame.contentWindow);
  }

  /** Ports keep Node alive, so a test ends them. */
  close(): void {
    for (const port of openPorts.splice(0)) port.close();
  }
}

/** The container in the type that the client wants. */
export function containerOf(page: FakePage): Element {
  return page.container as unknown as Element;
}
