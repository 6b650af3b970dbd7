// Who may talk to whom: the borders between docs page, app and preview.

import type { FrameLocator, Page } from "@playwright/test";
import { FOREIGN, type DocsSite } from "../harness/docs";
import { ATTEMPT_COUNT, hostile } from "../harness/hostile";
import { plain } from "../harness/projects";
import type { SandglassServer } from "../harness/server";
import { expect, test } from "../harness/test";

/** Storage that only its own origin may see. */
const PLANT_SECRET = `
localStorage.secret = sessionStorage.secret = "of the host";
document.cookie = "secret=of-the-host";
indexedDB.open("app-secret");
caches?.open("app-secret");
`;

for (const mode of ["worker", "fallback"] as const) {
  test.describe(`by ${mode}`, () => {
    test.use({ profileOptions: mode === "worker" ? {} : { thirdParty: "blocked" } });

    test("a hostile example reaches nothing outside", async ({ page, context, docs, server, playground }) => {
      await plantAt(page, `${server.app}/`);
      const address = docs.page("/hostile.html", [], mode === "worker" ? undefined : FOREIGN);
      docs.page("/hostile.html", [hostile(server.app, address)]);
      await plantAt(page, address);
      await page.reload();

      const outcomes = playground.document.getByRole("listitem");
      await expect(outcomes).toHaveCount(ATTEMPT_COUNT);
      expect(await playground.mode()).toBe(mode);
      expect((await outcomes.allTextContents()).filter((text) => !text.endsWith(": refused"))).toEqual([]);
      // The page around it is where it was and works.
      expect(page.url()).toBe(address);
      await expect(page.getByRole("heading", { name: "Documentation" })).toBeVisible();

      // Chromium lets an own rejection of `indexedDB.databases` in a sandboxed document get away uncaught.
      await page.addLocatorHandler(playground.overlay, () => playground.overlay.getByRole("button", { name: "Dismiss" }).click());
      // Traffic in both directions, then the question whether the port was seen in passing.
      await playground.root.evaluate((element) => (element as HTMLElement & { preview: { list(): Promise<unknown> } }).preview.list());
      await playground.document.getByRole("button", { name: "Report" }).click();
      // The boot page is of the same origin where a service worker runs: there it can be overheard as well.
      const realms = mode === "worker" ? 2 : 1;
      await expect(playground.document.getByText(`the port, overheard in ${realms} realms: refused`)).toBeVisible();

      const popup = context.waitForEvent("page");
      await playground.document.getByRole("button", { name: "Open the app" }).click();
      await (await popup).waitForLoadState();
      await expect(playground.document.getByText("Opened: refused")).toBeVisible();
      await expect(playground.document.getByText("Opened: REACHED")).toBeHidden();
    });
  });
}

test("a page with another nonce can't connect to a preview", async ({ page, docs, server }) => {
  const boot = `${server.preview("sforeign")}/__sandglass/boot.html`;
  docs.put("/wrong-nonce.html", `<!doctype html><title>Foreign</title><p id="heard"></p><p id="answered">none</p>
<iframe src="${boot}#0123456789abcdef0123456789abcdef"></iframe>
<script>
addEventListener("message", ({ data }) => {
  heard.textContent = data.busy ? "busy" : data.type;
  for (const nonce of ["ffffffffffffffffffffffffffffffff", "", undefined]) offer({ sandglass: 1, type: "connect", nonce });
  offer({ sandglass: 2, type: "connect", nonce: data.nonce });
  offer({ type: "connect", nonce: data.nonce });
  frames[0].postMessage({ sandglass: 1, id: 1, type: "mount", project: { files: { "/index.html": "taken over" } } }, "*");
  // The right one last: what comes before it has been judged when it is answered.
  offer({ sandglass: 1, type: "connect", nonce: data.nonce }, "right");
});
function offer(message, name = "wrong") {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => { answered.textContent = answered.textContent === "wrong" ? "wrong" : name; };
  port1.postMessage({ sandglass: 1, id: 1, type: "list" });
  frames[0].postMessage(message, "*", [port2]);
}
</script>`);
  await page.goto(docs.url(FOREIGN, "/wrong-nonce.html"));
  await expect(page.locator("#heard")).toHaveText("hello");
  await expect(page.locator("#answered")).toHaveText("right");
});

