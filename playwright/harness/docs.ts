// A documentation site: pages that a test writes, on host names that it chooses.
//
// `docs.sandglass.localhost` is a sibling of the previews (the same site, so
// workers run there); `docs.localhost` and `docs.test` are other sites.

import { listen, type Listening } from "./ports";

/** Same site as the previews. */
export const SIBLING = "docs.sandglass.localhost";
/** Another site, and a secure context. */
export const FOREIGN = "docs.localhost";
/** Another site over plain HTTP, as an intranet has them; the browser must map it. */
export const INSECURE = "docs.test";

/** A playground on a page. */
export interface Example {
  /** Absolute path → text. */
  files?: Record<string, string>;
  /** Attributes of the element. */
  attributes?: Record<string, string>;
}

/** The server of those pages. */
export class DocsSite {
  readonly #pages = new Map<string, { type: string; body: string }>();
  #listening!: Listening;

  private constructor(private readonly app: string) {}

  /** Starts it; pages load the element from `app`. */
  static async start(app: string): Promise<DocsSite> {
    const site = new DocsSite(app);
    site.#listening = await listen((request, response) => {
      const page = site.#pages.get(new URL(request.url ?? "/", "http://docs").pathname);
      response.writeHead(page ? 200 : 404, { "content-type": page?.type ?? "text/plain", "cache-control": "no-store" });
      response.end(page?.body ?? "There is no such page.");
    });
    return site;
  }

  /** The address of a page. */
  url(host: string, path: string): string {
    return `http://${host}:${this.#listening.port}${path}`;
  }

  /** Serves a text. */
  put(path: string, body: string, type = "text/html; charset=utf-8"): void {
    this.#pages.set(path, { type, body });
  }

  /** Serves a page with playgrounds and `more` markup. Returns its address on `host`. */
  page(path: string, examples: Example[], host = SIBLING, more = ""): string {
    this.put(path, this.#html([...examples.map(element), more].join("\n")));
    return this.url(host, path);
  }

  /** Ends it. */
  close(): Promise<void> {
    return this.#listening.close();
  }

  #html(body: string): string {
    return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Documentation</title><script type="module" src="${this.app}/sandglass-playground.js"></script></head>
<body><h1>Documentation</h1>
${body}
</body>
</html>
`;
  }
}

function element({ files = {}, attributes = {} }: Example): string {
  const all = { console: "open", ...attributes };
  const list = Object.entries(all).map(([name, value]) => ` ${name}="${escape(value)}"`).join("");
  const children = Object.entries(files).map(([path, text]) => `<pre data-path="${escape(path)}"><code>${escape(text)}</code></pre>`);
  return `<sandglass-playground${list}>\n${children.join("\n")}\n</sandglass-playground>`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
