// A running preview, seen from the page that frames it.
//
// The page's copy of the files is the truth: whatever happens to the preview
// (its worker forgets, its document hangs and is replaced), it is mounted
// again from here and no edit is lost.

import { closed, createFrame, open, type Link } from "./frame";
import { PreviewError } from "./errors";
import { apply, isPath, move, type Changes, type Files } from "./files";
import type { ConsoleValue, Content, Mode, PreviewMessage } from "./protocol";
import { Requests } from "./requests";
import { Watchdog } from "./watchdog";
import { isConsoleValue } from "./wire";

/** A project to mount; `lock` is the text of a `package-lock.json`. */
export interface ProjectInput {
  files: Files;
  entry?: string | null | undefined;
  lock?: string | null | undefined;
}

/** How to reach a preview. */
export interface ConnectOptions {
  /** An origin, or a pattern of one: `https://{id}.preview.example.net`. */
  previewOrigin: string;
  /** The sandbox's name: letters, digits and dashes. */
  id: string;
  /** Where to put the iframe. */
  container?: Element;
  /** An iframe of your own that is in the document; the client sets its `src`. */
  iframe?: HTMLIFrameElement;
  /** The iframe's accessible name. */
  title?: string;
  /** How long to wait for the boot page; 20 seconds unless given. */
  timeoutMs?: number;
  /** Ends the attempt, and later the preview. */
  signal?: AbortSignal;
}

type Told = Exclude<PreviewMessage, { type: "reply" }>;

/** Every event by name. */
export type PreviewEvents = { [T in Told["type"]]: Extract<Told, { type: T }> } & {
  /** The preview doesn't answer: offer to stop it. */
  hung: { type: "hung" };
  /** It answers again. */
  recovered: { type: "recovered" };
  /** The document's scripts were ended. */
  stopped: { type: "stopped" };
};

const TIMEOUT_MS = 20_000;
// A document in an endless loop never answers; its frame is then replaced.
const STOP_MS = 1_000;

/** A project that runs in an iframe of another origin. Made by [`connect`]. */
export class Preview {
  /** Which way it runs; undefined until it has said so. */
  mode: Mode | undefined;
  /** Why not by service worker, where it doesn't. */
  modeReason: string | undefined;

  readonly #listeners = new Map<string, Set<(event: never) => void>>();
  readonly #ending = new AbortController();
  readonly #watchdog: Watchdog;
  #link: Link;
  #requests!: Requests;
  #project: ProjectInput | undefined;
  #queued: Changes | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #flush: Promise<number> | undefined;
  #running = false;
  #droppedBefore = 0;
  #reopened = 0;

  /** Use [`connect`]. */
  constructor(link: Link, private readonly options: ConnectOptions) {
    this.#link = link;
    options.signal?.addEventListener("abort", () => this.dispose(), { once: true, signal: this.#ending.signal });
    this.#watchdog = new Watchdog({
      now: () => performance.now(),
      visible: () => document.visibilityState === "visible",
      ask: () => void this.#requests.send({ type: "list" }).catch(() => {}),
      hung: () => this.#emit({ type: "hung" }),
      recovered: () => this.#emit({ type: "recovered" }),
    });
    this.#listen();
  }

  /** The sandbox's name; it ends in `-2` where another tab has the plain one. */
  get id(): string {
    return this.#link.id;
  }

  /** The origin that the project runs on. */
  get origin(): string {
    return this.#link.origin;
  }

  /** The iframe; it is another one after an unresponsive document was stopped. */
  get iframe(): HTMLIFrameElement {
    return this.#link.iframe;
  }

  /** The files as the page has them. */
  get files(): Readonly<Files> {
    return this.#project?.files ?? {};
  }

  /** Messages from the preview that were not of the protocol. */
  get dropped(): number {
    return this.#droppedBefore + this.#requests.dropped;
  }

  /** Replaces the whole project. Resolves when its document is built. */
  async mount(project: ProjectInput): Promise<void> {
    const bad = Object.keys(project.files).find((path) => !isPath(path));
    if (bad !== undefined) throw new PreviewError("refused", `"${bad}" is not an absolute path.`, "Write paths like /src/App.tsx.");
    this.#project = { ...project, files: { ...project.files } };
    this.#queued = undefined;
    await this.#mountCurrent();
  }

