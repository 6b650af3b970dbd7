// JavaScript values as a console shows them, cut to what may cross a port.
//
// Getters aren't run: looking at a value mustn't change it.

import type { ConsoleValue } from "../../client/protocol";

const MAX_DEPTH = 4;
const MAX_NODES = 2_000;
const MAX_ITEMS = 100;
const MAX_TEXT = 10_000;

interface Budget {
  nodes: number;
  /** What the value is inside of. */
  open: object[];
}

/** All arguments of one console call share one budget. */
export function consoleValues(values: readonly unknown[]): ConsoleValue[] {
  const budget: Budget = { nodes: MAX_NODES, open: [] };
  return values.map((value) => show(value, budget));
}

/** One value. */
export function consoleValue(value: unknown): ConsoleValue {
  return consoleValues([value])[0]!;
}

/** Text, cut at a limit. */
export function cutText(text: string, limit = MAX_TEXT): string {
  return text.length > limit ? `${text.slice(0, limit)}… (${text.length - limit} more)` : text;
}

function show(value: unknown, budget: Budget): ConsoleValue {
  budget.nodes--;
  if (typeof value === "string") return { kind: "string", text: cutText(value) };
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return atom(value === null ? "null" : typeof value, primitive(value));
  try {
    return showObject(value, budget);
  } catch {
    // A proxy whose traps throw, or a revoked one.
    return { kind: "cut", text: "[Unreadable]" };
  }
}

function atom(typeName: string, text: string): ConsoleValue {
  return { kind: "atom", typeName, text: cutText(text) };
}

function primitive(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  return Object.is(value, -0) ? "-0" : String(value);
}

function showObject(value: object, budget: Budget): ConsoleValue {
  if (typeof value === "function") return atom("function", functionText(value as () => unknown));
  if (isError(value)) return { kind: "error", text: cutText(errorText(value)) };
  const simple = simpleText(value);
  if (simple) return atom(simple[0], simple[1]);
  const items = listItems(value);
  const name = constructorName(value) ?? (items ? "Array" : "Object");
  if (budget.open.includes(value)) return { kind: "cut", text: "[Circular]" };
  if (budget.open.length >= MAX_DEPTH || budget.nodes <= 0) return { kind: "cut", text: items ? `[…]` : name === "Object" ? "{…}" : `${name} {…}` };
  budget.open.push(value);
  try {
    if (items) return showList(`${name}(${items.size})`, items, budget);
    return showEntries(value, name, budget);
  } finally {
    budget.open.pop();
  }
}

/** Values that read as one word. */
function simpleText(value: object): [string, string] | undefined {
  if (value instanceof Date) return ["date", Number.isNaN(Date.prototype.getTime.call(value)) ? "Invalid Date" : Date.prototype.toISOString.call(value)];
  if (value instanceof RegExp) return ["regexp", RegExp.prototype.toString.call(value)];
  if (typeof Window !== "undefined" && value instanceof Window) return ["object", "Window"];
  if (typeof Node !== "undefined" && value instanceof Node) return ["element", nodeText(value)];
  for (const boxed of [Number, String, Boolean]) if (value instanceof boxed) return ["object", `[${boxed.name}: ${String(value.valueOf())}]`];
  return undefined;
}

function nodeText(node: Node): string {
  if (node instanceof Element) {
    const attributes = Array.from(node.attributes, ({ name, value }) => ` ${name}="${value}"`).join("");
    return cutText(`<${node.localName}${attributes}>`, 300);
  }
  return node instanceof CharacterData ? `${node.nodeName} ${JSON.stringify(cutText(node.data, 200))}` : node.nodeName;
}

interface Items {
  size: number;
  first(count: number): Iterable<unknown>;
}

function listItems(value: object): Items | undefined {
  if (Array.isArray(value)) return { size: value.length, first: (count) => arrayItems(value, count) };
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    const array = value as Uint8Array;
    return { size: array.length, first: (count) => Array.prototype.slice.call(array, 0, count) };
  }
  if (value instanceof Set) return { size: value.size, first: (count) => take(Set.prototype.values.call(value), count) };
  if (typeof NodeList !== "undefined" && (value instanceof NodeList || value instanceof HTMLCollection)) {
    return { size: value.length, first: (count) => Array.prototype.slice.call(value, 0, count) };
  }
  return undefined;
}

