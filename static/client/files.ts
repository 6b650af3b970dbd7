// The files of a project as the host page holds them: the truth.

import type { Content } from "./protocol";

/** Absolute path → content. */
export type Files = Record<string, Content>;

/** Absolute path → new content, or null where the file goes. */
export type Changes = Record<string, Content | null>;

// Keeps a path to one spelling, so that a file has one name everywhere.
const PATH = /^(\/(?!\.{1,2}(\/|$))[^/\0]+)+$/;

/** Whether `path` is absolute and in its one spelling. */
export function isPath(path: string): boolean {
  return PATH.test(path);
}

/** A copy with the changes made. */
export function apply(files: Files, changes: Changes): Files {
  const next = { ...files };
  for (const [path, content] of Object.entries(changes)) {
    if (content === null) delete next[path];
    else next[path] = content;
  }
  return next;
}

/** A copy in which a file, or all of a folder, lies elsewhere. */
export function move(files: Files, from: string, to: string): Files {
  const entries = Object.entries(files).map(([path, content]): [string, Content] => {
    if (path === from) return [to, content];
    return path.startsWith(`${from}/`) ? [to + path.slice(from.length), content] : [path, content];
  });
  return Object.fromEntries(entries);
}

/** What leads from one state to the other. */
export function difference(from: Files, to: Files): Changes {
  const changes: Changes = {};
  for (const path of Object.keys(from)) if (!(path in to)) changes[path] = null;
  for (const [path, content] of Object.entries(to)) if (from[path] !== content) changes[path] = content;
  return changes;
}
