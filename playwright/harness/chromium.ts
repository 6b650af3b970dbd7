// One real Chromium with an empty profile.
//
// Playwright's default arguments turn off what is tested here: with them a
// frame of another origin can't register a service worker. So all of them go.

import { chromium as driver, type BrowserContext } from "@playwright/test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "./paths";

const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--no-default-browser-check",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--remote-debugging-pipe",
];

/** What differs from a fresh profile. */
export interface ProfileOptions {
  /**
   * Storage of frames of other sites. A fresh profile blocks their cookies and
   * gives them storage and workers of their own for each embedding site.
   */
  thirdParty?: "partitioned" | "blocked" | "allowed";
  /** Host names, with a port or without, and the addresses that they stand for. */
  hosts?: Record<string, string>;
  /** Whether pages may run scripts. */
  javaScript?: boolean;
}

/** A browser and its profile. */
export interface Profile {
  context: BrowserContext;
  /** Ends the browser and starts it again with what it has stored. */
  restart(): Promise<BrowserContext>;
  /** Ends the browser and removes its profile. */
  close(): Promise<void>;
}

/** Starts Chromium on an empty profile. */
export async function launch(options: ProfileOptions = {}): Promise<Profile> {
  const folder = await mkdtemp(join(tmpdir(), "sandglass-profile-"));
  if (options.thirdParty === "allowed") await allowThirdParty(folder);
  const profile: Profile = {
    context: await start(folder, options),
    async restart() {
      await profile.context.close();
      profile.context = await start(folder, options);
      return profile.context;
    },
    async close() {
      await profile.context.close();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  return profile;
}

function start(folder: string, options: ProfileOptions): Promise<BrowserContext> {
  const rules = Object.entries(options.hosts ?? {}).map(([host, address]) => `MAP ${host} ${address}`).join(",");
  // Without partitions a frame of another site has what the preference says: nothing, or all.
  const undivided = options.thirdParty === "blocked" || options.thirdParty === "allowed";
  return driver.launchPersistentContext(folder, {
    executablePath: chromium(),
    ignoreDefaultArgs: true,
    args: [
      ...FLAGS,
      `--user-data-dir=${folder}`,
      ...(undivided ? ["--disable-features=ThirdPartyStoragePartitioning"] : []),
      ...(rules ? [`--host-resolver-rules=${rules}`] : []),
      "about:blank",
    ],
    viewport: { width: 1280, height: 800 },
    javaScriptEnabled: options.javaScript ?? true,
  });
}

/** The switch of the settings page: 0 allows what a fresh profile blocks. */
async function allowThirdParty(folder: string): Promise<void> {
  await mkdir(join(folder, "Default"), { recursive: true });
  await writeFile(join(folder, "Default", "Preferences"), JSON.stringify({ profile: { cookie_controls_mode: 0 } }));
}