const GETTER = Symbol();

function arrayItems(array: unknown[], count: number): unknown[] {
  return Array.from({ length: Math.min(count, array.length) }, (_, index) => ownValue(array, String(index)));
}

/** An own property without running a getter. */
function ownValue(object: object, key: PropertyKey): unknown {
  const found = Object.getOwnPropertyDescriptor(object, key);
  return found && !("value" in found) ? GETTER : found?.value;
}

function* take<T>(iterable: Iterable<T>, count: number): Iterable<T> {
  for (const item of iterable) {
    if (count-- <= 0) return;
    yield item;
  }
}

function showList(name: string, items: Items, budget: Budget): ConsoleValue {
  const shown: ConsoleValue[] = [];
  for (const item of items.first(MAX_ITEMS)) {
    if (budget.nodes <= 0) break;
    shown.push(showMember(item, budget));
  }
  return { kind: "list", name, items: shown, more: items.size - shown.length };
}

function showMember(value: unknown, budget: Budget): ConsoleValue {
  if (value !== GETTER) return show(value, budget);
  budget.nodes--;
  return { kind: "cut", text: "(…)" };
}

function showEntries(value: object, name: string, budget: Budget): ConsoleValue {
  const isMap = value instanceof Map;
  const size = isMap ? value.size : 0;
  const pairs = isMap ? take(Map.prototype.entries.call(value), MAX_ITEMS) : ownPairs(value);
  const entries: [string, ConsoleValue][] = [];
  for (const [key, member] of pairs) {
    if (budget.nodes <= 0 || entries.length >= MAX_ITEMS) break;
    entries.push([cutText(isMap ? keyText(key) : String(key), 300), showMember(member, budget)]);
  }
  const total = isMap ? size : Object.keys(value).length + symbolsOf(value).length;
  return { kind: "object", name: isMap ? `${name}(${size})` : name, entries, more: Math.max(0, total - entries.length) };
}

function* ownPairs(value: object): Iterable<[unknown, unknown]> {
  for (const key of [...Object.keys(value), ...symbolsOf(value)]) yield [key, ownValue(value, key)];
}

function symbolsOf(value: object): symbol[] {
  return Object.getOwnPropertySymbols(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));
}

function keyText(key: unknown): string {
  if (typeof key === "string") return JSON.stringify(key);
  if (typeof key === "object" && key !== null) return constructorName(key) ?? "Object";
  return typeof key === "function" ? functionText(key as () => unknown) : primitive(key);
}

function constructorName(value: object): string | undefined {
  for (let prototype: object | null = Object.getPrototypeOf(value) as object | null; prototype; prototype = Object.getPrototypeOf(prototype) as object | null) {
    const maker = ownValue(prototype, "constructor");
    if (typeof maker !== "function") continue;
    const name = ownValue(maker, "name");
    return typeof name === "string" && name ? cutText(name, 100) : undefined;
  }
  return undefined;
}

function functionText(value: () => unknown): string {
  const name = ownValue(value, "name");
  const shown = typeof name === "string" && name ? name : "(anonymous)";
  return /^class\b/.test(Function.prototype.toString.call(value)) ? `class ${shown}` : `ƒ ${shown}()`;
}

/** Errors of other realms too: an iframe's aren't instances of ours. */
export function isError(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";
}

function errorText(error: Error): string {
  const headline = errorHeadline(error);
  const stack = typeof error.stack === "string" ? error.stack : "";
  // Firefox's and Safari's stacks leave the message out.
  return !stack ? headline : stack.includes(error.message) ? stack : `${headline}\n${stack}`;
}

/** `TypeError: x is not a function`, with the causes below. */
export function errorHeadline(error: Error): string {
  const lines: string[] = [];
  for (let each: unknown = error; isError(each) && lines.length < 5; each = each.cause) {
    const text = each.message ? `${each.name}: ${each.message}` : each.name;
    lines.push(lines.length ? `Caused by ${text}` : text);
  }
  return lines.join("\n");
}
