// Keeps a reader's edits over a reload of the page, for as long as the tab lives;
// where the browser refuses storage, at least for as long as the page does.

import { apply, difference, type Changes, type Files } from "../client/files";
import { hash } from "../client/id";

const memory = new Map<string, string>();

/** The edits of one playground, kept under its id and what they were made on. */
export class Drafts {
  readonly #key: string;

  constructor(id: string, private readonly original: Files) {
    // Edits to an older version of the example don't fit the new one.
    const text = Object.entries(original).map(([path, content]) => `${path}\n${typeof content === "string" ? content : content.length}`);
    this.#key = `sandglass:${id}:${hash(text.join("\n"))}`;
  }

  /** The files with the kept edits, or undefined where there are none. */
  restore(): Files | undefined {
    const kept = this.#read();
    if (!kept) return undefined;
    return apply(this.original, kept);
  }

  /** Keeps what differs from the original. */
  keep(files: Files): void {
    const changes = difference(this.original, files);
    const text = Object.entries(changes).filter(([, content]) => content === null || typeof content === "string");
    this.#write(text.length ? JSON.stringify(Object.fromEntries(text)) : undefined);
  }

  #write(text: string | undefined): void {
    memory.delete(this.#key);
    try {
      if (text === undefined) sessionStorage.removeItem(this.#key);
      else sessionStorage.setItem(this.#key, text);
    } catch {
      // Full or refused: an older draft there must not win over this one.
      if (text !== undefined) memory.set(this.#key, text);
    }
  }

  #read(): Changes | undefined {
    try {
      const kept: unknown = JSON.parse(memory.get(this.#key) ?? sessionStorage.getItem(this.#key) ?? "null");
      return typeof kept === "object" && kept !== null ? (kept as Changes) : undefined;
    } catch {
      return undefined;
    }
  }
}
