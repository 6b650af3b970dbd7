// A playground as its reader meets it: by roles, labels and text.

import { expect, type FrameLocator, type Locator, type Page } from "@playwright/test";

/** One `<sandglass-playground>`. */
export class Playground {
  readonly root: Locator;

  constructor(readonly page: Page, index = 0) {
    this.root = page.locator("sandglass-playground").nth(index);
  }

  /** The code. */
  get editor(): Locator {
    return this.root.getByRole("textbox", { name: /^Code of/ });
  }

  /** What the preview is doing. */
  get status(): Locator {
    return this.root.locator(".toolbar").getByRole("status");
  }

  /** How the preview runs, in words. */
  get how(): Locator {
    return this.root.getByRole("note");
  }

  /** The user's document: while one replaces another, the newer one. */
  get document(): FrameLocator {
    return this.root.frameLocator("iframe").frameLocator("iframe >> nth=0");
  }

  /** The error overlay: it lies over the document, in the boot page. */
  get overlay(): Locator {
    return this.root.frameLocator("iframe").getByRole("alertdialog");
  }

  /** The strip below the code that names the first problem. */
  get problem(): Locator {
    return this.root.locator(".problems");
  }

  /** The console's rows. */
  get output(): Locator {
    return this.root.getByRole("log", { name: "Console output" });
  }

  /** Which way it runs. */
  async mode(): Promise<string | undefined> {
    return this.root.evaluate((element) => (element as HTMLElement & { preview?: { mode?: string } }).preview?.mode);
  }

  /** Waits until the document shows what the files say. */
  async settled(): Promise<void> {
    await expect(this.status).toHaveText("Up to date");
  }

  /** Shows a file. */
  async open(name: string): Promise<void> {
    await this.root.getByRole("tab", { name }).click();
    await expect(this.editor).toBeVisible();
  }

  /** Puts the cursor at the end of the line that holds `text`. */
  async goTo(text: string): Promise<void> {
    const line = this.editor.locator(".cm-line", { hasText: text }).first();
    await line.click();
    await this.page.keyboard.press("End");
  }

  /** Replaces the line that holds `text`, as a paste does. */
  async replaceLine(text: string, line: string): Promise<void> {
    await this.goTo(text);
    await this.page.keyboard.press("Shift+Home");
    await this.page.keyboard.insertText(line);
  }

  /** Replaces all of the file. */
  async replaceAll(text: string): Promise<void> {
    await this.editor.click();
    await this.page.keyboard.press("Control+a");
    await this.page.keyboard.insertText(text);
  }

  /** A number that a document has for its life: two readings differ after a reload. */
  async identity(): Promise<number> {
    return this.document.locator("html").evaluate(() => performance.timeOrigin);
  }
}
