// A docs page of another site: what its reader's browser allows decides how the preview runs.

import { expect, test } from "../harness/test";
import { FOREIGN, INSECURE } from "../harness/docs";
import { COUNTER } from "../harness/projects";
import type { Playground } from "../harness/playground";

/** Renders, keeps state over an edit, swaps styles, shows a mistake and its repair. */
async function works(playground: Playground): Promise<void> {
  const { document } = playground;
  await document.getByRole("button", { name: "Count is 0" }).click();
  await playground.replaceLine("<h1>", "<h1>Edited</h1>");
  await expect(document.getByRole("heading", { name: "Edited" })).toBeVisible();
  await expect(document.getByRole("button", { name: "Count is 1" })).toBeVisible();
  await playground.replaceLine("<h1>", "<h1>Edited</h2>");
  await expect(playground.overlay).toContainText("App.tsx:7");
  await playground.replaceLine("<h1>", "<h1>Edited twice</h1>");
  await expect(playground.overlay).toBeHidden();
  await expect(document.getByRole("heading", { name: "Edited twice" })).toBeVisible();
  await playground.open("style.css");
  await playground.replaceLine("color:", "color: rgb(0, 90, 160);");
  await expect(document.getByRole("heading")).toHaveCSS("color", "rgb(0, 90, 160)");
  await expect(document.getByRole("button", { name: "Count is 1" })).toBeVisible();
}

test.describe("with third-party storage blocked", () => {
  test.use({ profileOptions: { thirdParty: "blocked" } });

  test("another site's playground renders and updates through the fallback", async ({ page, docs, playground }) => {
    await page.goto(docs.page("/blocked.html", [COUNTER], FOREIGN));
    await works(playground);
    expect(await playground.mode()).toBe("fallback");
    await expect(playground.how).toHaveText("compatible mode");
    await expect(playground.how).toHaveAccessibleName(/^Runs without a service worker: .*third-party storage is blocked/);
  });

  test("the sibling site's playground still runs by service worker", async ({ page, docs, playground }) => {
    await page.goto(docs.page("/blocked-sibling.html", [COUNTER]));
    await playground.settled();
    expect(await playground.mode()).toBe("worker");
  });

  test("console, errors and two playgrounds work in the fallback", async ({ page, docs, playground }) => {
    await page.goto(docs.page("/blocked-console.html", [COUNTER, COUNTER], FOREIGN));
    await expect(playground.document.getByRole("heading", { name: "Hello" })).toBeVisible();
    await playground.replaceLine("const [count", `const [count, setCount] = useState(0); console.log("drawn", { count });`);
    await expect(playground.output).toContainText("drawn");
    await playground.replaceLine("<h1>", "<h1>{explode()}</h1>");
    await expect(playground.overlay).toContainText("App.tsx:7");
    await playground.replaceLine("<h1>", "<h1>Calm</h1>");
    await expect(playground.document.getByRole("heading", { name: "Calm" })).toBeVisible();
  });
});

test.describe("with third-party storage allowed", () => {
  test.use({ profileOptions: { thirdParty: "allowed" } });

  test("another site's playground runs by service worker", async ({ page, docs, playground }) => {
    await page.goto(docs.page("/allowed.html", [COUNTER], FOREIGN));
    await works(playground);
    expect(await playground.mode()).toBe("worker");
    await expect(playground.how).toHaveAccessibleName("Runs from a service worker");
  });
});

test("in a fresh profile another site's playground runs by a worker of its own partition", async ({ page, docs, playground }) => {
  await page.goto(docs.page("/partitioned.html", [COUNTER], FOREIGN));
  await works(playground);
  expect(await playground.mode()).toBe("worker");
});

test.describe("a docs page over plain HTTP", () => {
  test.use({ profileOptions: { hosts: { [INSECURE]: "127.0.0.1" } } });

  test("runs through the fallback", async ({ page, docs, playground }) => {
    await page.goto(docs.page("/insecure.html", [COUNTER], INSECURE));
    await works(playground);
    expect(await playground.mode()).toBe("fallback");
    await expect(playground.how).toHaveAccessibleName(/HTTPS/);
  });
});

test("an endless loop can be stopped, and nothing that was written is lost", async ({ page, docs, playground }) => {
  await page.goto(docs.page("/loop.html", [COUNTER], FOREIGN));
  await expect(playground.document.getByRole("heading", { name: "Hello" })).toBeVisible();
  await playground.replaceLine("<h1>", "<h1>{(() => { for (;;) {} })()}</h1>");
  const alert = playground.root.getByRole("alert").filter({ hasText: "not responding" });
  await expect(alert).toBeVisible();
  await alert.getByRole("button", { name: "Stop" }).click();
  await expect(playground.root.getByText("The preview is stopped")).toBeVisible();
  await playground.replaceLine("<h1>", "<h1>Ends now</h1>");
  await playground.root.locator(".stage").getByRole("button", { name: "Start" }).click();
  await expect(playground.document.getByRole("heading", { name: "Ends now" })).toBeVisible();
});
