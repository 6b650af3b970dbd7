// What the service worker keeps: our own files by version, and the last good build.
//
// One cache a version. It is filled before its worker may take over and goes
// with it, so files of two versions never meet, and a build never outlives the
// runtime that its document asks for.

import { encodePack, StoredPack, type Pack, type ResponseParts } from "./pack";

const PREFIX = "sandglass-v-";
const CACHE = PREFIX + ASSETS.version;
const PACK = "/__sandglass/pack";
// As in `sw/src/npm.rs`. What it holds is named by content and fits every version.
const NPM_CACHE = "sandglass-npm";

/** Where chunks of packages are. */
export const PACKAGES = "/__sandglass/npm/prebuilt/";

/** The boot page's address. */
export const BOOT_PAGE = "/__sandglass/boot.html";

/** Fetches all of this version. The wasm is also handed over while it still arrives. */
export async function precache(wasm: (response: Response) => void): Promise<void> {
  const cache = await caches.open(CACHE);
  const module = fetched(ASSETS.wasm).then((response) => {
    wasm(response.clone());
    return cache.put(ASSETS.wasm, response);
  });
  const page = fetched(BOOT_PAGE, { cache: "reload" }).then(async (response) => {
    // Between two deployments, page and worker may be of different versions.
    if (!(await response.clone().text()).includes(ASSETS.boot)) throw new Error("The boot page is of another version.");
    await cache.put(BOOT_PAGE, response);
  });
  const scripts = [ASSETS.boot, ASSETS.runtime, ASSETS.refresh].map(async (url) => cache.put(url, await fetched(url)));
  await Promise.all([module, page, ...scripts]);
}

async function fetched(url: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(url, init);
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response;
}

/** Deletes what other versions kept. */
export async function removeOthers(): Promise<void> {
  const others = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(others.map((name) => caches.delete(name)));
}

/** One of our own files: kept, or else from the network. */
export async function ownFile(url: string): Promise<Response> {
  return (await (await caches.open(CACHE)).match(url)) ?? fetch(url);
}

/** Keeps a build. Its packages go where the engine looks for them too, and are written once. */
export async function keepPack({ entries, project }: Pack): Promise<void> {
  const own = entries.filter(([path]) => !path.startsWith(PACKAGES));
  for (const [path, { body }] of entries) if (path.startsWith(PACKAGES)) await keepPackages(path, body);
  const cache = await caches.open(CACHE);
  await cache.put(PACK, new Response(new Blob(encodePack({ entries: own, project }))));
}

async function keepPackages(path: string, body: ResponseParts["body"]): Promise<void> {
  const cache = await caches.open(NPM_CACHE);
  const headers = { "content-type": "text/javascript; charset=utf-8" };
  if (!(await cache.match(path))) await cache.put(path, new Response(body ?? "", { headers }));
}

/** A chunk of packages that was kept. */
export async function packagesChunk(path: string): Promise<Response | undefined> {
  return (await caches.open(NPM_CACHE)).match(path);
}

/** The build that was kept last. */
export async function readPack(): Promise<StoredPack | undefined> {
  try {
    const response = await (await caches.open(CACHE)).match(PACK);
    return response && new StoredPack(await response.arrayBuffer());
  } catch {
    // Written by a browser that went down: as good as none.
    return undefined;
  }
}