for (const kind of ["element", "client"] as const) {
  test(`a page around a docs page can't drive its preview (${kind})`, async ({ page, docs, server }) => {
    const victim = victimPage(docs, server, kind);
    docs.put("/around.html", `<!doctype html><title>Around</title><iframe src="${victim}" width="1000" height="700"></iframe>${attack("frames[0]")}`);
    await page.goto(docs.url("evil.localhost", "/around.html"));
    await attackFails(page, page.frameLocator("iframe"), kind);
  });

  test(`an opener of a docs page can't drive its preview (${kind})`, async ({ page, context, docs, server }) => {
    const victim = victimPage(docs, server, kind);
    docs.put("/opener.html", `<!doctype html><title>Opener</title><button onclick='opened = window.open("${victim}")'>Open</button>${attack("opened")}`);
    await page.goto(docs.url("evil.localhost", "/opener.html"));
    const opening = context.waitForEvent("page");
    await page.getByRole("button", { name: "Open" }).click();
    await attackFails(page, await opening, kind);
  });
}

/** A docs page that shows "mine", and "edited" after a press of its button. */
function victimPage(docs: DocsSite, server: SandglassServer, kind: "element" | "client"): string {
  const main = (text: string) => `document.getElementById("root")!.textContent = "${text}";\n`;
  const files = plain(main("mine")).files!;
  const edit = (preview: string) => `document.querySelector("button").onclick = () => ${preview}.write({ "/src/main.ts": ${JSON.stringify(main("edited"))} });`;
  const path = `/victim-${kind}.html`;
  if (kind === "element") {
    return docs.page(path, [{ files }], FOREIGN, `<button>Edit</button><script>${edit('document.querySelector("sandglass-playground").preview')}</script>`);
  }
  docs.put(path, `<!doctype html><title>Client</title><button>Edit</button><div id="here"></div>
<script type="module">
import { connect } from "${server.app}/sandglass-client.js";
const preview = await connect({ container: document.getElementById("here"), previewOrigin: "${server.preview("{id}")}", id: "victim" });
await preview.mount({ files: ${JSON.stringify(files).replaceAll("</", "<\\/")} });
${edit("preview")}
</script>`);
  return docs.url(FOREIGN, path);
}

/**
 * Forged hellos to the host, forged connects and orders to the preview, again and
 * again from before either exists. A client's frame can be reached from outside;
 * the element's can't be, as it lies in a shadow tree.
 */
function attack(handle: string): string {
  return `<p id="rounds">0</p><p id="reached">0</p><p id="answers">0</p><script>
var opened;
const nonce = "0".repeat(32);
const orders = [
  { type: "write", files: { "/src/main.ts": "document.body.textContent = 'taken over'" } },
  { type: "mount", project: { files: { "/index.html": "taken over" } } },
  { type: "evaluate", code: "document.body.textContent = 'taken over'" },
  { type: "stop" },
];
const count = (element) => { element.textContent = Number(element.textContent) + 1; };
setInterval(() => {
  const host = ${handle};
  if (!host) return;
  for (const busy of [false, true]) host.postMessage({ sandglass: 1, type: "hello", nonce, busy }, "*");
  const preview = host.length ? host[0] : undefined;
  const targets = preview ? [preview, ...(preview.length ? [preview[0]] : [])] : [];
  for (const target of targets) {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => count(answers);
    for (const order of orders) port1.postMessage({ sandglass: 1, id: 1, ...order });
    target.postMessage({ sandglass: 1, type: "connect", nonce }, "*", [port2]);
    for (const order of orders) target.postMessage({ sandglass: 1, id: 1, ...order }, "*");
    count(reached);
  }
  count(rounds);
}, 50);
</script>`;
}

/** The victim shows its own text and takes its own edit, while it is attacked; nobody else is answered. */
async function attackFails(attacker: Page, victim: Page | FrameLocator, kind: "element" | "client"): Promise<void> {
  const document = victim.locator("iframe").contentFrame().frameLocator("iframe >> nth=0");
  const count = async (id: string) => Number(await attacker.locator(`#${id}`).textContent());
  await expect(document.getByText("mine")).toBeVisible();
  const before = { rounds: await count("rounds"), reached: await count("reached") };
  await expect.poll(() => count("rounds")).toBeGreaterThan(before.rounds + 5);
  if (kind === "client") expect(await count("reached")).toBeGreaterThan(before.reached);
  await expect(document.getByText("mine")).toBeVisible();
  await victim.getByRole("button", { name: "Edit" }).click();
  await expect(document.getByText("edited")).toBeVisible();
  await expect(document.getByText("taken over")).toBeHidden();
  await expect(attacker.locator("#answers")).toHaveText("0");
}

/** Leaves something on an origin that an example must not see. */
async function plantAt(page: Page, address: string): Promise<void> {
  await page.goto(address);
  await page.evaluate(PLANT_SECRET);
}
