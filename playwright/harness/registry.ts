// A package registry with faults, one a package.

import { createHash } from "node:crypto";
import { listen } from "./ports";
import { tarball } from "./tar";

/** What is wrong with a package. */
type Fault = "none" | "hangs" | "corrupt";

interface Package {
  fault: Fault;
  version: string;
  tarball: Buffer;
}

/** A package of one module that exports a sentence. */
function oneModule(name: string, fault: Fault): Package {
  const version = "1.0.0";
  const files = {
    "package.json": JSON.stringify({ name, version, main: "index.js" }),
    "index.js": `exports.says = ${JSON.stringify(`${name} works`)};\n`,
  };
  return { fault, version, tarball: tarball(files) };
}

const PACKAGES: Record<string, Package> = {
  "well-made": oneModule("well-made", "none"),
  "never-answers": oneModule("never-answers", "hangs"),
  "torn-apart": oneModule("torn-apart", "corrupt"),
};

/** A registry of our own. */
export interface Registry {
  url: string;
  close(): Promise<void>;
}

/** Serves the packages: packuments and tarballs, as far as they are well. */
export async function startRegistry(): Promise<Registry> {
  const listening = await listen((request, response) => {
    const [, name = "", dash] = decodeURIComponent(request.url ?? "/").split("/");
    const found = PACKAGES[name];
    if (!found) {
      response.writeHead(404, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: "Not found" }));
    } else if (found.fault === "hangs") {
      // The answer never comes; the connection stays open.
    } else if (dash === "-") {
      response.writeHead(200, { "content-type": "application/octet-stream" });
      response.end(found.fault === "corrupt" ? broken(found.tarball) : found.tarball);
    } else {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(packument(name, found, `http://${request.headers.host}`)));
    }
  });
  return { url: `http://127.0.0.1:${listening.port}/`, close: listening.close };
}

function packument(name: string, { version, tarball: bytes }: Package, registry: string): object {
  const dist = {
    tarball: `${registry}/${name}/-/${name}-${version}.tgz`,
    integrity: `sha512-${createHash("sha512").update(bytes).digest("base64")}`,
    shasum: createHash("sha1").update(bytes).digest("hex"),
  };
  return { name, "dist-tags": { latest: version }, versions: { [version]: { name, version, main: "index.js", dist } } };
}

/** The same length, but another byte in the middle. */
function broken(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[copy.length >> 1]! ^= 0xff;
  return copy;
}
