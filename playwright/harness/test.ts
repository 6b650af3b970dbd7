// What every journey has: a server, a documentation site, an empty browser.

import { test as base, type BrowserContext, type Page } from "@playwright/test";
import { launch, type Profile, type ProfileOptions } from "./chromium";
import { DocsSite } from "./docs";
import { Playground } from "./playground";
import { SandglassServer } from "./server";

interface TestFixtures {
  /** How the profile differs from a fresh one; set by `test.use`. */
  profileOptions: ProfileOptions;
  profile: Profile;
  context: BrowserContext;
  page: Page;
  /** The first playground of the page. */
  playground: Playground;
}

interface WorkerFixtures {
  server: SandglassServer;
  docs: DocsSite;
}

/** Playwright's `test` with our fixtures; its browser is never started. */
export const test = base.extend<TestFixtures, WorkerFixtures>({
  server: [async ({}, use, info) => {
    const server = await SandglassServer.start({ cache: `worker-${info.parallelIndex}` });
    await use(server);
    await server.stop();
  }, { scope: "worker" }],

  docs: [async ({ server }, use) => {
    const docs = await DocsSite.start(server.app);
    await use(docs);
    await docs.close();
  }, { scope: "worker" }],

  profileOptions: [{}, { option: true }],

  profile: async ({ profileOptions }, use) => {
    const profile = await launch(profileOptions);
    await use(profile);
    await profile.close();
  },

  context: async ({ profile }, use) => use(profile.context),

  page: async ({ context }, use, info) => {
    const page = await context.newPage();
    const said: string[] = [];
    page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => said.push(`uncaught: ${error.message}`));
    await use(page);
    if (info.status === info.expectedStatus) return;
    await info.attach("browser console", { body: said.join("\n"), contentType: "text/plain" });
    if (!page.isClosed()) await info.attach("page", { body: await page.screenshot(), contentType: "image/png" });
  },

  playground: async ({ page }, use) => use(new Playground(page)),
});

export { expect } from "@playwright/test";
