// What the registry gets from the page: `import.meta`, chunks, style sheets.

import type { Updates } from "../hot/update";
import type { Module } from "../registry/module";
import type { Host } from "../registry/registry";
import type { Styles } from "./styles";

/** How late chunks come. */
export type ChunkLoader = (id: string) => Promise<void>;

const ENV = Object.freeze({ MODE: "development", DEV: true, PROD: false, SSR: false, BASE_URL: "/" });

/** Makes the registry's host. */
export function pageHost(base: string, styles: Styles, loadChunk: ChunkLoader, updates: () => Updates): Host {
  return {
    loadChunk,
    importUrl: (url) => import(url) as Promise<object>,
    css: (id, text) => styles.set(id, text),
    meta: (module) => meta(module, base, updates()),
  };
}

function meta(module: Module, base: string, updates: Updates): object {
  const url = new URL(module.id, base).href;
  const resolve = (specifier: string) => new URL(module.registry.resolve(module, specifier) ?? specifier, url).href;
  return Object.assign(Object.create(null) as object, { url, resolve, env: ENV, hot: updates.contexts.create(module) });
}

/** Loads a chunk by its address; a service worker answers. */
export const loadByUrl: ChunkLoader = (id) =>
  new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = `/__sandglass/chunk?entry=${encodeURIComponent(id)}`;
    script.onload = () => resolve();
    script.onerror = () => reject(new Error(`${id} couldn't be loaded`));
    document.head.append(script);
    script.remove();
  });

/** Names that packages made for Node or older bundlers take for granted. */
export function provideGlobals(): void {
  const scope = globalThis as unknown as Record<string, unknown>;
  scope["global"] ??= globalThis;
  scope["process"] ??= { env: { NODE_ENV: "development" }, browser: true, argv: [], version: "", versions: {}, nextTick: (run: (...args: unknown[]) => void, ...args: unknown[]) => queueMicrotask(() => run(...args)) };
}
