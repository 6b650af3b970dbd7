// The border to the host page: its messages are checked before anything reads them.

import { VERSION, type ClientMessage } from "../../client/protocol";

type Check = (value: unknown) => boolean;

// As in `sw/src/wire.rs`: more than this in one message is a mistake or an attack.
const MAX_BYTES = 512 * 1024 * 1024;
const MAX_PATH = 4_096;
const MAX_FILES = 100_000;
const MAX_CODE = 1 << 20;

const path: Check = (value) => typeof value === "string" && value.length <= MAX_PATH;
const optional = (check: Check): Check => (value) => value === undefined || value === null || check(value);
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

function files(value: unknown, removals: boolean): boolean {
  if (!isObject(value)) return false;
  const entries = Object.entries(value);
  if (entries.length > MAX_FILES) return false;
  let bytes = 0;
  return entries.every(([name, content]) => {
    if (content === null) return removals && path(name);
    if (typeof content !== "string" && !(content instanceof Uint8Array)) return false;
    bytes += content.length;
    return bytes <= MAX_BYTES && path(name);
  });
}

const text = (limit: number): Check => (value) => typeof value === "string" && value.length <= limit;

const messages: Record<ClientMessage["type"], (message: Record<string, unknown>) => boolean> = {
  mount: ({ project }) => isObject(project) && files(project["files"], false) && optional(path)(project["entry"]) && optional(text(MAX_BYTES))(project["lock"]),
  write: ({ files: changes }) => files(changes, true),
  rename: ({ from, to }) => path(from) && path(to),
  readFile: (message) => path(message["path"]),
  list: () => true,
  reload: (message) => optional(path)(message["path"]),
  stop: () => true,
  evaluate: ({ code }) => text(MAX_CODE)(code),
};

/** Reads a message of the host page; undefined when it isn't one. */
export function parseClientMessage(data: unknown): ClientMessage | undefined {
  if (!isObject(data) || data["sandglass"] !== VERSION) return undefined;
  const { type, id } = data;
  if (id !== undefined && !Number.isSafeInteger(id)) return undefined;
  if (typeof type !== "string" || !Object.hasOwn(messages, type)) return undefined;
  return messages[type as ClientMessage["type"]](data) ? (data as ClientMessage) : undefined;
}
