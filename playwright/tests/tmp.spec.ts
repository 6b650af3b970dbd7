import { test, expect } from "../harness/test";
import { FOREIGN } from "../harness/docs";
test("x", async ({ page, context, docs, server }) => {
  const boot = `${server.preview("sforeign")}/__sandglass/boot.html`;
  docs.put("/wn.html", `<!doctype html><title>Foreign</title><p id="heard"></p><p id="answered">none</p>
<iframe src="${boot}#0123456789abcdef0123456789abcdef"></iframe>
<script>
window.t0=performance.now(); window.log=[];
addEventListener("message", ({ data }) => {
  heard.textContent = data.type; log.push(["hello", performance.now()]);
  offer({ sandglass: 1, type: "connect", nonce: data.nonce }, "right");
});
function offer(message, name = "wrong") {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = (e) => { log.push([JSON.stringify(e.data), performance.now()]); if (e.data.type==="reply") answered.textContent = name; };
  port1.postMessage({ sandglass: 1, id: 1, type: "list" });
  frames[0].postMessage(message, "*", [port2]);
}
</script>`);
  const con: string[] = [];
  page.on("console", m => con.push(m.text())); context.on("serviceworker", w => con.push("sw "+w.url()));
  context.on("request", r=>con.push("req "+r.url())); context.on("requestfailed", r=>con.push("failed "+r.url()+r.failure()?.errorText)); context.on("response", r=>con.push("res "+r.status()+" "+r.url()));
  await page.goto(docs.url(FOREIGN, "/wn.html"));
  try {
    await expect(page.locator("#answered")).toHaveText("right", { timeout: 12000 });
  } catch (e) {
    console.log(JSON.stringify(await page.evaluate(() => (window as any).log)), con.join("\n"));
    const f = page.frames()[1]!;
    console.log(await f.evaluate(async () => { const r = await navigator.serviceWorker.getRegistration(); return JSON.stringify([r?.installing?.state, r?.waiting?.state, r?.active?.state, !!navigator.serviceWorker.controller, await caches.keys()]); }).catch(String));
    const cdp = await context.newCDPSession(page);
    const ev: string[] = [];
    cdp.on("ServiceWorker.workerVersionUpdated", (e) => ev.push("V " + JSON.stringify(e.versions)));
    cdp.on("ServiceWorker.workerRegistrationUpdated", (e) => ev.push("R " + JSON.stringify(e.registrations)));
    cdp.on("ServiceWorker.workerErrorReported", (e) => ev.push("E " + JSON.stringify(e)));
    await cdp.send("ServiceWorker.enable");
    console.log(JSON.stringify((await cdp.send("Target.getTargets")).targetInfos.map((t: any) => [t.type, t.url, t.attached])));
    await page.waitForTimeout(1000);
    console.log(ev.join("\n"));
    const r2 = await f.evaluate(() => Promise.race([navigator.serviceWorker.register("/sandglass-sw.js").then(r => "registered " + r.active?.state, String), new Promise(d => setTimeout(() => d("again hanging"), 5000))])).catch(String);
    console.log("second register:", r2);
    console.log(server.log.slice(-2000));
    throw e;
  }
  const log = await page.evaluate(() => (window as any).log) as [string, number][];
  if (log.at(-1)![1] > 4000) console.log(JSON.stringify(log));
});
