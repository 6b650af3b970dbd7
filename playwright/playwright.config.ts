// How the journeys run: one Chromium a test, from an empty profile.
//
// SANDGLASS_BIN, SANDGLASS_SITE, SANDGLASS_DIST and CHROMIUM say what is under
// test; `harness/paths.ts` knows the defaults.

import { defineConfig } from "@playwright/test";

const ci = Boolean(process.env["CI"]);

export default defineConfig({
  testDir: "tests",
  outputDir: "results",
  // A first visit compiles wasm and may build packages, on two cores and beside other work.
  timeout: 90_000,
  expect: { timeout: 30_000 },
  fullyParallel: true,
  forbidOnly: ci,
  retries: ci ? 1 : 0,
  workers: Number(process.env["SANDGLASS_WORKERS"] ?? 2),
  reporter: [["list"], ["./reporter.ts"]],
});
