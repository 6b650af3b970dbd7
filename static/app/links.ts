// Which files of the site a file of the site names.
//
// In:  `import"./assets/ui-1A2B.js"` in /sandglass-playground.js, `href="/examples/two.html"` in a page.
// Out: /assets/ui-1A2B.js, /examples/two.html.
//
// Read by pattern, not by parser: a name too many costs one request that is
// answered 404, a name too few is kept when it is first asked for.

const IN_SCRIPT = /["'`](\.{0,2}\/[\w./-]+)["'`]/g;
// Pages hold the code of examples, whose imports are none of ours.
const IN_PAGE = /\b(?:href|src|project|lock)="(\.{0,2}\/[\w./-]+)"/g;
// The folders of the site; anything else in quotes is a path of some example.
// Assets have a hash in their name: wasm's glue also names a file by the name it had before.
const OURS = /^\/(?:[\w.-]+\.(?:js|css|svg|png|ico)|assets\/[\w.-]+-\w+\.[a-z0-9]+|(?:examples|templates)\/[\w.-]+\.[a-z0-9]+)$/;

/** Absolute URLs of the same origin that `text`, which lies at `base`, names. */
export function links(text: string, base: string, kind: "page" | "script"): string[] {
  const found = new Set<string>();
  for (const [, path = ""] of text.matchAll(kind === "page" ? IN_PAGE : IN_SCRIPT)) {
    // An editor's script has "//" in quotes.
    if (!URL.canParse(path, base)) continue;
    const url = new URL(path, base);
    if (url.origin === new URL(base).origin && OURS.test(url.pathname)) found.add(url.href);
  }
  return [...found];
}

/** The same for the list of templates. */
export function templateLinks(list: unknown, base: string): string[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry: { name?: unknown } | null) => (typeof entry?.name === "string" ? [new URL(`/templates/${entry.name}.json`, base).href] : []));
}
