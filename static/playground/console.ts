// The console: what the document logged, newest last.

import type { ConsoleLevel, Frame } from "../client/protocol";
import type { PreviewEvents } from "../client/preview";
import { h, icon, iconButton } from "./dom";
import type { Session } from "./session";
import { readable, renderValue } from "./value";

// A log loop must not fill the page's memory.
const MAX_ROWS = 1_000;

type GoTo = (file: string, line: number, column: number) => void;
type Level = Exclude<ConsoleLevel, "clear">;

interface Row {
  element: HTMLElement;
  badge: HTMLElement;
  key: string;
  times: number;
}

/** The panel below the panes. */
export class ConsolePanel {
  readonly #list = h("ol", { class: "rows", role: "log", "aria-label": "Console output", tabindex: 0 });
  readonly #count = h("span", { class: "count", hidden: true });
  readonly #body = h("div", { class: "console-body" });
  readonly #toggle: HTMLButtonElement;
  #last: Row | undefined;
  #pending: (() => void)[] = [];
  #errors = 0;

  constructor(private readonly session: Session, private readonly goTo: GoTo) {
    this.#toggle = h("button", { type: "button", class: "console-toggle", onclick: () => this.#open(this.#body.hasAttribute("hidden")) },
      icon("chevron"), "Console", this.#count);
    const clear = iconButton("clear", "Clear the console", () => this.#clear());
    this.#body.append(this.#list);
    session.panes.console.replaceChildren(h("div", { class: "console-head" }, this.#toggle, h("span", { class: "gap" }), clear), this.#body);
    this.#open(session.host.getAttribute("console") === "open");
    session.events.on("console", (event) => this.#schedule(() => this.#log(event)));
    session.events.on("error", (event) => this.#schedule(() => this.#error(event)));
    // What a document before said stays, apart from what the new one says.
    session.events.on("updated", ({ how }) => how === "reload" && this.#schedule(() => this.#separate()));
  }

  /** Adds rows once a frame, however many come. */
  #schedule(work: () => void): void {
    this.#pending.push(work);
    if (this.#pending.length > 1) return;
    // A hidden page draws no frames, but its rows must not pile up for ever.
    if (document.visibilityState === "visible") requestAnimationFrame(() => this.#draw());
    else setTimeout(() => this.#draw());
  }

  #draw(): void {
    const work = this.#pending.splice(0);
    const list = this.#list;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 24;
    for (const step of work.slice(-MAX_ROWS)) step();
    while (list.childElementCount > MAX_ROWS) list.firstElementChild!.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
    this.#showCount();
  }

  #log({ level, args, at }: PreviewEvents["console"]): void {
    if (level === "clear") return this.#clear();
    const key = `${level} ${at?.file}:${at?.line}:${at?.column} ${args.map(readable).join(" ")}`;
    if (this.#last?.key === key) return this.#repeat(this.#last);
    const content = h("span", { class: "values" });
    args.forEach((arg, index) => content.append(...(index ? [" "] : []), renderValue(arg)));
    this.#append(level, key, content, at ?? undefined);
  }

  #error({ message, frames }: PreviewEvents["error"]): void {
    const key = `uncaught ${message}`;
    if (this.#last?.key === key) return this.#repeat(this.#last);
    const stack = frames.map((frame) => `\n    at ${frame.function || "(anonymous)"} (${frame.file}:${frame.line}:${frame.column})`).join("");
    const own = frames.find((frame) => frame.file in this.session.files()) ?? frames[0];
    this.#append("error", key, h("span", { class: "values" }, `Uncaught ${message}${stack}`), own);
  }

  #append(level: Level, key: string, content: HTMLElement, at: Frame | undefined): void {
    const badge = h("span", { class: "times", hidden: true });
    const element = h("li", { class: `row ${level}` }, h("span", { class: "level" }, symbol(level)), badge, content);
    if (at) element.append(this.#link(at));
    this.#list.append(element);
    this.#last = { element, badge, key, times: 1 };
    if (level === "error") this.#errors++;
  }

  #repeat(row: Row): void {
    row.times++;
    row.badge.hidden = false;
    row.badge.textContent = String(row.times);
    row.badge.title = `${row.times} times`;
  }

  #separate(): void {
    if (this.#list.childElementCount) this.#list.append(h("li", { class: "row line" }, "reloaded"));
    this.#last = undefined;
  }

  #link(at: Frame): HTMLElement {
    const text = `${at.file.slice(at.file.lastIndexOf("/") + 1)}:${at.line}`;
    const title = `${at.file}:${at.line}:${at.column}`;
    if (!(at.file in this.session.files())) return h("span", { class: "place", title }, text);
    return h("button", { type: "button", class: "place", title, onclick: () => this.goTo(at.file, at.line, at.column) }, text);
  }

  #open(open: boolean): void {
    this.#body.hidden = !open;
    this.#toggle.setAttribute("aria-expanded", String(open));
    if (open) this.#list.scrollTop = this.#list.scrollHeight;
  }

  #clear(): void {
    this.#list.replaceChildren();
    this.#last = undefined;
    this.#errors = 0;
    this.#showCount();
  }

  #showCount(): void {
    const rows = this.#list.childElementCount;
    this.#count.hidden = rows === 0;
    this.#count.textContent = String(rows);
    this.#count.classList.toggle("bad", this.#errors > 0);
  }
}

/** The level in a sign and, for readers of the text alone, in a word. */
function symbol(level: Level): HTMLElement {
  const sign = { debug: "·", log: "›", info: "i", warn: "!", error: "×" }[level];
  return h("span", { role: "img", "aria-label": level }, sign);
}
