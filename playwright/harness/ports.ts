// Ports and plain HTTP servers of the tests, on loopback only.

import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** A server of ours that listens. */
export interface Listening {
  port: number;
  close(): Promise<void>;
}

/** Listens on a free port, or on the given one. */
export async function listen(handler: RequestListener, port = 0): Promise<Listening> {
  const server = createServer(handler);
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((done, fail) => server.once("error", fail).listen(port, "127.0.0.1", done));
  return { port: portOf(server), close: () => end(server, sockets) };
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const taken = await listen(() => {});
  await taken.close();
  return taken.port;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** Connections that are kept open must not keep the test open. */
function end(server: Server, sockets: Set<Socket>): Promise<void> {
  return new Promise((done) => {
    server.close(() => done());
    for (const socket of sockets) socket.destroy();
  });
}
