// The wasm engine of one worker, and its port to the boot page.

import init, { Engine } from "sw-glue";
import { parseRequest, type EngineMessage, type FromWorker, type WorkerEvent } from "./protocol";

/** How an engine is set up. */
export interface EngineOptions {
  mode: "worker" | "fallback";
  /** The wasm module. */
  load(): Promise<Response>;
  /** Texts of our scripts, for documents that can load nothing. */
  texts(): Promise<{ runtime?: string; refresh?: string }>;
  /** The boot script's address, by which a page tells whether we are of its version. */
  boot: string;
  /** A build was finished, well or not. */
  built(): void;
  /** Mounts what was kept; false: nothing was. */
  restore?(engine: Engine): Promise<boolean>;
}

const CHANGES = new Set(["mount", "write", "rename"]);

/** Starts the engine when it is first needed, and answers the boot page. */
export class EngineHost {
  /** Names this start of the worker: a memory that was lost comes back under another name. */
  readonly instance = crypto.randomUUID?.() ?? String(Math.random());
  #engine: Promise<Engine> | undefined;
  #running: Engine | undefined;
  #post: ((message: FromWorker) => void) | undefined;
  #requests = 0;
  /** The last request that changed files. */
  #changed = 0;
  #restoring: Promise<boolean> | undefined;

  constructor(private readonly options: EngineOptions) {
    addEventListener("error", (event) => this.#crashed(event.error));
    addEventListener("unhandledrejection", (event) => this.#crashed(event.reason));
  }

  /** The engine if it has been started. */
  get running(): Engine | undefined {
    return this.#running;
  }

  /** The last request whose changes the engine has now. */
  get changed(): number {
    return this.#changed;
  }

  /** Tells the page up to which request changes are kept. */
  kept(through: number): void {
    this.#send({ type: "kept", through });
  }

  /** The engine, started now if it isn't yet. */
  engine(): Promise<Engine> {
    this.#engine ??= this.#start().catch((error: unknown) => {
      // The network may be back at the next try.
      this.#engine = undefined;
      throw new Error(`The bundler couldn't be loaded: ${words(error)}`);
    });
    return this.#engine;
  }

  /** Takes a port; an earlier one is dead or belongs to a page that is gone. */
  attach(port: MessagePort): void {
    this.#post = port.postMessage.bind(port);
    port.onmessage = (event) => void this.#take(event.data);
    this.#send({ type: "hello", instance: this.instance, boot: this.options.boot });
    this.engine().then((engine) => {
      // The first edit finds compiled code; a mount that is on its way goes first.
      if (this.#requests === 0) return engine.request({ type: "warm" });
      return undefined;
    }).catch(() => {});
  }

  async #start(): Promise<Engine> {
    const [texts] = await Promise.all([this.options.texts(), this.options.load().then((response) => init({ module_or_path: response }))]);
    const { mode } = this.options;
    const config = { mode, assets: { runtime: ASSETS.runtime, refresh: ASSETS.refresh }, texts };
    this.#running = new Engine(config, (message) => this.#emit(message as WorkerEvent));
    return this.#running;
  }

  /** A trap leaves wasm's memory as it was in the middle of something: the next mount gets a new one. */
  #crashed(error: unknown): void {
    if (!(error instanceof WebAssembly.RuntimeError)) return;
    this.#engine = this.#running = this.#restoring = undefined;
    this.#send({ type: "crashed", reason: error.message });
  }

  #emit(message: WorkerEvent): void {
    this.#send({ type: "event", message });
    if (message.type === "diagnostics") this.options.built();
  }

  async #take(data: unknown): Promise<void> {
    const request = parseRequest(data);
    if (!request) return;
    const { id, message } = request;
    this.#requests++;
    this.#send({ type: "ack", id });
    try {
      const engine = await this.engine();
      const value = await this.#perform(engine, message);
      if (CHANGES.has(message.type)) this.#changed = id;
      this.#send({ type: "reply", id, value });
    } catch (error) {
      this.#crashed(error);
      this.#send({ type: "reply", id, error: words(error) });
    }
  }

  async #perform(engine: Engine, message: EngineMessage): Promise<unknown> {
    if (message.type === "restore") return (this.#restoring = this.options.restore?.(engine));
    // What is asked meanwhile is about the project that comes.
    await this.#restoring;
    // A document that no service worker answers asks over the ports.
    if (message.type === "respond") return engine.respond(String(message["path"]), String(message["query"]));
    return engine.request(message);
  }

  #send(message: FromWorker): void {
    this.#post?.(message);
  }
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
