// Console calls and errors of the document, on their way to the host page.
//
// Their places are mapped by the worker, which takes a moment: everything goes
// through one queue, so that what was said first arrives first.

import type { Frame } from "../../client/protocol";

/** What a `mapFrames` request is answered with. */
export interface Mapped {
  frames: Frame[];
  codeFrame?: string;
}

/** Asks the worker for places. */
export type MapFrames = (frames: Frame[]) => Promise<Mapped>;

// A worker that is busy or gone must not hold back what the document says.
const PATIENCE_MS = 1_500;
const MAX_CACHED = 500;

/** Maps in order. */
export class Reports {
  readonly #cache = new Map<string, Mapped>();
  #queue: Promise<unknown> = Promise.resolve();

  constructor(private readonly map: MapFrames) {}

  /** Another build: places mean something else from now on. */
  forget(): void {
    this.#cache.clear();
  }

  /** Calls `deliver` with mapped frames, after everything that came before. */
  deliver(frames: Frame[], deliver: (mapped: Mapped) => void): void {
    const mapped = this.#mapped(frames);
    this.#queue = this.#queue.then(async () => deliver(await mapped)).catch(() => {});
  }

  async #mapped(frames: Frame[]): Promise<Mapped> {
    if (!frames.length) return { frames };
    const key = frames.map(({ function: name, file, line, column }) => `${name} ${file}:${line}:${column}`).join("\n");
    const known = this.#cache.get(key);
    if (known) return known;
    const late = new Promise<undefined>((resolve) => setTimeout(resolve, PATIENCE_MS));
    const mapped = await Promise.race([this.map(frames).catch(() => undefined), late]);
    if (!mapped) return { frames };
    if (this.#cache.size < MAX_CACHED) this.#cache.set(key, mapped);
    return mapped;
  }
}
