// What passes between the user's document and the boot page, and its checks.
//
// The document runs code that nobody vouches for. The boot page takes from it
// only what has exactly one of these shapes, and gives it nothing but words.

import { isConsoleValue } from "../client/wire";
import type { ConsoleLevel, ConsoleValue, Frame, UpdateKind } from "../client/protocol";
import type { Patch } from "./hot/update";

/** Document → boot page. */
export type FromDocument =
  | { type: "ready"; revision: number }
  | { type: "updated"; revision: number; how: UpdateKind; paths: string[] }
  | { type: "reload"; revision: number; reason: string }
  | { type: "console"; level: ConsoleLevel; args: ConsoleValue[]; at?: Frame }
  | { type: "error"; message: string; frames: Frame[] }
  | { type: "alive" }
  | { type: "location"; path: string }
  | { type: "value"; id: number; value?: ConsoleValue; error?: string }
  | { type: "chunk"; id: number; entry: string }
  | { type: "fetch"; id: number; path: string }
  | { type: "escape" };

/** Boot page → document. */
export type ToDocument =
  | { type: "patch"; patch: Patch }
  | { type: "revision"; revision: number }
  | { type: "evaluate"; id: number; code: string }
  /** Answers `chunk` and `fetch`. */
  | { type: "answer"; id: number; value?: unknown; error?: string };

type Check = (value: unknown) => boolean;

const MAX_TEXT = 1 << 16;
const MAX_ITEMS = 10_000;

const text: Check = (value) => typeof value === "string" && value.length <= MAX_TEXT;
const count: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const optional = (check: Check): Check => (value) => value === undefined || check(value);
const oneOf = (...words: string[]): Check => (value) => words.includes(value as string);
const many = (check: Check): Check => (value) => Array.isArray(value) && value.length <= MAX_ITEMS && value.every(check);
const shape = (fields: Record<string, Check>): Check => (value) =>
  typeof value === "object" && value !== null && Object.entries(fields).every(([key, check]) => check((value as Record<string, unknown>)[key]));

const frame = shape({ function: text, file: text, line: count, column: count });

const fromDocument: Record<FromDocument["type"], Check> = {
  ready: shape({ revision: count }),
  updated: shape({ revision: count, how: oneOf("hot", "style", "reload"), paths: many(text) }),
  reload: shape({ revision: count, reason: text }),
  console: shape({ level: oneOf("debug", "log", "info", "warn", "error", "clear"), args: many(isConsoleValue), at: optional(frame) }),
  error: shape({ message: text, frames: many(frame) }),
  alive: () => true,
  location: shape({ path: text }),
  value: shape({ id: count, value: optional(isConsoleValue), error: optional(text) }),
  chunk: shape({ id: count, entry: text }),
  fetch: shape({ id: count, path: text }),
  escape: () => true,
};

/** Reads a message of the document; undefined when it isn't one. */
export function parseFromDocument(data: unknown): FromDocument | undefined {
  if (typeof data !== "object" || data === null) return undefined;
  const { type } = data as { type?: unknown };
  if (typeof type !== "string" || !Object.hasOwn(fromDocument, type)) return undefined;
  return fromDocument[type as FromDocument["type"]](data) ? (data as FromDocument) : undefined;
}
