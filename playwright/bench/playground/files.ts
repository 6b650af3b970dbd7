// The peers' web server: files from folders, brotli as ours has it, every byte counted.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".ts": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
};

const compress = promisify(brotliCompress);

/** One answer: how many bytes of body went over the wire, and when. */
export interface Sent {
  path: string;
  bytes: number;
  at: number;
}

/** A page or file. */
export interface Body {
  content: Buffer;
  type: string;
}

/** Serves and counts. */
export class FileServer {
  /** What was sent since the last look. */
  sent: Sent[] = [];
  readonly #ready = new Map<string, { plain: Buffer; brotli: Buffer }>();

  /** `find` gives a file by path; `packed` is a folder that keeps compressed files from run to run. */
  constructor(private readonly find: (path: string) => Promise<Body | { redirect: string } | undefined>, private readonly packed: string) {}

  /** Answers one request. */
  readonly handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = new URL(request.url ?? "/", "http://files").pathname;
    const found = await this.find(path);
    if (!found || "redirect" in found) {
      response.writeHead(found ? 302 : 404, { "access-control-allow-origin": "*", ...(found && { location: found.redirect }) });
      response.end();
      return;
    }
    const { plain, brotli } = await this.#pack(found.content);
    const accepts = /\bbr\b/.test(request.headers["accept-encoding"] ?? "");
    const body = accepts ? brotli : plain;
    const etag = `"${digest(found.content)}"`;
    const headers = {
      "content-type": found.type,
      "access-control-allow-origin": "*",
      // Worth a validation as our own unhashed files are; what has a version in its path is kept.
      "cache-control": path.includes("@") || path.startsWith("/vendor/") ? "public, max-age=31536000, immutable" : "no-cache",
      etag,
      "service-worker-allowed": "/",
      ...(accepts && { "content-encoding": "br" }),
    };
    if (request.headers["if-none-match"] === etag) {
      response.writeHead(304, headers).end();
      return;
    }
    this.sent.push({ path, bytes: body.length, at: Date.now() });
    response.writeHead(200, { ...headers, "content-length": body.length }).end(body);
  };

  /** Compresses what will be asked for, so that no run waits for it. */
  async warm(paths: string[]): Promise<void> {
    for (const path of paths) {
      const found = await this.find(path);
      if (!found || "redirect" in found) throw new Error(`${path} is not there to be served`);
      await this.#pack(found.content);
    }
  }

  async #pack(plain: Buffer): Promise<{ plain: Buffer; brotli: Buffer }> {
    const key = digest(plain);
    const ready = this.#ready.get(key);
    if (ready) return ready;
    const file = join(this.packed, `${key}.br`);
    const brotli = existsSync(file) ? await readFile(file) : await best(plain);
    if (!existsSync(file)) await keep(this.packed, file, brotli);
    const made = { plain, brotli };
    this.#ready.set(key, made);
    return made;
  }
}

/** The quality that our own site is packed with. */
function best(plain: Buffer): Promise<Buffer> {
  return compress(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length } });
}

async function keep(folder: string, file: string, bytes: Buffer): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(`${file}.new`, bytes);
  await rename(`${file}.new`, file);
}

function digest(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 32);
}

/** A file below a folder; nothing for a path that leaves it. */
export async function fileOf(folder: string, path: string): Promise<Body | undefined> {
  const file = normalize(join(folder, path));
  if (!file.startsWith(normalize(`${folder}/`))) return undefined;
  const content = await readFile(file).catch(() => undefined);
  return content && { content, type: TYPES[extname(file)] ?? "application/octet-stream" };
}
