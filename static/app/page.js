// What every page of the app origin does besides its own work: it keeps itself
// for offline reading, once the reader has what they came for.
//
// Plain JavaScript, as it is sent as it stands. Not part of the element's
// script: a page that embeds a playground keeps its own house.

/** @typedef {{ createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string } }} PolicyFactory */

const WORKER = "/app-sw.js";

/** The worker's address, in the wrapper that Trusted Types ask for where they are enforced. */
function workerAddress() {
  const { trustedTypes } = /** @type {{ trustedTypes?: PolicyFactory }} */ (/** @type {unknown} */ (globalThis));
  return trustedTypes ? trustedTypes.createPolicy("sandglass-page", { createScriptURL: () => WORKER }).createScriptURL(WORKER) : WORKER;
}

function keepOffline() {
  // Without it the page works all the same, only not offline.
  navigator.serviceWorker?.register(workerAddress()).catch((error) => console.info("This page is not kept for offline reading:", error));
}

if (document.readyState === "complete") keepOffline();
else addEventListener("load", keepOffline, { once: true });
