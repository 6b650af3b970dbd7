// Where the document is, and links that can't be followed.

/** Tells of every change of address. */
export function watchLocation(send: (path: string) => void): void {
  let last = "";
  const tell = () => {
    const path = location.pathname + location.search + location.hash;
    if (path !== last) send((last = path));
  };
  for (const method of ["pushState", "replaceState"] as const) {
    const original = history[method].bind(history);
    history[method] = (...args) => {
      original(...args);
      tell();
    };
  }
  addEventListener("popstate", tell);
  addEventListener("hashchange", tell);
  tell();
}

/**
 * A generated document has no address of its own: its relative links would
 * lead out of it. Links within the page work, and history keeps its states.
 */
export function keepInGenerated(base: string, say: (text: string) => void): void {
  window.addEventListener("click", (event) => {
    const link = event.composedPath().find((target) => target instanceof HTMLAnchorElement);
    if (!link || event.defaultPrevented || event.button !== 0) return;
    const href = link.getAttribute("href") ?? "";
    const url = new URL(href, base);
    if (href.startsWith("#")) {
      event.preventDefault();
      location.hash = href;
      if (href.length > 1) document.getElementById(decodeURIComponent(href.slice(1)))?.scrollIntoView();
    } else if (url.origin === base && link.target !== "_blank") {
      event.preventDefault();
      say(`A preview without a service worker is one page: ${url.pathname} can't be opened.`);
    }
  });
  for (const method of ["pushState", "replaceState"] as const) {
    const original = history[method].bind(history);
    history[method] = (state, unused) => original(state, unused);
  }
}

/** Storage that lasts as long as the document, where the browser gives a page none. */
export function provideStorage(say: (text: string) => void): void {
  for (const name of ["localStorage", "sessionStorage"] as const) {
    try {
      if (window[name]) continue;
    } catch {
      const storage = memoryStorage();
      let told = false;
      Object.defineProperty(window, name, { configurable: true, get: () => {
        if (!told) say(`${name} is kept in memory only: the browser blocks storage in this preview.`);
        told = true;
        return storage;
      } });
    }
  }
}

function memoryStorage(): Storage {
  const items = new Map<string, string>();
  const methods = {
    getItem: (key: string) => items.get(String(key)) ?? null,
    setItem: (key: string, value: string) => void items.set(String(key), String(value)),
    removeItem: (key: string) => void items.delete(String(key)),
    clear: () => items.clear(),
    key: (index: number) => [...items.keys()][index] ?? null,
  };
  return new Proxy(methods as unknown as Storage, {
    get: (target, key) => (key === "length" ? items.size : Reflect.get(target, key) ?? items.get(String(key))),
    set: (_, key, value) => Boolean(items.set(String(key), String(value))),
    deleteProperty: (_, key) => Boolean(items.delete(String(key)) || true),
    ownKeys: () => [...items.keys()],
    getOwnPropertyDescriptor: (_, key) => (items.has(String(key)) ? { value: items.get(String(key)), writable: true, enumerable: true, configurable: true } : undefined),
  });
}
