// The user interface around a running example. Loaded near the viewport,
// in parallel with the preview; the editor itself comes after it.

import { ConsolePanel } from "./console";
import { h } from "./dom";
import type { Editor } from "./editor";
import { showFailure } from "./failure";
import { fileMenu } from "./files-menu";
import type { Session } from "./session";
import { showProblems } from "./problems";
import { showSplit } from "./split";
import { Tabs } from "./tabs";
import { showToolbar } from "./toolbar";
import { UI_CSS } from "./ui-style";

let sheet: CSSStyleSheet | undefined;

/** Fills the panes and connects them with the session. */
export function show(session: Session): void {
  adoptStyle(session.shadow);
  const withFiles = session.host.getAttribute("layout") !== "preview";
  const goTo = withFiles ? showFiles(session) : () => {};
  showSplit(session);
  showToolbar(session);
  showProblems(session, withFiles ? session.panes.files : session.panes.preview, goTo);
  if (session.host.getAttribute("console") !== "none") new ConsolePanel(session, goTo);
}

/** Says in the stage why there is no project to show. */
export function showNothing(shadow: ShadowRoot, stage: HTMLElement, error: unknown, retry: () => void): void {
  adoptStyle(shadow);
  showFailure(stage, error, retry);
}

function adoptStyle(shadow: ShadowRoot): void {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(UI_CSS);
  }
  if (!shadow.adoptedStyleSheets.includes(sheet)) shadow.adoptedStyleSheets = [...shadow.adoptedStyleSheets, sheet];
}

/** Tabs and editor. Returns how to show a place in a file. */
function showFiles(session: Session): (file: string, line: number, column: number) => void {
  let editor: Editor | undefined;
  const canEdit = session.host.getAttribute("editable") !== "false";
  const tabs = new Tabs(session, (path) => editor?.show(path));
  const head = h("div", { class: "tabbar" }, tabs.element);
  session.panes.filesHead.replaceChildren(head);
  const refresh = () => editor?.refresh();
  if (canEdit) head.append(...fileMenu(session, tabs));
  if (session.restored) showNote(session);
  session.host.addEventListener("sandglass-reset", () => {
    tabs.reset();
    refresh();
  }, { signal: session.signal });
  void import("./editor").then((module) => {
    if (session.signal.aborted) return;
    editor = new module.Editor(session, canEdit);
    editor.show(tabs.active);
  }, () => showReadOnly(session));
  return (file, line, column) => {
    if (typeof session.files()[file] !== "string") return;
    tabs.select(file);
    editor?.reveal(line, column);
  };
}

/** Says that edits from before a reload are shown, and offers the way back. */
function showNote(session: Session): void {
  const note = h("div", { class: "note", role: "status" },
    h("span", {}, "Your earlier edits were restored."),
    h("button", { type: "button", class: "text", onclick: () => {
      session.reset();
      note.remove();
    } }, "Reset"),
    h("button", { type: "button", class: "text", onclick: () => note.remove() }, "Keep"));
  session.panes.code.before(note);
}

function showReadOnly(session: Session): void {
  session.panes.code.before(h("div", { class: "note", role: "status" }, "The editor could not be loaded; the code below is read-only."));
}
