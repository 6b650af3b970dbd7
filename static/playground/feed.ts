// What a preview says, on its way to the user interface.
//
// The preview may be ready before the interface's code has come. Until then
// its events wait here, so no line of the console and no problem is missed.

import type { PreviewEvents } from "../client/preview";
import type { Diagnostic } from "../client/protocol";

type Name = keyof PreviewEvents;
type Event = PreviewEvents[Name];

// Where the interface never comes, a log loop must not fill the page's memory.
const MAX_WAITING = 2_000;

/** Every event there is; a record, so that none can be forgotten. */
const NAMES: Record<Name, true> = {
  mode: true, progress: true, ready: true, updated: true, diagnostics: true, console: true, error: true,
  lock: true, location: true, alive: true, lost: true, hung: true, recovered: true, stopped: true,
};

/** As much of a preview as is listened to. */
interface Source {
  on<T extends Name>(type: T, listener: (event: PreviewEvents[T]) => void): unknown;
}

/** Events of one playground's previews, one after another. */
export class Feed {
  /** The newest build's problems, for those who come later. */
  problems: readonly Diagnostic[] = [];
  readonly #listeners = new Map<Name, ((event: never) => void)[]>();
  #waiting: Event[] | undefined = [];

  /** Takes the events of a preview. */
  follow(preview: Source): void {
    for (const name of Object.keys(NAMES) as Name[]) preview.on(name, (event) => this.#take(event));
  }

  /** Listens for as long as the playground is there. */
  on<T extends Name>(type: T, listener: (event: PreviewEvents[T]) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  /** Everybody listens now: hands out what has waited, and everything else as it comes. */
  open(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const event of waiting) this.#emit(event);
  }

  #take(event: Event): void {
    if (!this.#waiting) return this.#emit(event);
    if (event.type === "alive") return;
    this.#waiting.push(event);
    if (this.#waiting.length > MAX_WAITING) this.#waiting.shift();
  }

  #emit(event: Event): void {
    if (event.type === "diagnostics") this.problems = event.diagnostics;
    for (const listener of this.#listeners.get(event.type) ?? []) listener(event as never);
  }
}
