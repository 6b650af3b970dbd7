// Runs a file of package cases through the real product, in Chromium.
//
//   node --import tsx corpus.ts FILE.json [--mode worker|fallback] [NAME…]
//
// In:  cases `{name, deps, files, entry, expect}`: `globalThis.__result`, awaited,
//      must equal `expect` as JSON once the entry has run.
// Out: a line a case, then `N passed, N failed`.

import type { Page } from "@playwright/test";
import { readFile } from "node:fs/promises";
import { isDeepStrictEqual, parseArgs } from "node:util";
import type * as Client from "../static/client";
import { launch, type Profile } from "./harness/chromium";
import { DocsSite, INSECURE, SIBLING } from "./harness/docs";
import { SandglassServer } from "./harness/server";

/** One case of a corpus. */
interface Case {
  name: string;
  deps: Record<string, string>;
  files: Record<string, string>;
  entry: string;
  expect: unknown;
}

/** What a case came to: a JSON text, or why there is none. */
type Outcome = { json: string } | { trouble: string };

type Mode = "worker" | "fallback";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { mode: { type: "string", default: "worker" } } });
const [file, ...names] = positionals;
const mode = values.mode as Mode;
if (!file || !["worker", "fallback"].includes(mode)) {
  console.error("usage: corpus FILE.json [--mode worker|fallback] [NAME…]");
  process.exit(2);
}
process.exitCode = await main(file, mode, names);

async function main(path: string, mode: Mode, names: string[]): Promise<number> {
  const all = JSON.parse(await readFile(path, "utf8")) as Case[];
  const cases = names.length ? all.filter((one) => names.includes(one.name)) : all;
  const server = await SandglassServer.start({ cache: "corpus" });
  const docs = await DocsSite.start(server.app);
  // A page over plain HTTP on another site gets no service worker, as on many an intranet.
  const profile = await launch(mode === "fallback" ? { hosts: { [INSECURE]: "127.0.0.1" } } : {});
  let failed = 0;
  try {
    docs.put("/corpus.html", page(server));
    for (const [index, one] of cases.entries()) failed += (await check(one, index, profile, docs, mode)) ? 0 : 1;
  } finally {
    await Promise.all([profile.close(), docs.close(), server.stop()]);
  }
  console.log(`${cases.length - failed} passed, ${failed} failed`);
  return failed === 0 && cases.length > 0 ? 0 : 1;
}

async function check(one: Case, index: number, profile: Profile, docs: DocsSite, mode: Mode): Promise<boolean> {
  const tab = await profile.context.newPage();
  const start = performance.now();
  await tab.goto(docs.url(mode === "fallback" ? INSECURE : SIBLING, "/corpus.html"));
  const outcome = await run(tab, one, `corpus${index}`, mode).catch((error: Error): Outcome => ({ trouble: error.message }));
  await tab.close();
  const passed = "json" in outcome && isDeepStrictEqual(parsed(outcome.json), one.expect);
  const got = passed ? "" : `  ${"json" in outcome ? `gave ${outcome.json}, not ${JSON.stringify(one.expect)}` : outcome.trouble}`;
  console.log(`${passed ? "ok  " : "FAIL"}  ${one.name}  ${Math.round(performance.now() - start)} ms${got}`);
  return passed;
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** A page that has the client and the previews' pattern. */
function page(server: SandglassServer): string {
  return `<!doctype html><title>Corpus</title><div id="here"></div>
<script type="module">
import { connect } from "${server.app}/sandglass-client.js";
window.openPreview = (id) => connect({ container: document.getElementById("here"), previewOrigin: ${JSON.stringify(server.preview("{id}"))}, id });
</script>`;
}

declare global {
  /** Opens a preview; the page above puts it there. */
  var openPreview: (id: string) => Promise<Client.Preview>;
}

/** Mounts a case and waits for its result. */
function run(tab: Page, one: Case, id: string, mode: Mode): Promise<Outcome> {
  return tab.evaluate(async ({ one, id, mode }): Promise<{ json: string } | { trouble: string }> => {
    // A method, as the loader that strips these types wraps named functions in a helper that the page lacks.
    const at = {
      most<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
        return Promise.race([work, new Promise<never>((_, fail) => setTimeout(() => fail(new Error(`${what} took more than ${ms / 1000} s`)), ms))]);
      },
    };
    while (!globalThis.openPreview) await new Promise((next) => setTimeout(next, 20));
    const preview = await globalThis.openPreview(id);
    const problems: string[] = [];
    preview.on("error", (error) => problems.push(error.message));
    const settled = new Promise<void>((done) => {
      preview.on("ready", () => done());
      preview.on("error", () => done());
      preview.on("diagnostics", ({ diagnostics }) => {
        for (const found of diagnostics) problems.push(`${found.file}:${found.line} ${found.message}`);
        if (diagnostics.some(({ severity }) => severity === "error")) done();
      });
    });
    const files: Record<string, string> = {
      "/package.json": JSON.stringify({ dependencies: one.deps }),
      "/index.html": `<!doctype html><body><script type="module" src="${one.entry}"></script></body>`,
      ...one.files,
    };
    await at.most(120_000, "mounting", preview.mount({ files }));
    await at.most(60_000, "running", settled);
    if (preview.mode !== mode) return { trouble: `it runs in ${preview.mode} mode: ${preview.modeReason ?? ""}` };
    // A result may come late, and may be a promise.
    const look = `(() => {
      const result = globalThis.__result;
      if (result === undefined) return "";
      if (!globalThis.__asked) {
        globalThis.__asked = true;
        Promise.resolve(result).then((value) => (globalThis.__answer = JSON.stringify(value)), (error) => (globalThis.__answer = "rejected: " + error));
      }
      return globalThis.__answer ?? "";
    })()`;
    for (let tries = 0; tries < 200; tries++) {
      const value = await preview.evaluate(look);
      if (value.kind === "string" && value.text) return { json: value.text };
      await new Promise((next) => setTimeout(next, 50));
    }
    return { trouble: problems.join("; ") || "it gave no result" };
  }, { one, id, mode });
}