  /** Writes files; null removes one. Work starts at once. Resolves with the revision, 0 while stopped. */
  async write(changes: Changes): Promise<number> {
    const project = this.#mounted();
    project.files = apply(project.files, changes);
    if (!this.#running) return 0;
    this.#queued = { ...this.#queued, ...changes };
    // Edits made while one is on its way travel together with the next.
    this.#flush ??= this.#enqueue(() => {
      const files = this.#queued ?? {};
      this.#queued = this.#flush = undefined;
      return this.#requests.send({ type: "write", files }) as Promise<number>;
    });
    return this.#flush;
  }

  /** Moves a file or folder. Resolves with the revision, 0 while stopped. */
  async rename(from: string, to: string): Promise<number> {
    const project = this.#mounted();
    project.files = move(project.files, from, to);
    if (!this.#running) return 0;
    return this.#enqueue(() => this.#requests.send({ type: "rename", from, to }) as Promise<number>);
  }

  /** Reads a file of the preview: also one of a package. */
  async readFile(path: string): Promise<Content> {
    const value = await this.#requests.send({ type: "readFile", path });
    if (typeof value === "string" || value instanceof Uint8Array) return value;
    throw new PreviewError("refused", `${path} came back as something else than a file.`);
  }

  /** The paths of the project, sorted. */
  async list(): Promise<string[]> {
    const value = await this.#requests.send({ type: "list" });
    return Array.isArray(value) ? value.filter((path) => typeof path === "string") : [];
  }

  /** Loads the document again, or another path of the project. */
  async reload(path?: string): Promise<void> {
    await this.#requests.send(path === undefined ? { type: "reload" } : { type: "reload", path });
    this.#begin();
  }

  /** Evaluates an expression in the document. */
  async evaluate(code: string): Promise<ConsoleValue> {
    const value = await this.#requests.send({ type: "evaluate", code });
    if (isConsoleValue(value)) return value as ConsoleValue;
    throw new PreviewError("refused", "The preview's answer can't be read.");
  }

  /** Ends the document's scripts, even where they don't answer. Files stay. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#watchdog.stop();
    const requests = this.#requests;
    const answered = requests.send({ type: "stop" }).then(() => true, () => true);
    const inTime = await Promise.race([answered, delay(STOP_MS)]);
    // A start that came meanwhile has a frame of its own.
    if (requests !== this.#requests) return;
    if (!inTime) this.#disconnect(closed());
    if (!inTime) this.#link.iframe.remove();
    this.#emit({ type: "stopped" });
  }

  /** Starts the project again, in a new frame where the old one is gone. */
  async restart(): Promise<void> {
    if (!this.#link.iframe.isConnected) await this.#reopen();
    await this.#mountCurrent();
  }

  /** Listens to an event; call what it returns to stop listening. */
  on<T extends keyof PreviewEvents>(type: T, listener: (event: PreviewEvents[T]) => void): () => void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener as (event: never) => void));
    return () => void listeners.delete(listener as (event: never) => void);
  }

  /** Ends everything and removes the iframe. */
  dispose(): void {
    this.#ending.abort();
    this.#running = false;
    this.#disconnect(closed());
    this.#listeners.clear();
    this.#link.iframe.remove();
  }

  #mounted(): ProjectInput {
    if (!this.#project) throw new PreviewError("refused", "No project is mounted.", "Call mount first.");
    return this.#project;
  }

  async #mountCurrent(): Promise<void> {
    const { files, entry, lock } = this.#mounted();
    const project = { files, entry: entry ?? null, lock: lock ?? null };
    const requests = this.#requests;
    this.#running = true;
    await requests.send({ type: "mount", project });
    if (requests === this.#requests) this.#begin();
  }

  #begin(): void {
    if (this.#running) this.#watchdog.start();
  }

  /** Runs changes of files one after another, in the order they were made. */
  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }

  #listen(): void {
    this.#requests = new Requests(this.#link.port, (message) => this.#take(message), (isBeat) => this.#watchdog.sign(isBeat));
  }

  #take(message: Told): void {
    if (message.type === "mode") {
      this.mode = message.mode;
      this.modeReason = message.reason ?? undefined;
    }
    if (message.type === "lock" && this.#project) this.#project.lock = message.lock;
    this.#emit(message);
    if (message.type === "lost" && this.#project && this.#running) this.#mountCurrent().catch(() => {});
  }

  #emit(event: PreviewEvents[keyof PreviewEvents]): void {
    for (const listener of [...(this.#listeners.get(event.type) ?? [])]) listener(event as never);
  }

  #disconnect(error: Error): void {
    this.#watchdog.stop();
    this.#droppedBefore += this.#requests.dropped;
    this.#requests.dropped = 0;
    this.#requests.close(error);
    this.#queued = this.#flush = undefined;
    this.#queue = Promise.resolve();
  }

  async #reopen(): Promise<void> {
    const iframe = createFrame(this.#link.iframe.title);
    this.#place(iframe);
    try {
      // The loop that was cut off from us may go on in the old origin's process, and
      // that process would run a new frame of the same origin: so it gets another one.
      const id = `${this.options.id}-r${++this.#reopened}`;
      this.#link = await open(iframe, frameOptions({ ...this.options, id }, this.#ending.signal));
    } catch (error) {
      iframe.remove();
      throw error;
    }
    this.#listen();
  }

  #place(iframe: HTMLIFrameElement): void {
    const container = this.options.container ?? document.body;
    container.append(iframe);
  }
}

/** Frames a preview and resolves when its boot page holds the port. */
export async function connect(options: ConnectOptions): Promise<Preview> {
  const iframe = options.iframe ?? createFrame(options.title ?? "Preview");
  if (!options.iframe) (options.container ?? document.body).append(iframe);
  try {
    const link = await open(iframe, frameOptions(options, options.signal ?? new AbortController().signal));
    if (options.signal?.aborted) throw closed();
    return new Preview(link, options.iframe?.parentElement ? { ...options, container: options.iframe.parentElement } : options);
  } catch (error) {
    if (!options.iframe) iframe.remove();
    throw error;
  }
}

function frameOptions(options: ConnectOptions, signal: AbortSignal) {
  return { previewOrigin: options.previewOrigin, id: options.id, timeoutMs: options.timeoutMs ?? TIMEOUT_MS, signal };
}

function delay(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms));
}
