// What `cargo xtask dist` makes, on a web server that isn't ours.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test as base } from "@playwright/test";
import { launch } from "../harness/chromium";
import { distFolder } from "../harness/paths";
import { Playground } from "../harness/playground";
import { hostFolder } from "../harness/static-host";

/** The origins that are written into the folder; the browser finds our ports behind them. */
const APP = "sandglass.localhost:5170";
const PREVIEW = "*.sandglass.localhost:5171";

base("plain files run the examples without a server of ours", async () => {
  base.skip(!existsSync(distFolder) && !process.env["SANDGLASS_DIST"], `there is nothing at ${distFolder}: run cargo xtask dist`);
  const refused: string[] = [];
  // The app's own worker tries names that only look like files; what pages and previews ask for must be there.
  const app = await hostFolder(join(distFolder, "app"), []);
  const preview = await hostFolder(join(distFolder, "preview"), refused);
  const profile = await launch({ hosts: { [APP]: `127.0.0.1:${app.port}`, [PREVIEW]: `127.0.0.1:${preview.port}` } });
  try {
    const page = await profile.context.newPage();
    const playground = new Playground(page);
    page.on("response", (response) => {
      if (response.status() >= 400 && !response.url().endsWith("/favicon.ico")) refused.push(response.url());
    });
    await page.goto(`http://${APP}/examples/react.html`);
    await expect(playground.document.getByText("1 of 3 done")).toBeVisible();
    expect(await playground.mode()).toBe("worker");
    await playground.replaceLine("<h1>To do</h1>", "<h1>Without a server</h1>");
    await expect(playground.document.getByRole("heading", { name: "Without a server" })).toBeVisible();

    await page.goto(`http://${APP}/`);
    await page.getByRole("link", { name: /^React and TypeScript/ }).click();
    await playground.document.getByRole("button", { name: "Count is 0" }).click();
    await expect(playground.document.getByRole("button", { name: "Count is 1" })).toBeVisible();
    // Nothing had to be built, or fetched from a registry.
    expect(refused).toEqual([]);
  } finally {
    await profile.close();
    await app.close();
    await preview.close();
  }
});
