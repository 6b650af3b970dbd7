// Framing a preview and getting a port to it.
//
// In: a preview origin and an id. Out: an iframe whose boot page holds the
// other end of a `MessagePort`. The page takes a hello only from that iframe,
// that origin and with the nonce it made; the port goes to that origin only.

import { blocked, PreviewError, silent } from "./errors";
import { numbered } from "./id";
import { VERSION } from "./protocol";

/** A framed preview with its port. */
export interface Link {
  iframe: HTMLIFrameElement;
  port: MessagePort;
  origin: string;
  id: string;
}

/** How to frame a preview. */
export interface FrameOptions {
  /** An origin, or a pattern of one: `https://{id}.preview.example.net`. */
  previewOrigin: string;
  /** The sandbox's name. */
  id: string;
  /** How long to wait for the boot page. */
  timeoutMs: number;
  /** Ends the attempt. */
  signal: AbortSignal;
}

// Every browser keeps its own names; past this many tabs of one page something else is wrong.
const MAX_TABS = 9;

// No allow-top-navigation: an example can't carry its reader away.
const SANDBOX =
  "allow-scripts allow-same-origin allow-forms allow-modals allow-popups allow-popups-to-escape-sandbox allow-downloads allow-pointer-lock";

/** An iframe fit for a preview; it has no address yet. */
export function createFrame(title: string): HTMLIFrameElement {
  const iframe = document.createElement("iframe");
  iframe.title = title;
  iframe.setAttribute("sandbox", SANDBOX);
  iframe.allow = "fullscreen";
  iframe.referrerPolicy = "no-referrer";
  return iframe;
}

/** The origin of a sandbox by the pattern. */
export function originOf(pattern: string, id: string): string {
  return new URL(pattern.replace("{id}", id)).origin;
}

/** Opens the sandbox, or one beside it when another tab holds it. */
export async function open(iframe: HTMLIFrameElement, options: FrameOptions): Promise<Link> {
  const tabs = options.previewOrigin.includes("{id}") ? MAX_TABS : 1;
  for (let attempt = 1; attempt <= tabs; attempt++) {
    const id = numbered(options.id, attempt);
    const origin = originOf(options.previewOrigin, id);
    const port = await shakeHands(iframe, origin, options);
    if (port) return { iframe, port, origin, id };
  }
  throw new PreviewError("busy", "Another tab has this example open.", "Close the other tab and try again.");
}

/** One hello and one connect; undefined when the sandbox is taken. */
function shakeHands(iframe: HTMLIFrameElement, origin: string, options: FrameOptions): Promise<MessagePort | undefined> {
  if (options.signal.aborted) return Promise.reject(closed());
  return new Promise((resolve, reject) => {
    const nonce = makeNonce();
    const listeners = new AbortController();
    const { signal } = listeners;
    const timer = setTimeout(() => settle(() => reject(silent(origin))), options.timeoutMs);
    const settle = (finish: () => void) => {
      clearTimeout(timer);
      listeners.abort();
      finish();
    };
    window.addEventListener("message", (event) => {
      const hello = readHello(event, iframe, origin, nonce);
      if (!hello) return;
      settle(() => resolve(hello.busy ? undefined : handOver(iframe, origin, nonce)));
    }, { signal });
    document.addEventListener("securitypolicyviolation", (event) => {
      if (isOurs(event, origin)) settle(() => reject(blocked(origin)));
    }, { signal });
    options.signal.addEventListener("abort", () => settle(() => reject(closed())), { signal });
    iframe.src = `${origin}/__sandglass/boot.html#${nonce}`;
  });
}

function readHello(event: MessageEvent, iframe: HTMLIFrameElement, origin: string, nonce: string): { busy: boolean } | undefined {
  if (event.source !== iframe.contentWindow || event.origin !== origin) return undefined;
  const data = event.data as Record<string, unknown> | null;
  if (typeof data !== "object" || data === null) return undefined;
  if (data["sandglass"] !== VERSION || data["type"] !== "hello" || data["nonce"] !== nonce) return undefined;
  return { busy: data["busy"] === true };
}

function handOver(iframe: HTMLIFrameElement, origin: string, nonce: string): MessagePort {
  const { port1, port2 } = new MessageChannel();
  iframe.contentWindow!.postMessage({ sandglass: VERSION, type: "connect", nonce }, origin, [port2]);
  return port1;
}

function isOurs(event: SecurityPolicyViolationEvent, origin: string): boolean {
  return /^(frame|child|default)-src$/.test(event.effectiveDirective) && event.blockedURI.startsWith(origin);
}

function makeNonce(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The preview was disposed of. */
export function closed(): PreviewError {
  return new PreviewError("closed", "The preview was closed.");
}
