// The strip that says what is wrong and where: the first problem of the build,
// or else the last error that the document threw. It takes its room from the
// far end of its pane, so the text that is being written stays where it is.

import type { PreviewEvents } from "../client/preview";
import type { Diagnostic } from "../client/protocol";
import { h, icon } from "./dom";
import type { Session } from "./session";

type GoTo = (file: string, line: number, column: number) => void;

/** What the strip shows. */
interface Problem {
  message: string;
  remedy: string;
  file: string;
  line: number;
  column: number;
}

/** Adds the strip to a pane. */
export function showProblems(session: Session, pane: HTMLElement, goTo: GoTo): void {
  // The status line reads problems out; a second voice would only repeat it.
  const strip = h("div", { class: "problems", part: "problems", hidden: true });
  pane.append(strip);
  let thrown: Problem | undefined;
  let built: Problem[] = [];
  const draw = () => {
    const first = built[0] ?? thrown;
    strip.hidden = first === undefined;
    if (first) strip.replaceChildren(...content(session, first, built.length - 1, goTo));
  };
  const forget = () => {
    thrown = undefined;
    draw();
  };
  session.events.on("diagnostics", ({ diagnostics }) => {
    built = diagnostics.filter(({ severity }) => severity === "error").map(fromDiagnostic);
    if (built.length) thrown = undefined;
    draw();
  });
  session.events.on("error", (event) => {
    thrown = fromError(event, session);
    draw();
  });
  session.events.on("updated", forget);
  session.events.on("stopped", forget);
}

function fromDiagnostic({ message, remedy, file, line, column }: Diagnostic): Problem {
  return { message, remedy, file, line, column };
}

function fromError({ message, frames }: PreviewEvents["error"], session: Session): Problem {
  const own = frames.find((frame) => frame.file in session.files());
  return { message, remedy: "", file: own?.file ?? "", line: own?.line ?? 0, column: own?.column ?? 0 };
}

function content(session: Session, problem: Problem, more: number, goTo: GoTo): HTMLElement[] {
  const { file, line, column, message, remedy } = problem;
  const text = h("span", { class: "said" }, message, ...(remedy ? [" ", h("span", { class: "remedy" }, remedy)] : []));
  const parts = [h("span", { class: "sign" }, icon("problem")), text];
  if (more > 0) parts.push(h("span", { class: "more" }, `and ${more} more`));
  if (!file) return parts;
  const place = line > 0 ? `${file}:${line}` : file;
  // A file of a package has no tab to go to.
  const link = file in session.files()
    ? h("button", { type: "button", class: "place", title: `Go to ${place}`, onclick: () => goTo(file, line, column) }, place)
    : h("span", { class: "place" }, place);
  return [parts[0]!, link, ...parts.slice(1)];
}
