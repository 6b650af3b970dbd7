// What is under test, and where it lies.

import { existsSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";

const HERE = resolve(import.meta.dirname, "..");
const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** A file or folder named by a variable, else relative to this package. */
function named(variable: string, otherwise: string): string {
  return resolve(process.env[variable] ?? join(HERE, otherwise));
}

/** The `sandglass` server. */
export const serverBinary = named("SANDGLASS_BIN", "../target/release/sandglass");

/** The site that it serves. */
export const siteFolder = named("SANDGLASS_SITE", "../target/site/release");

/** What `cargo xtask dist` wrote. */
export const distFolder = named("SANDGLASS_DIST", "../dist");

/** Packages that were fetched once. */
export const cacheFolder = named("SANDGLASS_TEST_CACHE", "../target/playwright-cache");

/** The system's Chromium; Playwright's own is never downloaded. */
export function chromium(): string {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const found = process.env["CHROMIUM"] ?? NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
  if (!found) throw new Error("There is no Chromium: install it (apt-get install chromium), or name it by CHROMIUM=PATH.");
  return found;
}
