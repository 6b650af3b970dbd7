// <sandglass-playground>: a code example that runs where it is read.
//
// This module is all that a page loads for an example out of sight. Near the
// viewport it frames the preview and mounts the project at once; the editor
// comes in parallel and takes over the code that is on the page already.
//
// Files: children with data-path (data-hidden: no tab), template="NAME" or
// project="URL", lock="URL". Looks: theme="light|dark|auto" (the page's own
// colour scheme unless given), layout="vertical|preview", console="open|none",
// open="/tabs /in-order", label, and --sandglass-… properties. Behaviour:
// autorun="off", editable="false", sandbox="name", preview-origin="pattern".

import { apply, isPath, move, type Changes, type Files } from "../client/files";
import { sandboxId } from "../client/id";
import { connect, Preview } from "../client/preview";
import { Drafts } from "./drafts";
import { Feed } from "./feed";
import { FRAME_CSS } from "./frame-style";
import type { Panes, Session } from "./session";
import { load, readChildren, type Inline } from "./source";

declare global {
  /** The preview origin's pattern, set by the script that loads this one. */
  var __sandglassPreview: string | undefined;
}

// Chunks lie in `assets/` beside the loader; templates lie beside the loader.
const SCRIPTS = new URL(import.meta.url.includes("/assets/") ? "../" : "./", import.meta.url).href;
const NEAR = "600px";
const FORWARDED = ["ready", "updated", "diagnostics", "console", "error", "lock"] as const;

let sheet: CSSStyleSheet | undefined;

/** The custom element. */
export class SandglassPlayground extends HTMLElement {
  /** Attributes that make it another example. */
  static readonly observedAttributes = ["template", "extends", "project", "lock"];

  /** The running preview; undefined until its frame has answered. */
  preview: Preview | undefined;

  #panes: Panes | undefined;
  #inline: Inline = { files: {}, hidden: new Set() };
  #files: Files = {};
  #session: Session | undefined;
  // One for each stay in a document.
  #ending = new AbortController();
  #connecting: Promise<Preview> | undefined;
  #events = new Feed();
  #failureListeners: ((error: unknown) => void)[] = [];
  #failure: unknown;
  #wanted = false;

  /** The files as they are now, edits included. */
  get files(): Readonly<Files> {
    return this.#files;
  }

  connectedCallback(): void {
    const { signal } = this.#ending;
    const appear = () => this.#appear(signal);
    // Children of an element that is still being parsed come a little later.
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", appear, { once: true, signal });
    else queueMicrotask(appear);
  }

  disconnectedCallback(): void {
    // The frame's document is gone by now, so a move starts over; the edits are in the drafts.
    this.#ending.abort();
    this.preview = this.#connecting = this.#session = this.#panes = this.#failure = undefined;
    this.#wanted = false;
    this.#events = new Feed();
    this.#failureListeners = [];
    this.#ending = new AbortController();
  }

