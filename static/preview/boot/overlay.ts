// The error overlay: what is wrong, where, and what to do about it.
//
// It lies over the user's document, in the boot page: there even when the
// first build fails, and out of reach of the document's styles. Build problems
// go when a build has none; run-time errors go with the next update.

import type { Diagnostic, Frame } from "../../client/protocol";
import { OVERLAY_CSS } from "./overlay-style";

/** A run-time error with its places mapped. */
export interface ShownFault {
  message: string;
  frames: Frame[];
  codeFrame?: string | null | undefined;
}

// The tenth error rarely says more than the first.
const MAX_SHOWN = 10;

/** The overlay of a preview. */
export class Overlay {
  #problems: Diagnostic[] = [];
  #faults: ShownFault[] = [];
  #element: HTMLElement | undefined;

  constructor() {
    window.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.dismiss();
    });
  }

  /** Shows the errors of a build; an empty list says that they are repaired. */
  setProblems(diagnostics: Diagnostic[]): void {
    const errors = diagnostics.filter(({ severity }) => severity === "error");
    if (!errors.length && !this.#problems.length) return;
    this.#problems = errors;
    this.#draw();
  }

  /** Shows an uncaught error. */
  addFault(fault: ShownFault): void {
    if (this.#faults.length < MAX_SHOWN) this.#faults.push(fault);
    this.#draw();
  }

  /** Run-time errors are those of code that is being replaced. */
  clearFaults(): void {
    if (!this.#faults.length) return;
    this.#faults = [];
    this.#draw();
  }

  /** Hides what is shown now. */
  dismiss(): void {
    this.#problems = this.#faults = [];
    this.#draw();
  }

  #draw(): void {
    const articles = [
      ...this.#problems.slice(0, MAX_SHOWN).map(problemArticle),
      ...(this.#problems.length ? [] : this.#faults.map(faultArticle)),
    ];
    if (!articles.length) {
      this.#element?.remove();
      this.#element = undefined;
      return;
    }
    const title = this.#problems.length ? "The build failed" : "An error was not caught";
    const more = this.#problems.length > MAX_SHOWN ? `${this.#problems.length - MAX_SHOWN} more problems` : "";
    this.#panel().replaceChildren(this.#header(title), ...articles, footer(more));
  }

  #panel(): HTMLElement {
    if (this.#element) return this.#element.shadowRoot!.querySelector<HTMLElement>(".panel")!;
    const host = (this.#element = document.createElement("sandglass-overlay"));
    const shadow = host.attachShadow({ mode: "open" });
    const style = document.createElement("style");
    style.textContent = OVERLAY_CSS;
    // An alert is read out without taking the focus from the editor.
    const panel = h("div", { class: "panel", role: "alert", "aria-atomic": "true" });
    shadow.append(style, h("div", { role: "alertdialog", "aria-label": "Errors of the preview" }, panel));
    document.body.append(host);
    return panel;
  }

  #header(title: string): HTMLElement {
    const close = h("button", { type: "button" }, "Dismiss");
    close.onclick = () => this.dismiss();
    return h("header", {}, h("h1", {}, title), close);
  }
}

function problemArticle({ message, file, line, column, codeFrame, remedy }: Diagnostic): HTMLElement {
  const place = file && (line ? `${file}:${line}${column ? `:${column}` : ""}` : file);
  return h("article", {}, h("p", { class: "message" }, message),
    ...(place ? [h("p", { class: "place" }, place)] : []),
    ...(codeFrame ? [h("pre", { tabindex: "0" }, codeFrame)] : []),
    ...(remedy ? [h("p", { class: "remedy" }, remedy)] : []));
}

function faultArticle({ message, frames, codeFrame }: ShownFault): HTMLElement {
  // A framework's frames are seldom what is wrong.
  const own = frames.find(({ file }) => file.startsWith("/") && !file.startsWith("/node_modules/")) ?? frames[0];
  const lines = frames.map((frame) => `${frame.function || "(anonymous)"}  ${placeOf(frame)}`);
  return h("article", {}, h("p", { class: "message" }, message),
    ...(own ? [h("p", { class: "place" }, placeOf(own))] : []),
    ...(codeFrame ? [h("pre", { tabindex: "0" }, codeFrame)] : []),
    ...(lines.length > 1 ? [h("details", {}, h("summary", {}, "Stack"), h("pre", { tabindex: "0" }, lines.join("\n")))] : []));
}

function placeOf({ file, line, column }: Frame): string {
  return `${file}:${line}:${column}`;
}

function footer(more: string): HTMLElement {
  return h("footer", {}, ...(more ? [`${more}. `] : []), "Repair the code and this goes away. ", h("kbd", {}, "Esc"), " hides it.");
}

function h(name: string, attributes: Record<string, string>, ...children: (Node | string)[]): HTMLElement {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
