// Reads a project out of the element's children and attributes.
//
// In:  <pre data-path="/src/App.tsx"><code>…escaped code…</code></pre>
// Out: { "/src/App.tsx": "…" }, tabs, and what the template or project adds.

import type { Content } from "../client/protocol";
import { type Files, isPath } from "../client/files";

/** A project as the element shows it. */
export interface Source {
  files: Files;
  entry?: string | null | undefined;
  lock?: string | null | undefined;
  /** Paths that have a tab, in order. */
  open: string[];
}

/** What a project or template JSON may hold. */
interface ProjectFile {
  files: Record<string, Content>;
  entry?: string | null;
  lock?: string | null;
  open?: string[];
}

/** Files that were written into the page. */
export interface Inline {
  files: Files;
  hidden: Set<string>;
}

/** Takes off a leading line break, trailing blanks and the indentation that all lines share. */
export function dedent(text: string): string {
  const lines = text.replace(/\r\n?/g, "\n").replace(/^(?:[ \t]*\n)+/, "").replace(/\s+$/, "").split("\n");
  const margins = lines.filter((line) => line.trim()).map((line) => /^[ \t]*/.exec(line)![0]);
  let margin = margins[0] ?? "";
  for (const other of margins) while (!other.startsWith(margin)) margin = margin.slice(0, -1);
  return `${lines.map((line) => line.slice(margin.length)).join("\n")}\n`;
}

/** The files among the children. */
export function readChildren(host: Element): Inline {
  const inline: Inline = { files: {}, hidden: new Set() };
  for (const child of host.querySelectorAll(":scope > [data-path]")) {
    const path = child.getAttribute("data-path")!;
    if (!isPath(path)) {
      console.error(`<sandglass-playground>: data-path "${path}" is not an absolute path like /src/App.tsx`);
      continue;
    }
    const text = child instanceof HTMLTemplateElement ? child.innerHTML : child.textContent;
    inline.files[path] = dedent(text ?? "");
    if (child.hasAttribute("data-hidden")) inline.hidden.add(path);
  }
  return inline;
}

/** Puts together inline files, a template or project, and a lock. */
export async function load(host: Element, inline: Inline, scripts: string): Promise<Source> {
  const template = host.getAttribute("template") ?? host.getAttribute("extends");
  const url = host.getAttribute("project") ?? (template && new URL(`templates/${template}.json`, scripts).href);
  const lockUrl = host.getAttribute("lock");
  const [base, lock] = await Promise.all([
    url ? (fetchOk(url).then((response) => response.json()) as Promise<ProjectFile>) : undefined,
    lockUrl ? fetchOk(lockUrl).then((response) => response.text()) : undefined,
  ]);
  if (base && (typeof base.files !== "object" || base.files === null)) throw new Error(`${url} holds no project: it has no "files".`);
  const files = { ...base?.files, ...inline.files };
  if (!Object.keys(files).length) throw new Error("This playground has no files.");
  return { files, entry: base?.entry, lock: lock ?? base?.lock, open: tabs(host, inline, base, files) };
}

function tabs(host: Element, inline: Inline, base: ProjectFile | undefined, files: Files): string[] {
  const named = host.getAttribute("open")?.split(/[\s,]+/).filter((path) => path in files);
  if (named?.length) return named;
  const own = Object.keys(inline.files);
  const listed = own.length ? own : (base?.open ?? Object.keys(files));
  return listed.filter((path) => typeof files[path] === "string" && !inline.hidden.has(path));
}

async function fetchOk(url: string): Promise<Response> {
  const response = await fetch(url, { credentials: "omit" }).catch(() => undefined);
  if (!response) throw new Error(`${url} can't be reached.`);
  if (!response.ok) throw new Error(`${url} answered ${response.status}.`);
  return response;
}
