// Stacks as text → frames, in the formats of Chromium, Firefox and Safari.

import type { Frame } from "../../client/protocol";

const MAX_FRAMES = 50;
const MAX_NAME = 300;

/** Reads a stack; places without a line number are left out. Innermost first. */
export function parseStack(stack: string): Frame[] {
  const frames: Frame[] = [];
  for (const line of stack.split("\n")) {
    const frame = chromium(line) ?? others(line);
    if (frame) frames.push(frame);
    if (frames.length === MAX_FRAMES) break;
  }
  return frames;
}

/** `    at async Foo.bar (http://x/a.js:1:2)`, `    at http://x/a.js:1:2` */
function chromium(line: string): Frame | undefined {
  const match = /^\s+at (.*)$/.exec(line);
  if (!match) return undefined;
  const call = match[1]!;
  const open = call.lastIndexOf(" (");
  if (open < 0) return placed("", call.replace(/^async /, ""));
  const name = call.slice(0, open);
  // `eval (eval at f (http://x/a.js:1:2), <anonymous>:1:1)`: where eval was called.
  const evaluated = /\(eval at [^(]*\((.*?:\d+:\d+)\)/.exec(call);
  if (evaluated && /<anonymous>:\d+:\d+\)$/.test(call)) return placed("", evaluated[1]!);
  return placed(name, call.slice(open + 2).replace(/\)$/, ""));
}

/** `bar@http://x/a.js:1:2` */
function others(line: string): Frame | undefined {
  const at = line.indexOf("@");
  const name = at < 0 ? "" : line.slice(0, at);
  const place = at < 0 ? line : line.slice(at + 1);
  if (at < 0 && !/^[a-z-]+:\/\/\S+:\d+:\d+$/.test(line)) return undefined;
  // `http://x/a.js line 3 > eval:1:1`: where eval was called.
  const evaluated = /^(.*?) line (\d+) > .*$/.exec(place);
  return evaluated ? placed(name, `${evaluated[1]}:${evaluated[2]}:1`) : placed(name, place);
}

function placed(name: string, place: string): Frame | undefined {
  const match = /^(.+?):(\d+):(\d+)$/.exec(place.trim());
  if (!match || match[1] === "<anonymous>" || match[1] === "native") return undefined;
  return { function: functionName(name), file: match[1]!, line: Number(match[2]), column: Number(match[3]) };
}

/** `async Object.foo [as bar]` → `foo`; what only the linked form shows is nobody's name. */
function functionName(name: string): string {
  const plain = name
    .replace(/^async[ *]/, "")
    .replace(/ \[as .*\]$/, "")
    .replace(/^(Object|Module)\./, "")
    .replace(/^(global|module) code$|^<anonymous>$|^eval$|^factory(\.next)?$|^Generator\.next$/, "")
    .replace(/[/*<]+$/, "");
  return plain.slice(0, MAX_NAME);
}
