// Updates of a running registry: what runs again, what is told, what stays.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry, type Refresh } from "../registry/registry";
import { Updates } from "./update";

const ESM = 1;
const REFRESH = 4;

interface Page {
  out: unknown[];
  registry: Registry;
  updates: Updates;
  /** Applies new versions of modules. */
  edit(modules: Modules, removed?: string[]): Promise<string>;
}

type Modules = Record<string, [statics: string[], body: string, kind?: number]>;

const refresh: Refresh = {
  register: () => {},
  createSignatureFunctionForTransform: () => (type) => type,
  isLikelyComponentType: (type) => typeof type === "function" && /^[A-Z]/.test(type.name),
  performReactRefresh: () => {},
};

async function open(modules: Modules): Promise<Page> {
  const out: unknown[] = [];
  let updates!: Updates;
  const registry = new Registry({
    loadChunk: async () => {},
    importUrl: async () => ({}),
    css: (id, text) => out.push(`css ${id} ${text}`),
    meta: (module) => ({ hot: updates.contexts.create(module) }),
    refresh,
  });
  const define = (all: Modules) => {
    for (const [id, [statics, body, kind = ESM]] of Object.entries(all)) {
      const names = statics.map((_, index) => `,$${index}`).join("");
      const factory = new Function("log", `return function*($m${names}){"use strict";${body}}`)((...values: unknown[]) => out.push(...values)) as () => unknown;
      registry.define(id, kind, statics, {}, factory);
    }
  };
  updates = new Updates(registry, {
    run: (code) => define(JSON.parse(code) as Modules),
    report: (error) => out.push(`error ${(error as Error).message}`),
    removeStyle: (id) => out.push(`unstyle ${id}`),
    reload: (reason) => out.push(`reload ${reason}`),
    note: () => {},
  });
  define(modules);
  updates.entries.add("/main");
  await registry.run("/main");
  const edit = (changed: Modules, removed: string[] = []) => updates.apply({ code: JSON.stringify(changed), changed: Object.keys(changed), removed });
  return { out, registry, updates, edit };
}

const MAIN: Modules = { "/main": [["/a"], `yield;log("main")`] };

test("a module that accepts itself runs again, its importers don't", async () => {
  const page = await open({ ...MAIN, "/a": [[], `$m.x({v:()=>1});yield;log("a1");$m.meta.hot.accept(n=>log("new",n.v));$m.meta.hot.dispose(d=>{d.kept=7;log("dispose")})`] });
  page.out.length = 0;
  assert.equal(await page.edit({ "/a": [[], `$m.x({v:()=>2});yield;log("a2",$m.meta.hot.data.kept);$m.meta.hot.accept()`] }), "hot");
  assert.deepEqual(page.out, ["dispose", "a2", 7, "new", 2]);
});

test("an importer that accepts the import gets it", async () => {
  const page = await open({ "/main": [["/a"], `yield;$m.meta.hot.accept("./a",n=>log("got",n.v));$m.meta.hot.accept(["./a"],([n])=>log("list",n.v))`], "/a": [[], `$m.x({v:()=>1});yield;`] });
  assert.equal(await page.edit({ "/a": [[], `$m.x({v:()=>2});yield;`] }), "hot");
  assert.deepEqual(page.out, ["got", 2, "list", 2]);
});

test("nothing accepts: reload, and nothing has run", async () => {
  const page = await open({ ...MAIN, "/a": [[], `yield;log("a")`] });
  page.out.length = 0;
  assert.equal(await page.edit({ "/a": [[], `yield;log("again")`] }), "reload");
  assert.deepEqual(page.out, []);
});

test("a new version that throws leaves the old; the next one is taken", async () => {
  const accept = `$m.meta.hot.accept();`;
  const page = await open({ ...MAIN, "/a": [[], `$m.x({v:()=>1});yield;${accept}`] });
  page.out.length = 0;
  assert.equal(await page.edit({ "/a": [[], `yield;throw new Error("broken")`] }), "hot");
  assert.deepEqual(page.out, ["error broken"]);
  assert.deepEqual({ ...(await page.registry.run("/a")) }, { v: 1 });
  await page.edit({ "/a": [[], `$m.x({v:()=>3});yield;${accept}`] });
  assert.deepEqual({ ...(await page.registry.run("/a")) }, { v: 3 });
});

test("components are boundaries; one that exports something else then isn't", async () => {
  const component = (name: string, rest = "") => [[], `$m.x({${name}:()=>${name}${rest && ",helper:()=>1"}});yield;function ${name}(){}log("${name}")`, ESM | REFRESH] as Modules[string];
  const page = await open({ "/main": [["/App"], `yield;log("main")`], "/App": component("App") });
  page.out.length = 0;
  assert.equal(await page.edit({ "/App": component("App") }), "hot");
  assert.deepEqual(page.out, ["App"]);
  assert.equal(await page.edit({ "/App": component("App", "helper") }), "reload");
});

test("a style sheet is swapped", async () => {
  const sheet = (text: string) => [[], `$m.x({default:()=>$d});yield;const $d="${text}";$m.css($d);$m.meta.hot.accept()`] as Modules[string];
  const page = await open({ "/main": [["/a.css"], `yield;`], "/a.css": sheet("red") });
  assert.equal(await page.edit({ "/a.css": sheet("blue") }), "style");
  assert.deepEqual(page.out, ["css /a.css red", "css /a.css blue"]);
});

test("a module that nothing imports any more is pruned", async () => {
  const page = await open({ "/main": [["/a"], `yield;$m.meta.hot.accept()`], "/a": [[], `yield;$m.meta.hot.prune(()=>log("pruned"));$m.meta.hot.dispose(()=>log("disposed"))`] });
  assert.equal(await page.edit({ "/main": [[], `yield;$m.meta.hot.accept()`] }, ["/a"]), "hot");
  assert.deepEqual(page.out, ["disposed", "pruned", "unstyle /a"]);
});

test("invalidate hands the update on to importers", async () => {
  const page = await open({ "/main": [["/a"], `yield;log("main");$m.meta.hot.accept()`], "/a": [[], `yield;$m.meta.hot.accept(()=>$m.meta.hot.invalidate())`] });
  page.out.length = 0;
  assert.equal(await page.edit({ "/a": [[], `yield;log("a");$m.meta.hot.accept()`] }), "hot");
  assert.deepEqual(page.out, ["a", "main"]);
});

test("invalidate outside of an update reloads where nobody takes it", async () => {
  const page = await open({ ...MAIN, "/a": [[], `yield;globalThis.giveUp=()=>$m.meta.hot.invalidate("why")`] });
  (globalThis as unknown as { giveUp(): void }).giveUp();
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(page.out, ["main", "reload /main can't take an update"]);
});

test("listeners hear of updates and go with their module", async () => {
  const page = await open({ ...MAIN, "/a": [[], `yield;$m.meta.hot.accept();$m.meta.hot.on("vite:beforeUpdate",u=>log(u.updates[0].path))`] });
  page.out.length = 0;
  await page.edit({ "/a": [[], `yield;$m.meta.hot.accept()`] });
  await page.edit({ "/a": [[], `yield;$m.meta.hot.accept();log("third")`] });
  assert.deepEqual(page.out, ["/a", "third"]);
});
