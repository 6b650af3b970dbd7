// The fallback: a dedicated worker of ours.

import type { WorkerCall } from "../worker/protocol";
import { Link, type LinkEvents } from "./link";

/** Starts the dedicated worker. `reason`: why there is no service worker. */
export function openDedicated(events: LinkEvents, reason: string): Link {
  const link = new Link("fallback", reason, events);
  const worker = new Worker(ASSETS.worker);
  const { port1, port2 } = new MessageChannel();
  worker.postMessage({ type: "connect" } satisfies WorkerCall, [port2]);
  link.adopt(port1);
  return link;
}
