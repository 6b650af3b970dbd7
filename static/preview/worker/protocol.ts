// What passes between the boot page and its worker, be it a service worker or a dedicated one.
//
// Both are ours, but code of the user's document can post to a service worker
// as well: what comes is checked for its shape, and can only reach a bundler
// that the user's code is the input of anyway.

/** Boot page → worker, by `postMessage`. */
export type WorkerCall =
  /** With a port: everything else goes over it. */
  | { type: "connect" }
  /** Stay awake; answered with `stranger` by a worker that isn't the one meant. */
  | { type: "keep"; instance: string }
  /** A worker that waits for its turn shall take it: no page of the version before is open. */
  | { type: "activate" };

/** Worker → boot page, over the port. */
export type FromWorker =
  | { type: "hello"; instance: string; boot: string }
  /** A request has arrived; its work may take long. */
  | { type: "ack"; id: number }
  | { type: "reply"; id: number; value?: unknown; error?: string }
  /** Changes up to this request survive a stop. */
  | { type: "kept"; through: number }
  /** The bundler broke down; what was asked won't be answered, and the project is forgotten. */
  | { type: "crashed"; reason: string }
  | { type: "event"; message: WorkerEvent };

/** Boot page → worker, over the port: a message of the engine's, see `sw/src/wire.rs`. */
export interface WorkerRequest {
  id: number;
  message: EngineMessage;
}

/** A message to the engine: a `ClientMessage`, or one of ours. */
export type EngineMessage = { type: string } & Record<string, unknown>;

/** What the engine says by itself: a `PreviewMessage`, or what to do with a build. */
export type WorkerEvent = { type: string } & Record<string, unknown>;

/** Reads a request; undefined when it isn't one. */
export function parseRequest(data: unknown): WorkerRequest | undefined {
  if (typeof data !== "object" || data === null) return undefined;
  const { id, message } = data as Record<string, unknown>;
  if (!Number.isSafeInteger(id) || typeof message !== "object" || message === null) return undefined;
  return typeof (message as { type?: unknown }).type === "string" ? (data as WorkerRequest) : undefined;
}
