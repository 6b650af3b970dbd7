// Who runs: for each a page, and what it has sent.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { listen, type Listening } from "../../harness/ports";
import { SandglassServer } from "../../harness/server";
import { app, html, MAIN, STYLE } from "./example";
import { type Body, fileOf, FileServer, type Sent } from "./files";
import { buildPeers, importMap, PEERS_FOLDER } from "./peers";
import { countingProxy } from "./proxy";

/** The host name of all pages: a sibling of our previews, as our guide advises. */
const DOCS = "docs.sandglass.localhost";
/** Where the peers' previews run, where they can run elsewhere. */
const SANDBOX = "sandbox.sandglass.localhost";
const MODULES = join(import.meta.dirname, "../../node_modules");

/** One page to be measured. Its `window.edit(text)` replaces the component's source. */
export interface Contestant {
  name: string;
  url: string;
  /** The same page where every byte is counted. */
  countedUrl: string;
  /** What was sent to `countedUrl`'s visitor since the last call. */
  takeSent(): Sent[];
}

/** All of them, ready to be visited. */
export interface Field {
  contestants: Contestant[];
  close(): Promise<void>;
}

/** Builds and starts everything. */
export async function startField(): Promise<Field> {
  await buildPeers();
  const pages = new Map<string, string>();
  const files = new FileServer((path) => find(path, pages), join(PEERS_FOLDER, "packed"));
  const server = await listen((request, response) => void files.handle(request, response));
  const at = (host: string) => `http://${host}:${server.port}`;
  const direct = await SandglassServer.start({ cache: "bench" });
  const counted = await startCounted();
  pages.set("/ours.html", ours(direct.app));
  pages.set("/ours-counted.html", ours(counted.server.app));
  pages.set("/playground-elements.html", playgroundElements(at(SANDBOX)));
  pages.set("/esbuild-wasm.html", esbuildWasm(at(DOCS)));
  await files.warm([
    "/esbuild-wasm/esbuild.wasm", "/esbuild-wasm/esbuild-page.js", "/playground-elements/playground.js",
    "/playground-elements/playground-typescript-worker.js", "/vendor/react.js", "/vendor/react-dom-client.js",
  ]);
  const take = (lists: Sent[][]) => () => lists.flatMap((list) => list.splice(0));
  const contestant = (name: string, page: string, countedPage = page, lists: Sent[][] = []): Contestant =>
    ({ name, url: at(DOCS) + page, countedUrl: at(DOCS) + countedPage, takeSent: take([files.sent, ...lists]) });
  return {
    contestants: [
      contestant("sandglass", "/ours.html", "/ours-counted.html", [counted.sent]),
      contestant("playground-elements", "/playground-elements.html"),
      contestant("esbuild-wasm", "/esbuild-wasm.html"),
    ],
    async close() {
      await Promise.all([server.close(), direct.stop(), counted.close()]);
    },
  };
}

/** Our server once more, behind proxies that count. */
async function startCounted(): Promise<{ server: SandglassServer; sent: Sent[]; close(): Promise<void> }> {
  const sent: Sent[] = [];
  let server: SandglassServer | undefined;
  const app: Listening = await countingProxy(() => server!.port, sent);
  const preview: Listening = await countingProxy(() => server!.previewPort, sent);
  server = await SandglassServer.start({ cache: "bench-counted", seenAt: { app: app.port, preview: preview.port } });
  return { server, sent, close: async () => void (await Promise.all([app.close(), preview.close(), server.stop()])) };
}

async function find(path: string, pages: Map<string, string>): Promise<Body | { redirect: string } | undefined> {
  const page = pages.get(path);
  if (page !== undefined) return { content: Buffer.from(page), type: "text/html; charset=utf-8" };
  if (path.startsWith("/npm/")) return cdn(path.slice("/npm/".length));
  return fileOf(PEERS_FOLDER, path);
}

/** `name@version/path` out of `node_modules`; any other version leads to the one that is there, as on a CDN. */
async function cdn(path: string): Promise<Body | { redirect: string } | undefined> {
  const [, name, version, rest] = /^((?:@[^/]+\/)?[^/@]+)(?:@([^/]+))?(\/.*)?$/.exec(path) ?? [];
  if (!name) return undefined;
  const text = await readFile(join(MODULES, name, "package.json"), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const manifest = JSON.parse(text) as { version: string; main?: string };
  if (version !== manifest.version || !rest) return { redirect: `/npm/${name}@${manifest.version}${rest ?? `/${manifest.main ?? "index.js"}`}` };
  return fileOf(join(MODULES, name), rest);
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${title}</title></head>
<body>
${body}
</body>
</html>
`;
}

function ours(origin: string): string {
  const file = (path: string, text: string) => `<pre data-path="${path}"><code>${escape(text)}</code></pre>`;
  return page("Sandglass", `<script type="module" src="${origin}/sandglass-playground.js"></script>
<sandglass-playground extends="react-ts">
${file("/src/App.tsx", app(0))}
${file("/src/main.tsx", MAIN)}
${file("/src/style.css", STYLE)}
${file("/index.html", html("/src/main.tsx"))}
</sandglass-playground>
<script>
edit = (text) => void document.querySelector("sandglass-playground").preview.write({ "/src/App.tsx": text });
</script>`);
}

function playgroundElements(sandbox: string): string {
  const files = { "src/App.tsx": app(0), "src/main.tsx": MAIN, "src/style.css": STYLE, "index.html": html("./src/main.js") };
  return page("playground-elements", `<script type="module" src="/playground-elements/playground.js"></script>
<playground-project id="project" sandbox-base-url="${sandbox}/playground-elements/" cdn-base-url="${sandbox}/npm"></playground-project>
<playground-tab-bar project="project"></playground-tab-bar>
<playground-file-editor project="project" line-numbers></playground-file-editor>
<playground-preview project="project"></playground-preview>
<script id="files" type="application/json">${json(Object.fromEntries(Object.entries(files).map(([name, content]) => [name, { content }])))}</script>
<script id="imports" type="application/json">${json(importMap(sandbox))}</script>
<script>
const project = document.getElementById("project");
project.config = { files: JSON.parse(document.getElementById("files").textContent), importMap: JSON.parse(document.getElementById("imports").textContent) };
edit = (text) => project.editFile(project.files.find(({ name }) => name === "src/App.tsx"), text);
</script>`);
}

function esbuildWasm(origin: string): string {
  const files = { "/src/App.tsx": app(0), "/src/main.tsx": MAIN, "/src/style.css": STYLE, "/index.html": html("/src/main.tsx") };
  return page("esbuild-wasm", `<script type="module" src="/esbuild-wasm/esbuild-page.js"></script>
<script id="settings" type="application/json">${json({ files, imports: importMap(origin).imports })}</script>
<iframe title="Preview" width="640" height="480"></iframe>`);
}

/** JSON that can stand in a script element. */
function json(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
