// The document's first script: modules, hot updates, console and errors.
//
// It defines `__sg`, which chunks call, and opens the port to the boot page.
// Nothing here is secret: user code can do all that this script can, within
// its own document.

import { Updates, type Patch } from "./hot/update";
import type { FromDocument, ToDocument } from "./messages";
import { openChannel } from "./page/channel";
import { loadByUrl, pageHost, provideGlobals } from "./page/host";
import { provideFetch, type Parts } from "./page/fetch";
import { keepInGenerated, provideStorage, watchLocation } from "./page/location";
import { Styles, swapLinked } from "./page/styles";
import { Registry, type Refresh } from "./registry/registry";
import { forwardConsole } from "./report/console";
import { watchErrors } from "./report/errors";
import { parseStack } from "./report/stack";
import { consoleValue } from "./report/value";

/** What chunks and the document's own scripts use. */
export interface Sandglass {
  /** The revision of the files that the document shows. */
  revision: number;
  d: Registry["define"];
  run(id: string): Promise<object>;
  patch(patch: Patch): Promise<void>;
  /** React Refresh introduces itself. */
  refresh(refresh: Refresh): void;
}

const ALIVE_MS = 1_000;
// A generated document gets its base address from the boot page that wrote it.
const BASE = new URL(document.baseURI).origin;
const isGenerated = location.protocol === "about:";
const own = parseStack(new Error().stack ?? "")[0]?.file ?? "";

const styles = new Styles();
const questions = new Map<number, (answer: { value?: unknown; error?: string }) => void>();
const runs: Promise<object>[] = [];
let asked = 0;
const faults: unknown[] = [];
let applying = 0;
let updates: Updates;

const send = openChannel(receive);
const warn = (text: string) => console.warn(`[sandglass] ${text}`);
const report = watchErrors(window, own, (fault) => send({ type: "error", ...fault }));
const registry = new Registry(pageHost(BASE, styles, isGenerated ? loadByMessage : loadByUrl, () => updates));
updates = new Updates(registry, {
  run: (code) => void (0, eval)(code),
  // Told after the update, whose news would else be read as all being well.
  report: (error) => (applying ? void faults.push(error) : report(error)),
  removeStyle: (id) => styles.remove(id),
  reload: (reason) => send({ type: "reload", revision: sandglass.revision, reason }),
  note: (text) => console.debug(`[sandglass] ${text}`),
});

const sandglass: Sandglass = {
  revision: 0,
  d: registry.define.bind(registry),
  run,
  patch,
  refresh: (refresh) => void (registry.host.refresh = refresh),
};
Object.defineProperty(window, "__sg", { value: sandglass });

provideGlobals();
forwardConsole(console, own, (call) => send({ type: "console", ...call }));
if (isGenerated) {
  provideStorage(warn);
  provideFetch(BASE, (path) => ask({ type: "fetch", path }) as Promise<Parts | undefined>);
  keepInGenerated(BASE, warn);
} else {
  watchLocation((path) => send({ type: "location", path }));
}
setInterval(() => document.visibilityState === "visible" && send({ type: "alive" }), ALIVE_MS);
window.addEventListener("keydown", (event) => event.key === "Escape" && send({ type: "escape" }), true);

// The entries' scripts run before this event, in the document and deferred alike.
const loaded = new Promise<void>((resolve) => document.addEventListener("DOMContentLoaded", () => resolve(), { once: true }));
const started = loaded.then(() => Promise.allSettled(runs)).then((results) => {
  // A document whose entry threw has said so; it isn't ready.
  if (results.every(({ status }) => status === "fulfilled")) send({ type: "ready", revision: sandglass.revision });
});

function run(id: string): Promise<object> {
  const running = registry.run(id);
  // Chunks run entries before the document is parsed; a module's own address asks for it later.
  if (document.readyState !== "complete" && !updates.entries.has(id)) {
    updates.entries.add(id);
    runs.push(running);
    running.catch(report);
  }
  return running;
}

async function patch(next: Patch): Promise<void> {
  // An entry that waits for ever must not hold up edits; a frame's parsing may.
  await Promise.race([started, loaded.then(() => new Promise((resolve) => setTimeout(resolve, 500)))]);
  // Built before the document was fetched: it has this already.
  if (next.to <= sandglass.revision) return;
  if (next.from > sandglass.revision) return send({ type: "reload", revision: next.to, reason: "an update was missed" });
  applying++;
  try {
    const applied = next.code || next.changed.length || next.removed.length ? await updates.apply(next) : "style";
    if (applied === "reload") return send({ type: "reload", revision: next.to, reason: "no module takes the change" });
    for (const { path, text } of next.styles) swapLinked(path, text, next.to);
    sandglass.revision = next.to;
    send({ type: "updated", revision: next.to, how: applied, paths: [...next.changed, ...next.removed, ...next.styles.map(({ path }) => path)] });
  } catch (error) {
    // The patch itself couldn't run, e.g. under a policy without `eval`.
    send({ type: "reload", revision: next.to, reason: String(error) });
  } finally {
    if (--applying === 0) faults.splice(0).forEach(report);
  }
}

function receive(message: ToDocument): void {
  switch (message.type) {
    case "patch":
      void patch(message.patch);
      break;
    case "revision":
      sandglass.revision = message.revision;
      break;
    case "answer":
      questions.get(message.id)?.(message);
      questions.delete(message.id);
      break;
    case "evaluate":
      void evaluate(message.id, message.code);
      break;
  }
}

async function evaluate(id: number, code: string): Promise<void> {
  let answer: FromDocument;
  try {
    answer = { type: "value", id, value: consoleValue(await (0, eval)(code)) };
  } catch (error) {
    answer = { type: "value", id, error: String(error) };
  }
  send(answer);
}

/** Asks the boot page, where nobody answers requests. */
function ask(question: { type: "chunk"; entry: string } | { type: "fetch"; path: string }): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const id = ++asked;
    questions.set(id, ({ value, error }) => (error === undefined ? resolve(value) : reject(new Error(error))));
    send({ ...question, id });
  });
}

async function loadByMessage(entry: string): Promise<void> {
  (0, eval)(String(await ask({ type: "chunk", entry })));
}
