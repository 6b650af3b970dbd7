// One preview from connect to the end: host page, worker and document brought together.

import type { ClientMessage, ConsoleValue, Diagnostic, PreviewMessage } from "../../client/protocol";
import type { Patch } from "../hot/update";
import type { FromDocument } from "../messages";
import type { EngineMessage, WorkerEvent } from "../worker/protocol";
import { Frames } from "./frames";
import { dropped, type HostPort } from "./host-port";
import { LostError, type Link, type LinkEvents } from "./link";
import { Overlay } from "./overlay";
import { Reports, type Mapped } from "./reports";

/** What the engine says of a finished build; see `sw/src/wire.rs`. */
interface BuildEvent {
  revision: number;
  load: boolean;
  patch?: Patch;
}

/** Opens a worker, whichever can be had. */
export type OpenLink = (events: LinkEvents) => Promise<Link>;

const ALIVE_MS = 1_000;
const REVISION = /__sg\.revision=\d+/;

/** A running preview. */
export class Session {
  readonly #host: HostPort;
  readonly #link: Promise<Link>;
  readonly #overlay = new Overlay();
  readonly #reports = new Reports((frames) => this.#ask({ type: "mapFrames", frames }) as Promise<Mapped>);
  readonly #frames = new Frames({ started: () => this.#started(), message: (message) => this.#hear(message) });
  readonly #evaluations = new Map<number, (message: { value?: ConsoleValue; error?: string }) => void>();
  #path = "/";
  /** The document's text, its revision aside: tells whether a worker that forgot built the same again. */
  #shown: string | undefined;
  #recovering = false;
  #mounted = false;
  #stopped = false;
  /** What the next document's start is news of. */
  #reloaded: { revision: number; paths: string[] } | undefined;
  /** One more with each change of the document: what an older one said is no news. */
  #epoch = 0;
  #lastPaths: string[] = [];
  #evaluated = 0;

  constructor(adopt: (take: (message: ClientMessage, id: number | undefined) => void) => HostPort, open: OpenLink) {
    this.#host = adopt((message, id) => void this.#answer(message, id));
    this.#link = open({ event: (message) => this.#follow(message), resumed: () => this.#resumed(), lost: () => this.#lost() });
    // A page of the project that isn't ours to beat in can't be told from one that is fine.
    setInterval(() => this.#frames.isPlain && this.#host.send({ type: "alive" }), ALIVE_MS);
    this.#link.then(
      ({ mode, reason }) => this.#host.send(reason === undefined ? { type: "mode", mode } : { type: "mode", mode, reason }),
      () => {},
    );
  }

  async #answer(message: ClientMessage, id: number | undefined): Promise<void> {
    let reply: PreviewMessage;
    try {
      const value = await this.#perform(message);
      reply = value === undefined ? { type: "reply" } : { type: "reply", value };
    } catch (error) {
      if (error instanceof LostError && this.#mounted) this.#lost();
      reply = { type: "reply", error: error instanceof Error ? error.message : String(error) };
    }
    if (id !== undefined) this.#host.send(reply, id);
  }

  async #perform(message: ClientMessage): Promise<unknown> {
    switch (message.type) {
      case "reload":
        if (message.path?.startsWith("/")) this.#path = message.path;
        return this.#load(undefined);
      case "stop":
        this.#stopped = true;
        this.#frames.stop();
        this.#overlay.dismiss();
        return undefined;
      case "evaluate":
        return this.#evaluate(message.code);
      case "mount": {
        this.#stopped = false;
        this.#mounted = true;
        if (!this.#recovering) this.#path = "/";
        try {
          return await this.#ask(message);
        } finally {
          this.#recovering = false;
        }
      }
      default:
        return this.#ask(message);
    }
  }

