// Languages by file name, each loaded when the first such file is shown.

import type { Extension } from "@codemirror/state";

const BY_ENDING: Record<string, () => Promise<Extension>> = {
  js: () => script({}),
  mjs: () => script({}),
  cjs: () => script({}),
  jsx: () => script({ jsx: true }),
  ts: () => script({ typescript: true }),
  mts: () => script({ typescript: true }),
  cts: () => script({ typescript: true }),
  tsx: () => script({ jsx: true, typescript: true }),
  css: async () => (await import("@codemirror/lang-css")).css(),
  html: async () => (await import("@codemirror/lang-html")).html(),
  svg: async () => (await import("@codemirror/lang-html")).html(),
  json: async () => (await import("@codemirror/lang-json")).json(),
};

async function script(config: { jsx?: boolean; typescript?: boolean }): Promise<Extension> {
  return (await import("@codemirror/lang-javascript")).javascript(config);
}

/** The language of a file; plain text where it has none or can't be loaded. */
export async function languageOf(path: string): Promise<Extension> {
  const ending = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  const load = Object.hasOwn(BY_ENDING, ending) ? BY_ENDING[ending] : undefined;
  return load ? load().catch(() => []) : [];
}
