// `fetch` of the project's own files, where no service worker answers it.

/** A response in parts, as the worker gives it. */
export interface Parts {
  status: number;
  headers: [string, string][];
  body?: string | Uint8Array<ArrayBuffer>;
}

/** Answers GETs of `base` by `ask`; all else goes to the network. */
export function provideFetch(base: string, ask: (path: string) => Promise<Parts | undefined>): void {
  const original = window.fetch.bind(window);
  window.fetch = async (input, init) => {
    const request = new Request(input, init);
    const { origin, pathname, search } = new URL(request.url);
    if (origin !== base || request.method !== "GET") return original(request);
    const parts = await ask(decodeURI(pathname) + search);
    if (!parts) throw new TypeError("Failed to fetch");
    return new Response(parts.body ?? null, { status: parts.status, headers: parts.headers });
  };
}