  attributeChangedCallback(_name: string, before: string | null, after: string | null): void {
    if (!this.#panes || before === after) return;
    this.disconnectedCallback();
    this.connectedCallback();
  }

  /** With this method `moveBefore` keeps the frame, and nothing has to start over. */
  connectedMoveCallback(): void {}

  /** Starts the example now, wherever it is on the page. */
  async run(): Promise<void> {
    if (this.#wanted && this.#session) return this.#session.run();
    await this.#start();
  }

  /** Puts the author's files back. */
  reset(): void {
    const source = this.#session?.source;
    if (!source) return;
    const changes: Changes = Object.fromEntries(Object.keys(this.#files).map((path) => [path, null]));
    this.#edit({ ...changes, ...source.files });
    this.#tell("reset", {});
  }

  #appear(signal: AbortSignal): void {
    if (this.#panes || signal.aborted) return;
    this.#inline = readChildren(this);
    firstChild(this)?.setAttribute("slot", "code");
    this.#panes = buildPanes(this.shadowRoot ?? this.attachShadow({ mode: "open" }));
    if (this.getAttribute("autorun") === "off") return this.#offerRun(this.#panes.stage);
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      void this.#start();
    }, { rootMargin: NEAR });
    observer.observe(this);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  #offerRun(stage: HTMLElement): void {
    const button = document.createElement("button");
    button.type = "button";
    button.part.add("run");
    button.className = "run";
    button.textContent = "Run";
    button.onclick = () => void this.#start();
    stage.append(button);
  }

  async #start(): Promise<void> {
    if (this.#wanted || !this.#panes) return;
    this.#wanted = true;
    const panes = this.#panes;
    const { signal } = this.#ending;
    // Only what stands in front of the frame: the frame itself may be there from an earlier try.
    for (const cover of panes.stage.querySelectorAll(".run, .failure")) cover.remove();
    const interfaceCode = import("./ui");
    // Both failures are shown below, when there is something to show them in.
    interfaceCode.catch(() => {});
    this.#connect().catch(() => {});
    try {
      const source = await load(this, this.#inline, SCRIPTS);
      if (signal.aborted) return;
      const drafts = new Drafts(this.#id(), source.files);
      const restored = drafts.restore();
      this.#files = restored ?? { ...source.files };
      const running = this.#mount(source);
      this.#session = this.#makeSession(panes, source, drafts, restored !== undefined);
      const { show } = await interfaceCode;
      if (signal.aborted) return;
      show(this.#session);
      this.#events.open();
      await running;
    } catch (error) {
      if (signal.aborted) return;
      console.error("<sandglass-playground>:", error);
      // With files the example runs all the same, only without an editor.
      if (!this.#session) await this.#failToLoad(panes.stage, error, interfaceCode);
    }
  }

  async #failToLoad(stage: HTMLElement, error: unknown, interfaceCode: Promise<typeof import("./ui")>): Promise<void> {
    const again = () => {
      this.#wanted = false;
      void this.#start();
    };
    try {
      (await interfaceCode).showNothing(this.shadowRoot!, stage, error, again);
    } catch {
      const text = document.createElement("p");
      text.className = "failure";
      text.textContent = error instanceof Error ? error.message : String(error);
      stage.append(text);
    }
  }

  #makeSession(panes: Panes, source: Session["source"], drafts: Drafts, restored: boolean): Session {
    return {
      host: this,
      shadow: this.shadowRoot!,
      panes,
      source,
      drafts,
      restored,
      signal: this.#ending.signal,
      isPath,
      files: () => this.#files,
      edit: (changes) => this.#edit(changes),
      rename: (from, to) => this.#rename(from, to),
      run: () => this.#mount(source),
      stop: async () => this.preview?.stop(),
      reset: () => this.reset(),
      events: this.#events,
      preview: () => this.preview,
      onFailure: (listener) => {
        this.#failureListeners.push(listener);
        if (this.#failure) listener(this.#failure);
      },
    };
  }

  #connect(): Promise<Preview> {
    const pattern = this.getAttribute("preview-origin") ?? globalThis.__sandglassPreview;
    if (!pattern) return Promise.reject(new Error("No preview origin: set the preview-origin attribute."));
    this.#connecting ??= connect({
      previewOrigin: pattern,
      id: this.#id(),
      container: this.#panes!.stage,
      title: this.getAttribute("label") ?? "Preview",
      signal: this.#ending.signal,
    }).then((preview) => this.#adopt(preview));
    return this.#connecting;
  }

  #adopt(preview: Preview): Preview {
    this.preview = preview;
    for (const type of FORWARDED) preview.on(type, (event) => this.#tell(type, event));
    this.#events.follow(preview);
    return preview;
  }

  /** Mounts the current files in a preview that is there, on its way, or to be framed again. */
  async #mount(source: Session["source"]): Promise<void> {
    const { signal } = this.#ending;
    try {
      const preview = await this.#connect();
      if (Object.keys(preview.files).length) await preview.restart();
      else await preview.mount({ files: this.#files, entry: source.entry, lock: source.lock });
      this.#fail(undefined);
    } catch (error) {
      if (signal.aborted) return;
      if (!this.preview) this.#connecting = undefined;
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#failure = error;
    for (const listener of this.#failureListeners) listener(error);
  }

  #edit(changes: Changes): void {
    this.#files = apply(this.#files, changes);
    this.#session?.drafts.keep(this.#files);
    // Before the mount the files travel with it; a stopped preview takes them at its next start.
    if (this.preview && Object.keys(this.preview.files).length) this.preview.write(changes).catch(() => {});
    this.#tell("change", { paths: Object.keys(changes) });
  }

  #rename(from: string, to: string): void {
    this.#files = move(this.#files, from, to);
    this.#session?.drafts.keep(this.#files);
    if (this.preview && Object.keys(this.preview.files).length) this.preview.rename(from, to).catch(() => {});
    this.#tell("change", { paths: [from, to] });
  }

  #tell(type: string, detail: object): void {
    this.dispatchEvent(new CustomEvent(`sandglass-${type}`, { detail, bubbles: true, composed: true }));
  }

  #id(): string {
    const page = location.origin + location.pathname;
    const index = [...document.querySelectorAll("sandglass-playground")].indexOf(this);
    const named = this.getAttribute("sandbox");
    return sandboxId(page, named ?? String(index));
  }
}

/** The child to show until the editor is there: the file whose tab will be the first. */
function firstChild(host: Element): Element | undefined {
  const children = [...host.querySelectorAll(":scope > [data-path]")];
  const open = host.getAttribute("open")?.trim().split(/[\s,]+/)[0];
  return children.find((child) => child.getAttribute("data-path") === open) ?? children.find((child) => !child.hasAttribute("data-hidden"));
}

/** The skeleton, with a slot where the page's own code shows until the editor is there. */
function buildPanes(shadow: ShadowRoot): Panes {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(FRAME_CSS);
  }
  shadow.adoptedStyleSheets = [sheet];
  const pane = (name: string, ...children: Node[]) => {
    const element = document.createElement("div");
    element.className = name;
    element.part.add(name);
    element.append(...children);
    return element;
  };
  const filesHead = pane("head");
  const slot = document.createElement("slot");
  slot.name = "code";
  const code = pane("code", slot);
  const previewHead = pane("head");
  const stage = pane("stage");
  const files = pane("files", filesHead, code);
  const bar = pane("bar");
  const preview = pane("preview", previewHead, stage);
  const consolePane = pane("console");
  const root = pane("root", files, bar, preview, consolePane);
  shadow.replaceChildren(root);
  return { root, files, filesHead, code, bar, preview, previewHead, stage, console: consolePane };
}

if (!customElements.get("sandglass-playground")) customElements.define("sandglass-playground", SandglassPlayground);
