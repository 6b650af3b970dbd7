// What the preview is doing, and the buttons that steer it. The words are a live region.

import { h, icon, iconButton } from "./dom";
import { showFailure } from "./failure";
import type { Session } from "./session";

type Tone = "busy" | "good" | "bad" | "idle";

/** Builds the preview's head: state on the left, buttons on the right. */
export function showToolbar(session: Session): void {
  new Toolbar(session);
}

class Toolbar {
  readonly #dot = h("span", { class: "dot", "data-tone": "busy" });
  readonly #text = h("span", { class: "state", role: "status" }, "Starting…");
  readonly #mode = h("span", { class: "mode", role: "note", tabindex: 0, hidden: true });
  readonly #open = h("a", { class: "icon", target: "_blank", rel: "noopener noreferrer", hidden: true, "aria-label": "Open the preview in a new tab", title: "Open the preview in a new tab" }, icon("open"));
  readonly #run: HTMLButtonElement;
  #stopped = false;
  #ready = false;
  #errors = 0;
  #cover: HTMLElement | undefined;

  constructor(private readonly session: Session) {
    this.#run = iconButton("stop", "Stop", () => this.#toggle());
    const reload = iconButton("reload", "Reload the preview", () => this.#reload());
    session.panes.previewHead.replaceChildren(
      h("div", { class: "toolbar" }, this.#dot, this.#text, this.#mode, h("span", { class: "gap" }), this.#run, reload, this.#open));
    this.#follow();
    session.onFailure((error) => this.#failed(error));
  }

  #follow(): void {
    const { events } = this.session;
    events.on("mode", ({ mode, reason }) => this.#showMode(mode === "worker", reason));
    events.on("progress", ({ text, done, total }) => this.#say("busy", total > 1 ? `${text} (${done} of ${total})` : text));
    events.on("ready", () => this.#settled());
    events.on("updated", () => this.#settled());
    events.on("lost", () => this.#say("busy", "Reconnecting…"));
    events.on("diagnostics", ({ diagnostics }) => {
      this.#errors = diagnostics.filter((problem) => problem.severity === "error").length;
      const first = diagnostics[0];
      if (this.#errors && first) this.#say("bad", first.file ? `Problem in ${first.file}:${first.line}` : first.message);
      // A build without problems comes before the document that it makes.
      else if (this.#ready) this.#settled();
    });
    events.on("error", ({ message }) => this.#say("bad", message));
    events.on("hung", () => this.#hung());
    events.on("recovered", () => {
      this.#uncover();
      this.#settled();
    });
    events.on("stopped", () => this.#ended());
  }

  #say(tone: Tone, text: string): void {
    this.#dot.dataset["tone"] = tone;
    // The same words again would be read out again.
    if (this.#text.textContent !== text) this.#text.textContent = text;
    this.#text.title = text;
  }

  #settled(): void {
    this.#ready = true;
    if (!this.#stopped && this.#errors === 0) this.#say("good", "Up to date");
  }

  #showMode(byWorker: boolean, reason: string | null | undefined): void {
    const how = byWorker ? "Runs from a service worker" : "Runs without a service worker";
    this.#mode.hidden = false;
    this.#mode.textContent = byWorker ? "worker" : "compatible mode";
    this.#mode.dataset["mode"] = byWorker ? "worker" : "fallback";
    this.#mode.title = reason ? `${how}: ${reason}` : how;
    this.#mode.setAttribute("aria-label", this.#mode.title);
    this.#open.hidden = !byWorker;
    this.#open.href = `${this.session.preview()?.origin}/`;
  }

  #toggle(): void {
    if (this.#stopped) this.#start();
    else void this.session.stop();
  }

  #start(): void {
    this.#stopped = this.#ready = false;
    this.#uncover();
    this.#draw();
    this.#say("busy", "Starting…");
    void this.session.run();
  }

  #reload(): void {
    const preview = this.session.preview();
    if (this.#stopped || !preview) return this.#start();
    preview.reload().catch((error: unknown) => this.#failed(error));
  }

  #ended(): void {
    this.#stopped = true;
    this.#errors = 0;
    this.#draw();
    this.#say("idle", "Stopped");
    this.#coverWith(h("div", { class: "failure" },
      h("p", {}, "The preview is stopped. Your edits are kept."),
      h("button", { type: "button", class: "action", onclick: () => this.#start() }, "Start")));
  }

  #draw(): void {
    const label = this.#stopped ? "Start" : "Stop";
    this.#run.replaceChildren(icon(this.#stopped ? "play" : "stop"));
    this.#run.setAttribute("aria-label", label);
    this.#run.title = label;
  }

  #hung(): void {
    this.#say("bad", "Not responding");
    this.#coverWith(h("div", { class: "banner", role: "alert" },
      h("span", {}, "The preview is not responding; perhaps a loop never ends. Your edits are kept."),
      h("button", { type: "button", class: "action", onclick: () => void this.session.stop() }, "Stop")));
  }

  #failed(error: unknown): void {
    if (error === undefined) return this.#uncover();
    if (error instanceof Error && "code" in error && error.code === "closed") return;
    this.#say("bad", "No preview");
    this.#uncover();
    this.#cover = showFailure(this.session.panes.stage, error, () => this.#start());
  }

  #coverWith(cover: HTMLElement): void {
    this.#uncover();
    this.#cover = cover;
    this.session.panes.stage.append(cover);
  }

  #uncover(): void {
    this.#cover?.remove();
    this.#cover = undefined;
  }
}
