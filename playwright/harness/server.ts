// The server under test, as its own process on free ports.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder, serverBinary, siteFolder } from "./paths";
import { freePort } from "./ports";

const START_MS = 20_000;
const STOP_MS = 5_000;

/** How a server differs from the default. */
export interface ServerOptions {
  /** Its cache folder's name. */
  cache: string;
  /** More flags. */
  flags?: string[];
  /** More environment. */
  env?: Record<string, string>;
  /** Ports that browsers use, where a proxy stands in front. */
  seenAt?: { app: number; preview: number };
}

/** A `sandglass serve`. */
export class SandglassServer {
  #process: ChildProcess | undefined;
  #log = "";

  private constructor(readonly port: number, readonly previewPort: number, private readonly options: ServerOptions) {}

  /** Starts one and waits until it says where it is. */
  static async start(options: ServerOptions): Promise<SandglassServer> {
    const server = new SandglassServer(await freePort(), await freePort(), options);
    await server.start();
    return server;
  }

  /** The app's origin. */
  get app(): string {
    return `http://sandglass.localhost:${this.options.seenAt?.app ?? this.port}`;
  }

  /** A sandbox's origin. */
  preview(id: string): string {
    return `http://${id}.sandglass.localhost:${this.options.seenAt?.preview ?? this.previewPort}`;
  }

  /** What it has printed. */
  get log(): string {
    return this.#log;
  }

  /** Starts it again on the same ports. */
  async start(): Promise<void> {
    if (!existsSync(serverBinary)) throw new Error(`There is no server at ${serverBinary}: run cargo xtask build --release, or set SANDGLASS_BIN.`);
    const cache = join(cacheFolder, this.options.cache);
    await mkdir(cache, { recursive: true });
    const flags = [
      "serve", "--site", siteFolder, "--cache", cache,
      "--listen", `127.0.0.1:${this.port}`, "--listen-preview", `127.0.0.1:${this.previewPort}`,
      "--app-origin", this.app, "--preview-origin", this.preview("{id}"),
      ...(this.options.flags ?? []),
    ];
    const child = spawn(serverBinary, flags, { env: { ...process.env, ...this.options.env }, stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    await this.#listening(child);
  }

  /** Ends it as an operator would. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  #listening(child: ChildProcess): Promise<void> {
    return new Promise((done, fail) => {
      let out = "";
      const refuse = (what: string) => fail(new Error(`The server ${what}. It said:\n${this.#log}`));
      const timer = setTimeout(() => refuse(`did not print ${this.app} in time`), START_MS);
      child.stderr!.on("data", (data: Buffer) => (this.#log += data.toString()));
      child.stdout!.on("data", (data: Buffer) => {
        this.#log += data.toString();
        out += data.toString();
        if (!out.includes(this.app)) return;
        clearTimeout(timer);
        done();
      });
      child.once("error", (error) => refuse(`can't be started: ${error.message}`));
      child.once("exit", (code) => {
        clearTimeout(timer);
        refuse(`ended with ${code}`);
      });
    });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    child.kill(signal);
    await ended;
    clearTimeout(timer);
  }
}
