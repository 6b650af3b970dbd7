// Uncaught errors and rejections, with their stacks as frames.

import type { Frame } from "../../client/protocol";
import { parseStack } from "./stack";
import { consoleValue, cutText, errorHeadline, isError } from "./value";

/** An error on its way to the boot page; its frames aren't mapped yet. */
export interface Fault {
  message: string;
  frames: Frame[];
}

/** Watches a window; returns a function that takes errors which never became uncaught. */
export function watchErrors(target: Window, own: string, send: (fault: Fault) => void): (error: unknown) => void {
  const seen = new WeakSet();
  const report = (error: unknown, place?: Frame) => {
    // One error may surface on several ways: a module's is that of all its importers.
    if (typeof error === "object" && error !== null) {
      if (seen.has(error)) return;
      seen.add(error);
    }
    const frames = (isError(error) ? parseStack(String(error.stack ?? "")) : []).filter(({ file }) => file !== own);
    send({ message: cutText(headline(error)), frames: frames.length || !place ? frames : [place] });
  };
  target.addEventListener("error", (event) => {
    if (event.target !== target) return;
    const { filename: file, lineno: line, colno: column, message } = event;
    report(event.error ?? message, file ? { function: "", file, line, column } : undefined);
  }, true);
  target.addEventListener("unhandledrejection", (event) => report(event.reason));
  // As if it had been thrown where nobody catches: developer tools and `window.onerror` hear of it too.
  return (error) => reportError(error);
}

function headline(error: unknown): string {
  if (isError(error)) return errorHeadline(error);
  if (typeof error === "string") return error;
  const value = consoleValue(error);
  return "text" in value ? value.text : `${value.name} was thrown`;
}
