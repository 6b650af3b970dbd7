// A web server that knows nothing of us: files by path, no headers but their types.

import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { listen, type Listening } from "./ports";

const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** Serves a folder. `refused` collects what wasn't there. */
export function hostFolder(folder: string, refused: string[]): Promise<Listening> {
  return listen((request, response) => {
    const path = new URL(request.url ?? "/", "http://files").pathname;
    const file = normalize(join(folder, path.endsWith("/") ? `${path}index.html` : path));
    const read = request.method === "GET" && file.startsWith(folder) ? readFile(file) : Promise.reject(new Error("not a file"));
    read.then((body) => {
      // Another origin's page loads the element and its chunks as modules, which takes this on any host.
      response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "access-control-allow-origin": "*" });
      response.end(body);
    }, () => {
      refused.push(`${request.method} ${path}`);
      response.writeHead(404).end();
    });
  });
}
