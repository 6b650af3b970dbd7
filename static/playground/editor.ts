// The editor: one view, and a state of its own for every file, so that undo
// history and selection are there again when its tab is.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, indentOnInput, indentUnit } from "@codemirror/language";
import { lintGutter, setDiagnostics, type Diagnostic as Mark } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, type Extension, type Text } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { h } from "./dom";
import { theme } from "./editor-theme";
import { languageOf } from "./languages";
import type { Session } from "./session";

const WAY_OUT = "Tab indents. Press Escape, then Tab to leave the editor.";
const HINT_MS = 6_000;

/** The code pane of one playground. */
export class Editor {
  readonly #view: EditorView;
  readonly #states = new Map<string, EditorState>();
  readonly #language = new Compartment();
  #path = "";
  #told = false;

  constructor(private readonly session: Session, private readonly canEdit: boolean) {
    this.#view = new EditorView({ root: session.shadow, state: EditorState.create() });
    session.panes.code.replaceChildren(this.#view.dom);
    session.panes.code.classList.add("editing");
    session.events.on("diagnostics", () => this.#view.dispatch(setDiagnostics(this.#view.state, this.#marks())));
    const observer = new ResizeObserver(() => this.#keepCursorVisible());
    observer.observe(this.#view.scrollDOM);
    session.signal.addEventListener("abort", () => {
      observer.disconnect();
      this.#view.destroy();
    });
  }

  /** Shows a file as it was left. */
  show(path: string): void {
    if (this.#path) this.#states.set(this.#path, this.#view.state);
    this.#path = path;
    const text = this.session.files()[path];
    const kept = this.#states.get(path);
    const current = typeof text === "string" ? text : "";
    this.#view.setState(kept?.doc.toString() === current ? kept : this.#create(path, current));
    this.#view.contentDOM.setAttribute("aria-label", `Code of ${path || "no file"}`);
    this.#view.dispatch(setDiagnostics(this.#view.state, this.#marks()));
    void this.#highlight(path);
  }

  /** Takes over files that were changed elsewhere. */
  refresh(): void {
    this.show(this.#path in this.session.files() ? this.#path : "");
  }

  /** Moves to a place of the file that is shown. */
  reveal(line: number, column: number): void {
    const at = offsetOf(this.#view.state.doc, line, column);
    this.#view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
    this.#view.focus();
  }

  /** The strip of problems takes its room from below, where the cursor may be. */
  #keepCursorVisible(): void {
    if (this.#view.hasFocus) this.#view.dispatch({ effects: EditorView.scrollIntoView(this.#view.state.selection.main.head) });
  }

  /** Says once how to get out by keys: Tab alone indents. */
  #tell(): void {
    if (this.#told) return;
    this.#told = true;
    const hint = h("div", { class: "hint", role: "status" });
    this.session.panes.code.append(hint);
    // A live region speaks when its text changes after it is there.
    requestAnimationFrame(() => (hint.textContent = WAY_OUT));
    this.#view.contentDOM.addEventListener("blur", () => hint.remove(), { once: true });
    setTimeout(() => hint.remove(), HINT_MS);
  }

  #create(path: string, doc: string): EditorState {
    return EditorState.create({ doc, extensions: [this.#extensions(path), this.#language.of([])] });
  }

  #extensions(path: string): Extension {
    const editable = this.canEdit && path !== "";
    return [
      lineNumbers(), lintGutter(), history(), drawSelection(), indentOnInput(), indentUnit.of("  "),
      bracketMatching(), closeBrackets(), autocompletion(), highlightSelectionMatches(), theme,
      editable ? [highlightActiveLine(), highlightActiveLineGutter()] : [],
      EditorState.readOnly.of(!editable),
      // Escape, then Tab leaves the editor: CodeMirror's own way out, told on the first Tab.
      EditorView.domEventObservers({ keydown: (event) => void (event.key === "Tab" && this.#tell()) }),
      keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...completionKeymap, indentWithTab]),
      EditorView.contentAttributes.of({ "aria-description": WAY_OUT }),
      EditorView.updateListener.of((update) => {
        if (update.docChanged && this.#path === path) this.session.edit({ [path]: update.state.doc.toString() });
      }),
    ];
  }

  async #highlight(path: string): Promise<void> {
    const language = await languageOf(path);
    if (this.#path !== path || this.session.signal.aborted) return;
    this.#view.dispatch({ effects: this.#language.reconfigure(language) });
  }

  #marks(): Mark[] {
    const { doc } = this.#view.state;
    return this.session.events.problems.filter((problem) => problem.file === this.#path && problem.line > 0).map((problem) => {
      const from = offsetOf(doc, problem.line, problem.column);
      const word = this.#view.state.wordAt(from);
      const to = Math.max(word?.to ?? 0, Math.min(from + 1, doc.length));
      const message = problem.remedy ? `${problem.message}\n${problem.remedy}` : problem.message;
      return { from: Math.min(from, to), to, severity: problem.severity, message };
    });
  }
}

/** Where a line and column lie, or the nearest place in the text. */
function offsetOf(doc: Text, line: number, column: number): number {
  const { from, to } = doc.line(Math.min(Math.max(line, 1), doc.lines));
  return Math.min(from + Math.max(column - 1, 0), to);
}
