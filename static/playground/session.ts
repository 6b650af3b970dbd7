// What the element hands to its user interface: one running example.

import type { Preview } from "../client/preview";
import type { Changes, Files } from "../client/files";
import type { Drafts } from "./drafts";
import type { Feed } from "./feed";
import type { Source } from "./source";

/** The panes of the frame. */
export interface Panes {
  root: HTMLElement;
  files: HTMLElement;
  filesHead: HTMLElement;
  code: HTMLElement;
  bar: HTMLElement;
  preview: HTMLElement;
  previewHead: HTMLElement;
  stage: HTMLElement;
  console: HTMLElement;
}

/** One example from its first paint on. */
export interface Session {
  host: HTMLElement;
  shadow: ShadowRoot;
  panes: Panes;
  /** The files as the page's author wrote them. */
  source: Source;
  /** Edits were taken over from before a reload. */
  restored: boolean;
  drafts: Drafts;
  /** The files as they are now. */
  files(): Files;
  /** Makes edits: kept, and sent to the preview at once. */
  edit(changes: Changes): void;
  /** Moves a file. */
  rename(from: string, to: string): void;
  /** Connects (again) and mounts. */
  run(): Promise<void>;
  /** Ends the document's scripts. */
  stop(): Promise<void>;
  /** Puts the author's files back. */
  reset(): void;
  /** What the preview says, from its first word on. */
  events: Feed;
  /** The preview; undefined until its frame has answered. */
  preview(): Preview | undefined;
  /** Calls the listener with every failure to get a preview; undefined when it is repaired. */
  onFailure(listener: (error: unknown) => void): void;
  /** Whether a path is absolute and in its one spelling. Handed over, as a module that both sides import would be a script of its own. */
  isPath(path: string): boolean;
  /** Ends with the element. */
  signal: AbortSignal;
}
