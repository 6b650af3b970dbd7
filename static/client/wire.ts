// The border: what comes out of a preview is parsed here before anything reads it.
//
// A preview runs hostile code. A message that isn't exactly of the protocol's
// shape, or that nests too deep or holds too many nodes, is dropped whole.

import { VERSION, type ClientMessage, type PreviewMessage } from "./protocol";

type Check = (value: unknown) => boolean;
type Shape = Record<string, Check>;

// A console value is cut by the runtime at depth 4 and 2,000 nodes; code that
// forges messages must not make a reader recurse without bound.
const MAX_DEPTH = 16;
const MAX_NODES = 20_000;
const MAX_TEXT = 1 << 20;
const MAX_ITEMS = 10_000;

const text: Check = (value) => typeof value === "string" && value.length <= MAX_TEXT;
const count: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const optional = (check: Check): Check => (value) => value === undefined || value === null || check(value);
const oneOf = (...words: string[]): Check => (value) => words.includes(value as string);
const many = (check: Check): Check => (value) => Array.isArray(value) && value.length <= MAX_ITEMS && value.every(check);
const shape = (fields: Shape): Check => (value) =>
  typeof value === "object" && value !== null &&
  Object.entries(fields).every(([key, check]) => check((value as Record<string, unknown>)[key]));

const frame = shape({ function: text, file: text, line: count, column: count });
const diagnostic = shape({
  severity: oneOf("error", "warning"),
  message: text,
  file: text,
  line: count,
  column: count,
  codeFrame: text,
  remedy: text,
});

const leaf: Record<string, Check> = {
  string: shape({ text }),
  atom: shape({ typeName: text, text }),
  error: shape({ text }),
  cut: shape({ text }),
};

/** A console value of bounded depth and size. */
export function isConsoleValue(value: unknown): boolean {
  let nodes = 0;
  const walk = (node: unknown, depth: number): boolean => {
    if (++nodes > MAX_NODES || depth > MAX_DEPTH || typeof node !== "object" || node === null) return false;
    const { kind, name, items, entries, more } = node as Record<string, unknown>;
    if (kind === "list") {
      return text(name) && count(more) && Array.isArray(items) && items.every((item) => walk(item, depth + 1));
    }
    if (kind === "object") {
      return text(name) && count(more) && Array.isArray(entries) &&
        entries.every((entry) => Array.isArray(entry) && text(entry[0]) && walk(entry[1], depth + 1));
    }
    return typeof kind === "string" && Object.hasOwn(leaf, kind) && leaf[kind]!(node);
  };
  return walk(value, 0);
}

const messages: Record<PreviewMessage["type"], Check> = {
  reply: shape({ error: optional(text) }),
  mode: shape({ mode: oneOf("worker", "fallback"), reason: optional(text) }),
  progress: shape({ text, done: count, total: count }),
  ready: shape({ revision: count }),
  updated: shape({ revision: count, how: oneOf("hot", "style", "reload"), paths: many(text) }),
  diagnostics: shape({ revision: count, diagnostics: many(diagnostic) }),
  console: shape({
    level: oneOf("debug", "log", "info", "warn", "error", "clear"),
    args: many(isConsoleValue),
    at: optional(frame),
  }),
  error: shape({ message: text, frames: many(frame), codeFrame: optional(text) }),
  lock: shape({ lock: (value) => typeof value === "string" }),
  location: shape({ path: text }),
  alive: () => true,
  lost: () => true,
};

/** A message and, on a reply, the request that it answers. */
export interface Incoming {
  id: number | undefined;
  message: PreviewMessage;
}

/** Reads one message; undefined when it isn't one of ours. */
export function parse(data: unknown): Incoming | undefined {
  if (typeof data !== "object" || data === null) return undefined;
  const { sandglass, id, type } = data as Record<string, unknown>;
  if (sandglass !== VERSION || typeof type !== "string" || !Object.hasOwn(messages, type)) return undefined;
  if (id !== undefined && id !== null && !count(id)) return undefined;
  if (!messages[type as PreviewMessage["type"]](data)) return undefined;
  return { id: (id as number | null) ?? undefined, message: data as PreviewMessage };
}

/** Wraps a message for the port. */
export function envelope(message: ClientMessage, id: number): object {
  return { sandglass: VERSION, id, ...message };
}
