// The service worker: every request of a preview's document ends here.
//
// Its memory is a cache. The browser may stop it between any two events; woken,
// it answers from the last build it kept, and starts the engine only for what
// that doesn't hold. The boot page notices and mounts the project again.

import type { Engine } from "sw-glue";
import { EngineHost } from "./worker/engine";
import type { Pack, ResponseParts, StoredPack } from "./worker/pack";
import type { WorkerCall } from "./worker/protocol";
import { BOOT_PAGE, keepPack, ownFile, PACKAGES, packagesChunk, precache, readPack, removeOthers } from "./worker/store";

declare const self: ServiceWorkerGlobalScope;

// Packing costs as much as the project is large: not between two key strokes.
const KEEP_AFTER_MS = 300;
// How long one `keep` holds us; the page sends the next before the browser's patience ends.
const AWAKE_MS = 5_000;

let arriving: Response | undefined;
let stored: Promise<StoredPack | undefined> | undefined;
let restoring: { engine: Engine; done: Promise<boolean> } | undefined;
let keepTimer: ReturnType<typeof setTimeout> | undefined;

const host = new EngineHost({
  mode: "worker",
  load: async () => {
    const response = arriving;
    arriving = undefined;
    return response ?? ownFile(ASSETS.wasm);
  },
  texts: async () => ({}),
  boot: ASSETS.boot,
  built: keepSoon,
  restore,
});

self.addEventListener("install", (event) => {
  event.waitUntil(precache((wasm) => {
    // It compiles while it arrives; the page that registers us wants it next.
    arriving = wasm;
    host.engine().catch(() => {});
  }));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(Promise.all([removeOthers(), self.clients.claim()]));
});

self.addEventListener("message", (event) => {
  const call = event.data as WorkerCall | null;
  const source = event.source as Client | null;
  // Documents of the user's are clients too; only boot pages connect.
  if (typeof call !== "object" || call === null || !source || new URL(source.url).pathname !== BOOT_PAGE) return;
  if (call.type === "connect" && event.ports[0]) host.attach(event.ports[0]);
  if (call.type === "activate") void self.skipWaiting();
  if (call.type === "keep") {
    if (call.instance !== host.instance) source.postMessage({ type: "stranger" });
    event.waitUntil(new Promise((resolve) => setTimeout(resolve, AWAKE_MS)));
  }
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (url.origin !== self.location.origin || request.method !== "GET") return;
  const { pathname } = url;
  // A boot page mounts a project next: the engine starts while the page loads.
  if (pathname === BOOT_PAGE) host.engine().catch(() => {});
  if (pathname === BOOT_PAGE || pathname.startsWith("/__sandglass/assets/")) {
    event.respondWith(ownFile(pathname));
  } else if (pathname.startsWith(PACKAGES)) {
    event.respondWith(packages(pathname, request));
  } else if (!pathname.startsWith("/__sandglass/npm/")) {
    event.respondWith(answer(url, request));
  }
});

/** Memory first, then the build that was kept, then an engine made from it. */
async function answer(url: URL, request: Request): Promise<Response> {
  const path = decoded(url.pathname);
  const query = url.search.slice(1);
  const now = await host.running?.respond(path, query);
  if (now) return response(now as ResponseParts);
  const pack = await (stored ??= readPack());
  if (!pack) return unmounted();
  const route = request.mode === "navigate" && !/\.[^/]*$/.test(path);
  const kept = pack.answer(path) ?? (route ? pack.answer("/") : undefined);
  if (kept) return response(kept);
  const engine = await host.engine();
  // The page may have mounted it while the engine started.
  const mounted = await engine.respond(path, query);
  if (mounted) return response(mounted as ResponseParts);
  await restore(engine);
  const built = await engine.respond(path, query);
  return built ? response(built as ResponseParts) : unmounted();
}

/** Mounts the project that was kept, once in an engine's life. */
function restore(engine: Engine): Promise<boolean> {
  if (restoring?.engine !== engine) restoring = { engine, done: restoreKept(engine).catch(() => false) };
  return restoring.done;
}

async function restoreKept(engine: Engine): Promise<boolean> {
  const pack = await (stored ??= readPack());
  if (pack) await engine.restore(pack.project);
  return pack !== undefined;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** A chunk of packages: the one in memory, the one that was kept, or the server's. */
async function packages(path: string, request: Request): Promise<Response> {
  const now = (await host.running?.respond(path, "")) as ResponseParts | undefined;
  if (now?.status === 200) return response(now);
  return (await packagesChunk(path)) ?? fetch(request);
}

function response({ status, headers, body }: ResponseParts): Response {
  return new Response(body ?? null, { status, headers });
}

function unmounted(): Response {
  return new Response("No project is running here. Open the page that shows it.\n", {
    status: 503,
    headers: { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" },
  });
}

function keepSoon(): void {
  clearTimeout(keepTimer);
  // The first build is kept at once: a reader who only reads makes no second.
  keepTimer = setTimeout(keep, keepTimer === undefined ? 0 : KEEP_AFTER_MS);
}

function keep(): void {
  const through = host.changed;
  const pack = host.running?.pack() as Pack | undefined;
  // Storage that is full or gone costs the next start some time, nothing else.
  if (pack) keepPack(pack).then(() => host.kept(through), () => {});
}
