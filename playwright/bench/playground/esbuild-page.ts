// The esbuild-wasm contestant: an in-memory plugin, a bundle an edit, a new document in a frame.
//
// React stays outside of the bundle and comes as ES modules by an import map,
// so that an edit bundles the project's own files alone: the quickest way there is with this tool.

import { build, initialize, type Loader, type Plugin } from "esbuild-wasm/esm/browser.js";

interface Settings {
  files: Record<string, string>;
  imports: Record<string, string>;
}

const settings = JSON.parse(document.getElementById("settings")!.textContent!) as Settings;
const files = settings.files;
const ready = initialize({ wasmURL: new URL("./esbuild.wasm", import.meta.url).href });

const memory: Plugin = {
  name: "memory",
  setup(setup) {
    setup.onResolve({ filter: /^\.{0,2}\// }, ({ path, resolveDir, importer }) => {
      const from = importer === "" ? "/" : resolveDir;
      const full = new URL(path, `http://x${from.replace(/\/?$/, "/")}`).pathname;
      const written = [full, full.replace(/\.js$/, ".tsx"), full.replace(/\.js$/, ".ts")].find((name) => name in files);
      return written === undefined ? { errors: [{ text: `${path} is not there` }] } : { path: written, namespace: "memory" };
    });
    setup.onLoad({ filter: /.*/, namespace: "memory" }, ({ path }) => ({
      contents: files[path]!,
      loader: path.slice(path.lastIndexOf(".") + 1) as Loader,
      resolveDir: path.slice(0, path.lastIndexOf("/")) || "/",
    }));
  },
};

async function run(): Promise<void> {
  await ready;
  const result = await build({
    entryPoints: ["/src/main.tsx"],
    bundle: true,
    write: false,
    format: "esm",
    sourcemap: "inline",
    external: Object.keys(settings.imports),
    plugins: [memory],
  });
  const script = result.outputFiles[0]!.text.replaceAll("</script", "<\\/script");
  document.querySelector("iframe")!.srcdoc = files["/index.html"]!
    .replace(/<link rel="stylesheet"[^>]*>/, () => `<style>${files["/src/style.css"]!}</style><script type="importmap">${JSON.stringify({ imports: settings.imports })}</script>`)
    .replace(/<script type="module"[^>]*><\/script>/, () => `<script type="module">${script}</script>`);
}

Object.assign(globalThis, {
  edit(text: string) {
    files["/src/App.tsx"] = text;
    void run();
  },
});
void run();
