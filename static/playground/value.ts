// One console value as a tree that opens on demand.

import type { ConsoleValue } from "../client/protocol";
import { h, icon } from "./dom";

type Branch = Extract<ConsoleValue, { kind: "list" | "object" }>;

// A closed branch shows this many of its entries.
const PREVIEWED = 5;

/** A value in one line, as text. */
export function readable(value: ConsoleValue): string {
  if (value.kind === "list") return `${value.name} [${some(value.items.map(readable), value.more)}]`;
  if (value.kind === "object") {
    const entries = value.entries.map(([key, entry]) => `${key}: ${readable(entry)}`);
    return `${value.name === "Object" ? "" : `${value.name} `}{${some(entries, value.more)}}`;
  }
  return value.text;
}

function some(parts: string[], more: number): string {
  const cut = parts.length > PREVIEWED || more > 0;
  return parts.slice(0, PREVIEWED).join(", ") + (cut ? ", …" : "");
}

/** A value as elements. Text stands for itself at the top and in quotes below. */
export function renderValue(value: ConsoleValue, nested = false): HTMLElement {
  if (value.kind === "list" || value.kind === "object") return renderBranch(value);
  const text = value.kind === "string" && nested ? JSON.stringify(value.text) : value.text;
  const type = value.kind === "atom" ? value.typeName : value.kind === "string" && !nested ? "plain" : value.kind;
  return h("span", { class: "value", "data-type": type }, text);
}

function renderBranch(value: Branch): HTMLElement {
  const children = h("ul", { class: "branch", hidden: true });
  const button = h("button", { type: "button", class: "summary", "aria-expanded": "false", onclick: () => {
    if (!children.childElementCount) children.append(...entries(value));
    children.hidden = !children.hidden;
    button.setAttribute("aria-expanded", String(!children.hidden));
  } }, icon("chevron"), shorten(readable(value)));
  return h("span", { class: "tree" }, button, children);
}

function entries(value: Branch): HTMLElement[] {
  const pairs = value.kind === "list" ? value.items.map((item, index): [string, ConsoleValue] => [String(index), item]) : value.entries;
  const rows = pairs.map(([key, entry]) => h("li", {}, h("span", { class: "key" }, key), ": ", renderValue(entry, true)));
  if (value.more) rows.push(h("li", { class: "muted" }, `… ${value.more} more`));
  return rows;
}

function shorten(text: string): string {
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}
