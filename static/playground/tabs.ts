// The open files: a tab list with a roving tab stop.

import { h } from "./dom";
import type { Session } from "./session";

let count = 0;

/** Tabs of one playground. `selected` is called with each newly shown path. */
export class Tabs {
  readonly element = h("div", { class: "tabs", role: "tablist", "aria-label": "Files" });
  /** The path that is shown. */
  active: string;
  #paths: string[];
  readonly #prefix = `sg${++count}`;

  constructor(private readonly session: Session, private readonly selected: (path: string) => void) {
    this.#paths = this.#shown();
    this.active = this.#paths[0] ?? "";
    this.element.addEventListener("keydown", (event) => this.#key(event));
    const { code } = session.panes;
    code.id = `${this.#prefix}-panel`;
    code.setAttribute("role", "tabpanel");
    this.#draw();
    session.events.on("diagnostics", () => this.#markProblems());
  }

  /** Shows a file; one without a tab gets one. */
  select(path: string): void {
    if (!this.#paths.includes(path)) this.#paths.push(path);
    if (path !== this.active) this.active = path;
    this.#draw();
    this.selected(path);
  }

  /** A file has another name. */
  rename(from: string, to: string): void {
    this.#paths = this.#paths.map((path) => (path === from ? to : path));
    this.select(this.active === from ? to : this.active);
  }

  /** A file is gone. */
  remove(path: string): void {
    const at = this.#paths.indexOf(path);
    this.#paths = this.#paths.filter((other) => other !== path);
    this.select(this.#paths[Math.min(at, this.#paths.length - 1)] ?? "");
  }

  /** The author's tabs again. */
  reset(): void {
    this.#paths = this.#shown();
    this.select(this.#paths.includes(this.active) ? this.active : (this.#paths[0] ?? ""));
  }

  #shown(): string[] {
    const files = this.session.files();
    const added = Object.keys(files).filter((path) => !(path in this.session.source.files));
    return [...this.session.source.open, ...added].filter((path) => typeof files[path] === "string");
  }

  #draw(): void {
    const focused = this.element.contains(this.session.shadow.activeElement);
    this.element.replaceChildren(...this.#paths.map((path, index) => this.#tab(path, index)));
    const current = this.element.querySelector<HTMLElement>('[aria-selected="true"]');
    this.#markProblems();
    if (current) this.session.panes.code.setAttribute("aria-labelledby", current.id);
    if (focused) current?.focus();
    if (current) this.element.scrollLeft = Math.max(0, current.offsetLeft - this.element.offsetLeft - 40);
  }

  #tab(path: string, index: number): HTMLElement {
    const selected = path === this.active;
    const name = path.slice(path.lastIndexOf("/") + 1);
    const twin = this.#paths.some((other) => other !== path && other.endsWith(`/${name}`));
    return h("button", {
      type: "button",
      role: "tab",
      id: `${this.#prefix}-tab-${index}`,
      title: path,
      "data-file": path,
      "aria-selected": selected ? "true" : "false",
      "aria-controls": `${this.#prefix}-panel`,
      tabindex: selected ? 0 : -1,
      onclick: () => this.select(path),
    }, twin ? path.slice(1) : name);
  }

  #key(event: KeyboardEvent): void {
    const rightToLeft = getComputedStyle(this.element).direction === "rtl";
    const at = this.#paths.indexOf(this.active);
    const last = this.#paths.length - 1;
    const step = (by: number) => (at + by + this.#paths.length) % this.#paths.length;
    const to = { ArrowRight: step(rightToLeft ? -1 : 1), ArrowLeft: step(rightToLeft ? 1 : -1), Home: 0, End: last }[event.key];
    const path = to === undefined ? undefined : this.#paths[to];
    if (path === undefined) return;
    event.preventDefault();
    this.select(path);
  }

  /** Marks the tabs of files with errors. */
  #markProblems(): void {
    const errors = this.session.events.problems.filter((problem) => problem.severity === "error");
    const bad = new Set(errors.map((problem) => problem.file));
    for (const tab of this.element.children) tab.classList.toggle("bad", bad.has(tab.getAttribute("data-file") ?? ""));
  }
}
