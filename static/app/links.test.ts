import assert from "node:assert/strict";
import { test } from "node:test";
import { links, templateLinks } from "./links";

const SITE = "https://app.example.net";

function check(base: string, text: string, expected: string): void {
  const kind = base.endsWith(".js") ? "script" : "page";
  assert.equal(links(text, SITE + base, kind).map((link) => link.slice(SITE.length)).join(" "), expected, text);
}

test("scripts name their chunks", () => {
  check("/sandglass-playground.js", 'import"./assets/a-1.js";import("./assets/ui-2B.js").then(x)', "/assets/a-1.js /assets/ui-2B.js");
  check("/assets/ui-2B.js", 'import{a}from"./chunk-3.js";import("./editor-4.js")', "/assets/chunk-3.js /assets/editor-4.js");
  check("/assets/web-1.js", 'start({module_or_path:"/assets/web-2.wasm"});new URL("./web_bg.js")', "/assets/web-2.wasm");
});

test("pages name scripts and other pages", () => {
  const page = '<script type="module" src="/page.js"></script><a href="/examples/two.html">Two</a><a href="/examples/two.html">again</a>';
  check("/", page, "/page.js /examples/two.html");
});

test("paths within examples and on other origins are none of ours", () => {
  check("/", '&lt;script src="/src/main.tsx"> import "./style.css" from "/clock.js"', "");
  check("/", 'href="/" href="//" href="//elsewhere.example/a.js" href="https://elsewhere.example/a.js"', "");
  check("/a.js", '"//" "/*" "//elsewhere.example/a.js" "/npm/x.js" "/src/main.js"', "");
  check("/examples/a.html", 'lock="./react.lock.json" project="/examples/clock.json" src="../page.js"', "/examples/react.lock.json /examples/clock.json /page.js");
});

test("the list of templates names them", () => {
  assert.deepEqual(templateLinks([{ name: "a" }, {}, null, { name: 3 }], `${SITE}/`), [`${SITE}/templates/a.json`]);
  assert.deepEqual(templateLinks({ name: "a" }, `${SITE}/`), []);
});
