// The client library on a page of its own, without the element.

import type { Page } from "@playwright/test";
import type * as Client from "../../static/client";
import { SIBLING } from "../harness/docs";
import { expect, test } from "../harness/test";

declare global {
  /** What the page below puts there. */
  var preview: Client.Preview;
  var events: string[];
}

/** A page that connects and leaves the rest to the test. */
function pageOf(app: string, pattern: string): string {
  return `<!doctype html><title>Client</title><div id="here"></div>
<script type="module">
import { connect } from "${app}/sandglass-client.js";
window.events = [];
window.preview = await connect({ container: document.getElementById("here"), previewOrigin: "${pattern}", id: "client-test", title: "Mine" });
for (const type of ["mode", "ready", "updated", "diagnostics"]) {
  preview.on(type, (event) => events.push(type === "updated" ? "updated " + event.how : type === "diagnostics" ? "diagnostics " + event.diagnostics.length : type));
}
document.title = "Connected";
</script>`;
}

test("a page drives a preview through the client", async ({ page, docs, server }) => {
  docs.put("/client.html", pageOf(server.app, server.preview("{id}")));
  await page.goto(docs.url(SIBLING, "/client.html"));
  await expect(page).toHaveTitle("Connected");
  await page.evaluate(() => preview.mount({
    files: {
      "/index.html": `<!doctype html><html><body><p id="out"></p><script type="module" src="/main.ts"></script></body></html>`,
      "/main.ts": `import { word } from "./word";\nimport "./style.css";\ndocument.getElementById("out")!.textContent = word;\n`,
      "/word.ts": `export const word: string = "first";\n`,
      "/style.css": "p { color: rgb(1, 2, 3); }\n",
    },
  }));
  const out = page.frameLocator("iframe[title=Mine]").frameLocator("iframe >> nth=0").locator("#out");
  await expect(out).toHaveText("first");
  await expect(out).toHaveCSS("color", "rgb(1, 2, 3)");

  expect(await page.evaluate(() => preview.list())).toEqual(["/index.html", "/main.ts", "/style.css", "/word.ts"]);
  expect(await page.evaluate(() => preview.readFile("/word.ts"))).toContain("first");
  expect(await page.evaluate(() => preview.evaluate("1 + 1"))).toEqual({ kind: "atom", typeName: "number", text: "2" });

  const revision = await page.evaluate(() => preview.write({ "/word.ts": `export const word = "second";\n` }));
  await expect(out).toHaveText("second");
  await page.evaluate(() => preview.write({ "/style.css": "p { color: rgb(4, 5, 6); }\n" }));
  await expect(out).toHaveCSS("color", "rgb(4, 5, 6)");
  expect(await told(page)).toContain("updated style");

  expect(await page.evaluate(() => preview.rename("/word.ts", "/term.ts"))).toBeGreaterThan(revision);
  await expect.poll(() => told(page)).toContain("diagnostics 1");
  await page.evaluate(() => preview.write({ "/main.ts": `import { word } from "./term";\ndocument.getElementById("out")!.textContent = word + " time";\n` }));
  await expect(out).toHaveText("second time");

  await page.evaluate(() => preview.stop());
  await expect(out).toBeHidden();
  await page.evaluate(() => preview.write({ "/term.ts": `export const word = "third";\n` }));
  await page.evaluate(() => preview.restart());
  await expect(out).toHaveText("third time");
  await page.evaluate(() => preview.dispose());
  await expect(page.locator("iframe")).toHaveCount(0);
});

test("a path that is none is refused in words", async ({ page, docs, server }) => {
  docs.put("/client-refused.html", pageOf(server.app, server.preview("{id}")));
  await page.goto(docs.url(SIBLING, "/client-refused.html"));
  await expect(page).toHaveTitle("Connected");
  const mount = (path: string) => page.evaluate((path) => preview.mount({ files: { [path]: "" } }).then(() => "taken", (error: Error) => error.message), path);
  for (const path of ["main.ts", "/a/../b", "/a//b", "/"]) expect(await mount(path)).toContain(`"${path}"`);
});

function told(page: Page): Promise<string[]> {
  return page.evaluate(() => events);
}
