// The service worker dies and the server goes away; the reader doesn't notice.

import type { BrowserContext, Page } from "@playwright/test";
import { expect, test } from "../harness/test";
import { COUNTER } from "../harness/projects";

test("a sibling site's playground runs by service worker", async ({ page, docs, playground }) => {
  await page.goto(docs.page("/mode.html", [COUNTER]));
  await playground.settled();
  expect(await playground.mode()).toBe("worker");
  await expect(playground.how).toHaveText("worker");
});

test("edits and reloads work after the browser has stopped the worker", async ({ page, context, docs, playground }) => {
  await page.goto(docs.page("/stopped.html", [COUNTER]));
  await playground.document.getByRole("button", { name: "Count is 0" }).click();
  expect(await playground.mode()).toBe("worker");

  await stopWorkers(context, page);
  await playground.replaceLine("<h1>", "<h1>After a stop</h1>");
  await expect(playground.document.getByRole("heading", { name: "After a stop" })).toBeVisible();
  await expect(playground.document.getByRole("button", { name: "Count is 1" })).toBeVisible();

  await stopWorkers(context, page);
  await playground.root.getByRole("button", { name: "Reload the preview" }).click();
  await expect(playground.document.getByRole("heading", { name: "After a stop" })).toBeVisible();
  await expect(playground.document.getByRole("button", { name: "Count is 0" })).toBeVisible();

  await stopWorkers(context, page);
  await page.reload();
  await expect(playground.document.getByRole("heading", { name: "After a stop" })).toBeVisible();
});

test("a worker that was stopped while a mistake was on screen takes the repair", async ({ page, context, docs, playground }) => {
  await page.goto(docs.page("/stopped-broken.html", [COUNTER]));
  await expect(playground.document.getByRole("heading", { name: "Hello" })).toBeVisible();
  await playground.replaceLine("<h1>", "<h1>Hello</h2>");
  await expect(playground.overlay).toBeVisible();
  await stopWorkers(context, page);
  await playground.replaceLine("<h1>", "<h1>Repaired</h1>");
  await expect(playground.document.getByRole("heading", { name: "Repaired" })).toBeVisible();
  await expect(playground.overlay).toBeHidden();
});

test("a reload works with the server gone after a first visit", async ({ page, server, playground }) => {
  await page.goto(`${server.app}/examples/react.html`);
  await playground.settled();
  await cached(page);
  try {
    await server.kill();
    await page.reload();
    await playground.settled();
    await expect(playground.document.getByText("1 of 3 done")).toBeVisible();
    await playground.replaceLine("<h1>To do</h1>", "<h1>Without a server</h1>");
    await expect(playground.document.getByRole("heading", { name: "Without a server" })).toBeVisible();
  } finally {
    await server.start();
  }
});

/** Ends every service worker of the profile through the DevTools protocol, and waits for the last. */
async function stopWorkers(context: BrowserContext, page: Page): Promise<void> {
  const devTools = await context.newCDPSession(page);
  const alive = new Set<string>();
  const ended = new Set<string>();
  devTools.on("ServiceWorker.workerVersionUpdated", ({ versions }) => {
    for (const { versionId, runningStatus } of versions) (runningStatus === "stopped" ? ended : alive).add(versionId);
  });
  await devTools.send("ServiceWorker.enable");
  await expect.poll(() => alive.size, "a service worker runs before it is stopped").toBeGreaterThan(0);
  ended.clear();
  await devTools.send("ServiceWorker.stopAllWorkers");
  await expect.poll(() => [...alive].every((version) => ended.has(version)), "all have stopped").toBe(true);
  await devTools.detach();
}

/** The page's own worker has taken over: from here on it can load without a network. */
async function cached(page: Page): Promise<void> {
  await page.evaluate(async () => void (await navigator.serviceWorker.ready));
}