  async #ask(message: EngineMessage): Promise<unknown> {
    const link = await this.#link;
    return link.request(message);
  }

  /** What the worker says by itself. */
  #follow(message: WorkerEvent): void {
    if (message.type === "build") return this.#build(message as unknown as BuildEvent);
    if (message.type === "diagnostics") this.#overlay.setProblems(message["diagnostics"] as Diagnostic[]);
    this.#host.send(message as unknown as PreviewMessage);
  }

  #build({ revision, load, patch }: BuildEvent): void {
    this.#reports.forget();
    if (this.#stopped) return;
    if (patch && this.#frames.isOpen) {
      this.#changes();
      this.#lastPaths = [...patch.changed, ...patch.removed, ...patch.styles.map(({ path }) => path)];
      this.#frames.send({ type: "patch", patch });
      void this.#remember();
    } else if (load || patch) {
      void this.#show(revision);
    } else {
      this.#frames.send({ type: "revision", revision });
      this.#host.send({ type: "updated", revision, how: "hot", paths: [] });
    }
  }

  /** Shows a build that has to be loaded, unless it is what is shown already. */
  async #show(revision: number): Promise<void> {
    if (!this.#recovering || !this.#frames.isConnected || this.#shown === undefined) return this.#load({ revision, paths: [] });
    const before = this.#shown;
    await this.#remember();
    if (this.#shown !== before) return this.#load({ revision, paths: [] });
    this.#frames.send({ type: "revision", revision });
    this.#host.send({ type: "updated", revision, how: "hot", paths: [] });
  }

  async #load(news: { revision: number; paths: string[] } | undefined): Promise<void> {
    const link = await this.#link;
    const text = await this.#remember();
    // The first build failed: there is nothing to show yet.
    if (text === undefined || this.#stopped) return;
    this.#reloaded = this.#frames.isOpen ? (news ?? { revision: revisionOf(text), paths: [] }) : undefined;
    this.#changes();
    // From here on the host page expects the document's beats.
    this.#host.send({ type: "alive" });
    this.#frames.load(link.mode === "worker" ? { url: this.#path } : { html: text });
  }

  /** Asks for the document's text and keeps it. */
  async #remember(): Promise<string | undefined> {
    const text = await this.#ask({ type: "document" }).catch((error: unknown) => {
      if (error instanceof LostError) this.#lost();
    });
    if (typeof text !== "string") return undefined;
    this.#shown = text.replace(REVISION, "");
    return text;
  }

  #changes(): void {
    this.#epoch++;
    this.#overlay.clearFaults();
  }

  /** A document has begun. */
  #started(): void {
    this.#epoch++;
    for (const settle of this.#evaluations.values()) settle({ error: "The document was loaded anew." });
    this.#evaluations.clear();
    if (this.#reloaded) this.#host.send({ type: "updated", how: "reload", ...this.#reloaded });
    this.#reloaded = undefined;
  }

  /** What the document says. */
  #hear(message: FromDocument): void {
    switch (message.type) {
      case "alive":
        return this.#host.send({ type: "alive" });
      case "ready":
      case "updated":
        return this.#host.send(message);
      case "reload":
        return void this.#load({ revision: message.revision, paths: this.#lastPaths });
      case "location":
        if (!message.path.startsWith("/")) return dropped();
        this.#path = message.path;
        return this.#host.send(message);
      case "console":
        return this.#reports.deliver(message.at ? [message.at] : [], ({ frames }) => {
          const { level, args } = message;
          this.#host.send(frames[0] ? { type: "console", level, args, at: frames[0] } : { type: "console", level, args });
        });
      case "error":
        return this.#fault(message);
      case "value":
        this.#evaluations.get(message.id)?.(message);
        this.#evaluations.delete(message.id);
        return;
      case "chunk":
        return void this.#pass(message.id, { type: "chunk", entry: message.entry });
      case "fetch": {
        const [path, query] = message.path.split("?", 2) as [string, string | undefined];
        return void this.#pass(message.id, { type: "respond", path, query: query ?? "" });
      }
      case "escape":
        return this.#overlay.dismiss();
    }
  }

  #fault({ message, frames }: { message: string; frames: Mapped["frames"] }): void {
    const epoch = this.#epoch;
    this.#reports.deliver(frames, (mapped) => {
      const told: PreviewMessage = { type: "error", message, frames: mapped.frames };
      this.#host.send(mapped.codeFrame === undefined ? told : { ...told, codeFrame: mapped.codeFrame });
      // What has no place, e.g. a promise rejected without a reason, is for the console: nothing could be shown of it.
      if (epoch === this.#epoch && mapped.frames.length) this.#overlay.addFault({ message, ...mapped });
    });
  }

  #evaluate(code: string): Promise<ConsoleValue | undefined> {
    if (!this.#frames.isConnected) return Promise.reject(new Error("No document is running."));
    const id = ++this.#evaluated;
    return new Promise((resolve, reject) => {
      this.#evaluations.set(id, ({ value, error }) => (error === undefined ? resolve(value) : reject(new Error(error))));
      this.#frames.send({ type: "evaluate", id, code });
    });
  }

  /** Asks the worker for a document that can't fetch. */
  async #pass(id: number, question: EngineMessage): Promise<void> {
    try {
      this.#frames.send({ type: "answer", id, value: await this.#ask(question) });
    } catch (error) {
      this.#frames.send({ type: "answer", id, error: (error as Error).message });
    }
  }

  /** Whether a worker that was started anew has built what is shown. */
  async #resumed(): Promise<boolean> {
    const before = this.#shown;
    const text = await this.#remember();
    if (text === undefined || this.#shown !== before) return false;
    this.#frames.send({ type: "revision", revision: revisionOf(text) });
    return true;
  }

  #lost(): void {
    if (!this.#mounted || this.#recovering) return;
    this.#recovering = true;
    this.#host.send({ type: "lost" });
  }
}

function revisionOf(text: string): number {
  return Number(/__sg\.revision=(\d+)/.exec(text)?.[1] ?? 0);
}
