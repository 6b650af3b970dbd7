// The app origin's service worker: after a first visit its pages, scripts,
// templates and examples are there without a network.
//
// Every build has a cache of its own, filled when the worker is installed with
// all that can be reached from the front page; it takes over from the one
// before when no page is open, so a page never loses the chunks that it was
// built with. Names with a hash come from the cache; whatever else is asked of
// the network first, so this worker never delays a new version.
//
// It refuses to answer for other origins, for requests that aren't GET, and to
// keep anything but a plain success.

import { links, templateLinks } from "./links";

declare const ASSETS: { version: string };

const worker = globalThis as unknown as ServiceWorkerGlobalScope;
const PREFIX = "sandglass-app-";
const CACHE = PREFIX + ASSETS.version;
const TEMPLATES = "/templates/index.json";
const ROOTS = ["/", "/sandglass-playground.js", "/page.js", TEMPLATES];
// A network that takes longer than this is no network to someone who waits for a page.
const PATIENCE_MS = 3_000;
// A site is a few dozen files; a page that names thousands isn't one of ours.
const MAX_FILES = 400;

worker.addEventListener("install", (event) => event.waitUntil(fill()));
worker.addEventListener("activate", (event) => event.waitUntil(takeOver()));
worker.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== worker.location.origin) return;
  event.respondWith(isHashed(url) ? cacheFirst(event) : networkFirst(event));
});

/** Keeps everything that can be reached from the roots. Hashed files of an older build are not loaded again. */
async function fill(): Promise<void> {
  const cache = await caches.open(CACHE);
  const known = new Set(ROOTS.map((path) => new URL(path, worker.location.origin).href));
  // A set goes on to what is added while it is walked.
  for (const url of known) {
    const response = await fetchFor(url);
    if (!response) continue;
    await cache.put(url, response.clone());
    for (const link of await named(url, response)) if (known.size < MAX_FILES) known.add(link);
  }
}

async function fetchFor(url: string): Promise<Response | undefined> {
  const kept = isHashed(new URL(url)) ? await caches.match(url) : undefined;
  if (kept) return kept;
  const response = await fetch(url, { cache: isHashed(new URL(url)) ? "default" : "no-cache" }).catch(() => undefined);
  return response && isPlain(response) ? response : undefined;
}

async function named(url: string, response: Response): Promise<string[]> {
  const { pathname } = new URL(url);
  if (pathname === TEMPLATES) return templateLinks(await response.json().catch(() => undefined), url);
  const type = response.headers.get("content-type") ?? "";
  if (type.includes("html")) return links(await response.text(), url, "page");
  return type.includes("javascript") ? links(await response.text(), url, "script") : [];
}

async function takeOver(): Promise<void> {
  for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
  await worker.clients.claim();
}

async function cacheFirst(event: FetchEvent): Promise<Response> {
  const kept = await caches.match(event.request.url);
  return kept ?? fetchAndKeep(event);
}

async function networkFirst(event: FetchEvent): Promise<Response> {
  const network = fetchAndKeep(event);
  const kept = await caches.match(keyOf(event.request));
  if (!kept) return network;
  const answer = network.then((response) => (response.status >= 500 ? kept : response), () => kept);
  return Promise.race([answer, patience().then(() => kept)]);
}

async function fetchAndKeep(event: FetchEvent): Promise<Response> {
  const response = await fetch(event.request);
  if (isPlain(response)) event.waitUntil(keep(keyOf(event.request), response.clone()));
  return response;
}

async function keep(key: string, response: Response): Promise<void> {
  const cache = await caches.open(CACHE);
  // A full disk costs the offline copy, not the page.
  await cache.put(key, response).catch(() => {});
}

/** What a query says is read by the page's script: the file is the same. */
function keyOf(request: Request): string {
  const url = new URL(request.url);
  return url.origin + url.pathname;
}

function isHashed(url: URL): boolean {
  return url.pathname.startsWith("/assets/");
}

/** A whole answer of ours: no error, no part, no redirect (which a navigation may not be given). */
function isPlain(response: Response): boolean {
  return response.status === 200 && response.type === "basic" && !response.redirected;
}

function patience(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
}
