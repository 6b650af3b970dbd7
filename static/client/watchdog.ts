// Notices a preview that stopped answering, e.g. in an endless loop.
//
// The preview says `alive` about every second while it is visible. Its boot
// page shares a thread with the user's document, so silence means that the
// thread is busy. Before the first sign of life a question is asked first: a
// document that failed to build has no heartbeat.

/** How long a visible preview may be silent. */
export const SILENCE_MS = 4_000;
const TICK_MS = 1_000;

/** What the watchdog needs to know and to tell. */
export interface Watched {
  /** Milliseconds of a clock that never goes back. */
  now(): number;
  /** Whether the reader can see the page. */
  visible(): boolean;
  /** Asks the preview for any sign of life. */
  ask(): void;
  /** Called once when it has hung. */
  hung(): void;
  /** Called once when it answers again. */
  recovered(): void;
}

/** Watches one preview. `tick` is called about every second. */
export class Watchdog {
  #heard = 0;
  #ticked = 0;
  #beats = false;
  #asked = false;
  #hung = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly watched: Watched) {}

  /** Begins to watch a document that has just been started. */
  start(): void {
    this.stop();
    this.#heard = this.#ticked = this.watched.now();
    this.#timer = setInterval(() => this.tick(), TICK_MS);
  }

  /** Watches no more. */
  stop(): void {
    clearInterval(this.#timer);
    this.#beats = this.#asked = this.#hung = false;
  }

  /** Any message came. */
  sign(isBeat: boolean): void {
    this.#heard = this.watched.now();
    this.#asked = false;
    this.#beats ||= isBeat;
    if (this.#hung) {
      this.#hung = false;
      this.watched.recovered();
    }
  }

  /** Judges the silence so far. */
  tick(): void {
    const now = this.watched.now();
    const ownPause = now - this.#ticked > 2.5 * TICK_MS;
    this.#ticked = now;
    // A page that was itself asleep or hidden has heard nothing, but blames nobody for it.
    if (ownPause || !this.watched.visible()) this.#heard = now;
    if (this.#hung || now - this.#heard < SILENCE_MS) return;
    if (this.#beats || this.#asked) {
      this.#hung = true;
      this.watched.hung();
    } else {
      this.#asked = true;
      this.#heard = now;
      this.watched.ask();
    }
  }
}
