// The same engine in a dedicated worker, where no service worker can be had.

import { EngineHost } from "./worker/engine";
import type { WorkerCall } from "./worker/protocol";

const host = new EngineHost({
  mode: "fallback",
  load: () => fetch(ASSETS.wasm),
  texts: async () => {
    const [runtime, refresh] = await Promise.all([scriptText(ASSETS.runtime), scriptText(ASSETS.refresh)]);
    return { runtime, refresh };
  },
  boot: ASSETS.boot,
  built: () => {},
});

// The download runs while the boot page still shakes hands.
host.engine().catch(() => {});

addEventListener("message", (event: MessageEvent) => {
  const call = event.data as WorkerCall | null;
  if (call?.type === "connect" && event.ports[0]) host.attach(event.ports[0]);
});

/** A script as it stands in a document, with the name that stacks show. */
async function scriptText(url: string): Promise<string> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return `${await response.text()}\n//# sourceURL=${url}`;
}
