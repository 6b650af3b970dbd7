// Runs every `*.test.ts` below this folder: bundles them to a temporary folder
// as Node can't load TypeScript that imports without endings, then `node --test`.
//
//   npm test                    all
//   npm test -- client/wire     those whose path contains one of the texts

import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = import.meta.dirname;
const wanted = process.argv.slice(2);
const folders = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory() && entry.name !== "node_modules");
const entryPoints = folders
  .flatMap(({ name }) => readdirSync(join(root, name), { recursive: true }).map((path) => `${name}/${path}`))
  .filter((path) => path.endsWith(".test.ts"))
  .filter((path) => !wanted.length || wanted.some((text) => path.includes(text)))
  .sort();
if (!entryPoints.length) {
  console.error("There are no such tests.");
  process.exit(1);
}

const outdir = mkdtempSync(join(tmpdir(), "sandglass-test-"));
try {
  await build({
    absWorkingDir: root,
    entryPoints,
    outdir,
    outbase: root,
    bundle: true,
    platform: "node",
    format: "esm",
    outExtension: { ".js": ".mjs" },
    sourcemap: "inline",
    logLevel: "warning",
  });
  const files = entryPoints.map((path) => join(outdir, path.replace(/\.ts$/, ".mjs")));
  const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...files], { stdio: "inherit" });
  process.exitCode = status ?? 1;
} finally {
  rmSync(outdir, { recursive: true, force: true });
}
