// The boot page: what a host page frames. It gets a worker, holds the user's
// document in an inner iframe, and relays between the three.

import { openDedicated } from "./boot/dedicated-link";
import { shakeHands, takeNonce } from "./boot/host-port";
import type { Link, LinkEvents } from "./boot/link";
import { holdSandbox } from "./boot/lock";
import { openService } from "./boot/service";
import { Session } from "./boot/session";

const ownScript = new URL((document.currentScript as HTMLScriptElement).src).pathname;

/** A service worker where there can be one. */
async function openLink(events: LinkEvents): Promise<Link> {
  try {
    return await openService(events, ownScript);
  } catch (error) {
    return openDedicated(events, (error as Error).message);
  }
}

/** Whichever worker it will be, it needs the bundler: the first time, that is the longest wait. */
async function fetchAhead(): Promise<void> {
  try {
    if (navigator.serviceWorker.controller) return;
  } catch {
    // No service worker here; the dedicated one fetches the same.
  }
  await (await fetch(ASSETS.wasm)).arrayBuffer();
}

async function main(): Promise<void> {
  if (parent === window) {
    document.body.textContent = "This is the frame of a Sandglass preview. Open the page that shows it.";
    return;
  }
  const nonce = takeNonce();
  fetchAhead().catch(() => {});
  const held = await holdSandbox();
  if (!held) return void shakeHands(nonce, true);
  // The worker starts while the host page answers.
  const events: { now?: LinkEvents } = {};
  const link = openLink({ event: (message) => events.now?.event(message), resumed: async () => (await events.now?.resumed()) ?? false, lost: () => events.now?.lost() });
  link.catch(() => {});
  const adopt = await shakeHands(nonce, false);
  new Session(adopt, (wanted) => {
    events.now = wanted;
    return link;
  });
}

void main();
