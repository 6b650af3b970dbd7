// Adding, renaming and deleting files, and the way back to the original.

import { h, icon, iconButton } from "./dom";
import type { Session } from "./session";
import type { Tabs } from "./tabs";

/** The buttons beside the tabs. */
export function fileMenu(session: Session, tabs: Tabs): HTMLElement[] {
  const add = () => askPath(session, "New file", "Create", folderOf(tabs.active), (path) => {
    session.edit({ [path]: "" });
    tabs.select(path);
  });
  const rename = () => askPath(session, "Rename file", "Rename", tabs.active, (path) => {
    const from = tabs.active;
    session.rename(from, path);
    tabs.rename(from, path);
  });
  const remove = () => confirm(session, `Delete ${tabs.active}?`, "Delete", () => {
    const path = tabs.active;
    session.edit({ [path]: null });
    tabs.remove(path);
  });
  const reset = () => confirm(session, "Discard your edits and show the original example?", "Reset", () => session.reset());
  return [iconButton("add", "New file", add), menu(session, [["Rename…", rename], ["Delete…", remove], ["Reset to original…", reset]])];
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/") + 1) || "/";
}

/** A button that opens a menu; arrow keys move in it, Escape closes it. */
function menu(session: Session, entries: [string, () => void][]): HTMLElement {
  const items = entries.map(([label, act]) => h("button", { type: "button", role: "menuitem", tabindex: -1, onclick: () => {
    close();
    act();
  } }, label));
  const list = h("div", { class: "menu", role: "menu", hidden: true }, ...items);
  const button = h("button", { type: "button", class: "icon", "aria-label": "File actions", title: "File actions", "aria-haspopup": "menu", "aria-expanded": "false", onclick: () => toggle(list.hasAttribute("hidden")) }, icon("more"));
  const toggle = (open: boolean) => {
    list.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    if (open) items[0]!.focus();
  };
  const close = () => {
    toggle(false);
    button.focus();
  };
  list.addEventListener("keydown", (event) => {
    const at = items.indexOf(session.shadow.activeElement as HTMLButtonElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 + items.length, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === "Escape") close();
    else if (to !== undefined) items[to % items.length]!.focus();
    else return;
    event.preventDefault();
  });
  const holder = h("div", { class: "menu-holder" }, button, list);
  holder.addEventListener("focusout", (event) => {
    if (!holder.contains(event.relatedTarget as Node | null)) toggle(false);
  });
  return holder;
}

/** Asks for a free path. */
function askPath(session: Session, title: string, verb: string, start: string, done: (path: string) => void): void {
  const input = h("input", { type: "text", value: start, "aria-label": "Path", spellcheck: "false", autocapitalize: "off", autocomplete: "off" });
  const problem = h("p", { class: "problem", role: "alert" });
  openDialog(session, title, verb, [input, problem], () => {
    const path = input.value.trim().replace(/^(?!\/)/, "/");
    const wrong = path in session.files() ? "There is a file of this name." : session.isPath(path) ? "" : "Write a path like /src/Button.tsx.";
    problem.textContent = wrong;
    if (!wrong) done(path);
    return !wrong;
  });
  input.setSelectionRange(start.lastIndexOf("/") + 1, start.length);
}

function confirm(session: Session, question: string, verb: string, done: () => void): void {
  openDialog(session, question, verb, [], () => {
    done();
    return true;
  });
}

/** A modal dialog; it stays open while `accept` says no. */
function openDialog(session: Session, title: string, verb: string, body: HTMLElement[], accept: () => boolean): void {
  const dialog = h("dialog", { "aria-label": title });
  const form = h("form", { method: "dialog", onsubmit: (event: SubmitEvent) => {
    event.preventDefault();
    if (accept()) dialog.close();
  } },
    h("strong", {}, title),
    ...body,
    h("div", { class: "buttons" },
      h("button", { type: "button", class: "text", onclick: () => dialog.close() }, "Cancel"),
      h("button", { type: "submit", class: "action" }, verb)));
  dialog.append(form);
  dialog.addEventListener("close", () => dialog.remove());
  session.panes.root.append(dialog);
  dialog.showModal();
}
