// Stands in front of our server and counts what it sends: bodies as they are on the wire.

import { request as ask } from "node:http";
import { listen, type Listening } from "../../harness/ports";
import type { Sent } from "./files";

/** A proxy to a port of loopback. `target` is asked for at each request, as the port may not be known before. */
export function countingProxy(target: () => number, sent: Sent[]): Promise<Listening> {
  return listen((request, response) => {
    const { method, url, headers } = request;
    const upstream = ask({ host: "127.0.0.1", port: target(), method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on("data", (chunk: Buffer) => sent.push({ path: url ?? "/", bytes: chunk.length, at: Date.now() }));
      answer.pipe(response);
    });
    upstream.on("error", () => response.writeHead(502).end());
    request.pipe(upstream);
  });
}
