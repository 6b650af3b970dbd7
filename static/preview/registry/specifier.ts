// Specifiers that only exist at run time: import(`./pages/${name}.js`).

const EXTENSIONS = ["", ".tsx", ".ts", ".jsx", ".js", ".mjs", ".json", "/index.tsx", "/index.ts", "/index.jsx", "/index.js"];

/** Whether an id is the address of something on the network. */
export function isUrl(id: string): boolean {
  return /^[a-z][a-z0-9+.-]*:/i.test(id);
}

/** The id that a computed specifier leads to. */
export function resolveComputed(specifier: string, importer: string, exists: (id: string) => boolean): string | undefined {
  if (isUrl(specifier)) return specifier;
  if (!/^\.{0,2}\//.test(specifier)) return undefined;
  const { pathname, search } = new URL(specifier, new URL(importer, "http://x"));
  const path = decodeURI(pathname);
  // `./a.js` may mean `./a.ts`, as TypeScript has it.
  const bases = [path, path.replace(/\.(m?)js(x?)$/, ".$1ts$2"), path.replace(/\.jsx?$/, ".tsx")];
  for (const base of bases) {
    const found = EXTENSIONS.map((extension) => base + extension + search).find(exists);
    if (found !== undefined) return found;
  }
  return undefined;
}
