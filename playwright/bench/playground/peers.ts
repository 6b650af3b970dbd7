// Builds the peers as their users would: bundled, minified, React as ES modules.

import { build, type BuildOptions } from "esbuild";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";

const require = createRequire(import.meta.url);
const HERE = import.meta.dirname;

/** Where the built peers lie. */
export const PEERS_FOLDER = resolve(HERE, "../../../target/playwright-bench");

const COMMON: BuildOptions = { bundle: true, minify: true, format: "esm", target: "es2022", logLevel: "warning", legalComments: "none" };

/** What React consists of here, and the names that its CommonJS modules export. */
const REACT = ["react", "react-dom/client"];

/** Builds all; a second time takes a second. */
export async function buildPeers(): Promise<void> {
  await mkdir(PEERS_FOLDER, { recursive: true });
  await Promise.all([vendor(), playgroundElements(), esbuildPage()]);
}

/** The file that serves a specifier of [`REACT`]. */
export function vendorPath(specifier: string): string {
  return `/vendor/${specifier.replaceAll("/", "-")}.js`;
}

/** The import map of both peers. */
export function importMap(origin: string): { imports: Record<string, string> } {
  return { imports: Object.fromEntries(REACT.map((specifier) => [specifier, origin + vendorPath(specifier)])) };
}

/**
 * React in its development build, which is the one that our previews run too,
 * as CDNs of ES modules deliver it: converted, minified, shared parts once.
 */
async function vendor(): Promise<void> {
  const entries = join(PEERS_FOLDER, "entries");
  await mkdir(entries, { recursive: true });
  const files = await Promise.all(REACT.map(async (specifier) => {
    const names = Object.keys(require(specifier) as object).filter((name) => /^[a-zA-Z]\w*$/.test(name));
    const file = join(entries, vendorPath(specifier).slice("/vendor/".length));
    await writeFile(file, `export { ${names.join(", ")} } from "${specifier}";\nexport { default } from "${specifier}";\n`);
    return file;
  }));
  await build({
    ...COMMON,
    entryPoints: files,
    outdir: join(PEERS_FOLDER, "vendor"),
    splitting: true,
    define: { "process.env.NODE_ENV": '"development"' },
    nodePaths: [resolve(HERE, "../../node_modules")],
  });
}

/** The elements in one script; the two workers stay files of their own beside it, as its guide asks. */
async function playgroundElements(): Promise<void> {
  const source = dirname(require.resolve("playground-elements/package.json"));
  const outdir = join(PEERS_FOLDER, "playground-elements");
  const entries = ["playground-project", "playground-file-editor", "playground-tab-bar", "playground-preview"];
  const stdin = { contents: entries.map((name) => `import "./${name}.js";`).join("\n"), resolveDir: source };
  await build({ ...COMMON, stdin, outfile: join(outdir, "playground.js") });
  await build({ ...COMMON, entryPoints: [join(source, "playground-typescript-worker.js")], outdir, external: ["fs", "path", "os", "inspector", "crypto"] });
  for (const name of ["playground-service-worker.js", "playground-service-worker-proxy.html"]) {
    await writeFile(join(outdir, name), await readFile(join(source, name)));
  }
}

/** A page that bundles by esbuild-wasm. */
async function esbuildPage(): Promise<void> {
  const outdir = join(PEERS_FOLDER, "esbuild-wasm");
  await build({ ...COMMON, entryPoints: [join(HERE, "esbuild-page.ts")], outdir });
  await writeFile(join(outdir, "esbuild.wasm"), await readFile(require.resolve("esbuild-wasm/esbuild.wasm")));
}
