// One visit: navigation → first render, then edits → changed text. Times are taken inside the pages.

import type { BrowserContext, Page } from "@playwright/test";
import { app, heading } from "./example";
import type { Contestant } from "./contestants";
import type { Sent } from "./files";

const VISIT_MS = 60_000;
// Lets what an edit has started come to rest, for everybody alike.
const REST_MS = 400;

/** What one visit gave. */
export interface Visit {
  /** Navigation → the preview's text is on screen. */
  renderMs: number;
  /** Edit → the preview's text has changed, once for each edit. */
  editMs: number[];
  /** What was sent before the first render. */
  sent: Sent[];
}

interface Sight {
  text: string;
  /** When the text was in the document, and when the next frame began. */
  changed: number;
  drawn: number;
}

/**
 * Tells the harness of every new heading in a preview; runs in every frame
 * before its scripts. A text, as compilers add helpers to functions that
 * browsers don't have.
 */
const WATCH = `(() => {
  let last = "";
  const look = () => {
    const text = document.querySelector("#root h1")?.textContent ?? "";
    if (text === last || text === "") return;
    last = text;
    const changed = performance.timeOrigin + performance.now();
    requestAnimationFrame(() => sandglassSaw({ text, changed, drawn: performance.timeOrigin + performance.now() }));
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true, characterData: true });
})();`;

/** Makes a browser report what its previews show. Call once for each context. */
export async function prepare(context: BrowserContext): Promise<Sights> {
  const sights = new Sights();
  await context.exposeBinding("sandglassSaw", (_source, sight: Sight) => sights.add(sight));
  await context.addInitScript({ content: WATCH });
  return sights;
}

/** Headings as they are seen. */
export class Sights {
  #seen: Sight[] = [];
  #waiting: (() => void)[] = [];

  add(sight: Sight): void {
    this.#seen.push(sight);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  forget(): void {
    this.#seen = [];
  }

  async first(text: string): Promise<Sight> {
    const end = Date.now() + VISIT_MS;
    for (;;) {
      const found = this.#seen.find((sight) => sight.text === text);
      if (found) return found;
      const left = end - Date.now();
      if (left <= 0) throw new Error(`"${text}" was not seen within ${VISIT_MS / 1000} s`);
      await Promise.race([new Promise<void>((wake) => this.#waiting.push(wake)), pause(left)]);
    }
  }
}

/** Visits a contestant's page and edits its component `edits` times. */
export async function visit(context: BrowserContext, sights: Sights, contestant: Contestant, url: string, edits: number): Promise<Visit> {
  const page = await context.newPage();
  await page.goto("about:blank");
  sights.forget();
  contestant.takeSent();
  await page.goto(url, { waitUntil: "commit" });
  const first = await sights.first(heading(0));
  const start = await page.evaluate(() => performance.timeOrigin);
  await pause(2 * REST_MS);
  const sent = contestant.takeSent().filter(({ at }) => at <= first.drawn);
  const editMs: number[] = [];
  for (let edit = 1; edit <= edits; edit++) editMs.push(await measureEdit(page, sights, edit));
  await page.close();
  return { renderMs: first.drawn - start, editMs, sent };
}

async function measureEdit(page: Page, sights: Sights, edit: number): Promise<number> {
  const start = await page.evaluate((text) => {
    const now = performance.timeOrigin + performance.now();
    (globalThis as unknown as { edit(text: string): void }).edit(text);
    return now;
  }, app(edit));
  const sight = await sights.first(heading(edit));
  await pause(REST_MS);
  return sight.changed - start;
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
