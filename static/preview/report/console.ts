// Forwards console calls. Developer tools still see each call.

import type { ConsoleLevel, ConsoleValue, Frame } from "../../client/protocol";
import { parseStack } from "./stack";
import { consoleValues } from "./value";

/** A call on its way to the boot page; `at` isn't mapped yet. */
export interface ConsoleCall {
  level: ConsoleLevel;
  args: ConsoleValue[];
  at?: Frame;
}

// A log in a hot loop mustn't flood two pages.
const MAX_PER_SECOND = 500;

const LEVELS: Record<string, ConsoleLevel> = {
  debug: "debug",
  log: "log",
  info: "info",
  warn: "warn",
  error: "error",
  dir: "log",
  dirxml: "log",
  table: "log",
  group: "log",
  groupCollapsed: "log",
  trace: "error",
};

/** Wraps the methods of `target`; `own` is where our script is, whose frames are skipped. */
export function forwardConsole(target: Console, own: string, send: (call: ConsoleCall) => void): void {
  const methods = target as unknown as Record<string, (...args: unknown[]) => unknown>;
  const limited = limit(send);
  const wrap = (name: string, forward: (args: unknown[]) => void) => {
    const original = methods[name];
    if (typeof original !== "function") return;
    methods[name] = { [name](...args: unknown[]) {
      try {
        forward(args);
      } catch {
        // Showing a value is no reason to fail.
      }
      return original.apply(target, args);
    } }[name]!;
  };
  const say = (level: ConsoleLevel, args: unknown[]) => {
    const at = callSite(own);
    limited(at ? { level, args: consoleValues(args), at } : { level, args: consoleValues(args) });
  };
  for (const [name, level] of Object.entries(LEVELS)) wrap(name, (args) => say(level, name === "table" ? args.slice(0, 1) : format(args)));
  wrap("assert", ([condition, ...args]) => condition || say("error", args.length ? ["Assertion failed:", ...format(args)] : ["Assertion failed"]));
  wrap("clear", () => limited({ level: "clear", args: [] }));
  wrapCounters(wrap, say);
}

function wrapCounters(wrap: (name: string, forward: (args: unknown[]) => void) => void, say: (level: ConsoleLevel, args: unknown[]) => void): void {
  const counts = new Map<string, number>();
  const timers = new Map<string, number>();
  const label = (args: unknown[]) => String(args[0] ?? "default");
  const elapsed = (args: unknown[]) => {
    const start = timers.get(label(args));
    if (start !== undefined) say("log", [`${label(args)}: ${(performance.now() - start).toFixed(2)} ms`, ...args.slice(1)]);
  };
  wrap("count", (args) => {
    const count = (counts.get(label(args)) ?? 0) + 1;
    counts.set(label(args), count);
    say("log", [`${label(args)}: ${count}`]);
  });
  wrap("countReset", (args) => void counts.delete(label(args)));
  wrap("time", (args) => void timers.set(label(args), performance.now()));
  wrap("timeLog", elapsed);
  wrap("timeEnd", (args) => {
    elapsed(args.slice(0, 1));
    timers.delete(label(args));
  });
}

function limit(send: (call: ConsoleCall) => void): (call: ConsoleCall) => void {
  let since = 0;
  let sent = 0;
  return (call) => {
    const now = performance.now();
    if (now - since > 1_000) {
      since = now;
      sent = 0;
    }
    if (++sent <= MAX_PER_SECOND) return send(call);
    if (sent === MAX_PER_SECOND + 1) send({ level: "warn", args: [{ kind: "string", text: "Too many messages: the rest of this second is left out." }] });
  };
}

/** The innermost frame that isn't ours. */
function callSite(own: string): Frame | undefined {
  return parseStack(new Error().stack ?? "").find(({ file }) => file !== own);
}

/** Puts arguments in the place of `%s`, `%d` and the like. */
export function format(args: unknown[]): unknown[] {
  const [first, ...rest] = args;
  if (typeof first !== "string" || !rest.length || !first.includes("%")) return args;
  const objects: unknown[] = [];
  const text = first.replace(/%([sdifoOc%])/g, (whole, kind: string) => {
    if (kind === "%") return "%";
    if (!rest.length) return whole;
    const value = rest.shift();
    switch (kind) {
      case "c":
        return "";
      case "d":
      case "i":
        return typeof value === "symbol" ? "NaN" : typeof value === "bigint" ? `${value}n` : String(Number.parseInt(String(value), 10));
      case "f":
        return typeof value === "symbol" ? "NaN" : String(Number.parseFloat(String(value)));
      default:
        if (kind === "s" && (typeof value !== "object" || value === null)) return String(value);
        objects.push(value);
        return "";
    }
  });
  return [text.trim(), ...objects, ...rest];
}
