// A project's last good build as one record.
//
// In:  `Engine.pack()`: addresses with their responses, and the project as text.
// Out: one body: the length of a header, the header as JSON, all texts and bytes
//      one after another. One record of a thousand files is read in the time
//      that a few single ones take.

/** A response as the engine gives it. */
export interface ResponseParts {
  status: number;
  headers: [string, string][];
  body?: string | Uint8Array<ArrayBuffer>;
}

/** What `Engine.pack()` returns. */
export interface Pack {
  entries: [string, ResponseParts][];
  /** For `Engine.restore()`. */
  project: string;
}

interface Header {
  project: number;
  entries: [path: string, status: number, headers: [string, string][], bytes: number][];
}

/** Writes a record. */
export function encodePack({ entries, project }: Pack): Uint8Array<ArrayBuffer>[] {
  const encoder = new TextEncoder();
  const bytes = (body: string | Uint8Array<ArrayBuffer> | undefined) => (typeof body === "string" ? encoder.encode(body) : (body ?? new Uint8Array()));
  const parts = [encoder.encode(project), ...entries.map(([, { body }]) => bytes(body))];
  const header: Header = {
    project: parts[0]!.length,
    entries: entries.map(([path, { status, headers }], index) => [path, status, headers, parts[index + 1]!.length]),
  };
  const text = encoder.encode(JSON.stringify(header));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, text.length);
  return [length, text, ...parts];
}

/** A record that was read: answers by address. */
export class StoredPack {
  readonly #places = new Map<string, { status: number; headers: [string, string][]; start: number; end: number }>();
  readonly #project: [number, number];

  constructor(private readonly buffer: ArrayBuffer) {
    const size = new DataView(buffer).getUint32(0);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size))) as Header;
    let at = 4 + size;
    this.#project = [at, (at += header.project)];
    for (const [path, status, headers, bytes] of header.entries) {
      this.#places.set(path, { status, headers, start: at, end: (at += bytes) });
    }
    if (at !== buffer.byteLength) throw new Error("the record is cut off");
  }

  /** The project, for an engine. */
  get project(): string {
    return new TextDecoder().decode(new Uint8Array(this.buffer, this.#project[0], this.#project[1] - this.#project[0]));
  }

  /** The response of an address. */
  answer(path: string): ResponseParts | undefined {
    const place = this.#places.get(path);
    if (!place) return undefined;
    const { status, headers, start, end } = place;
    return { status, headers, body: new Uint8Array(this.buffer, start, end - start) };
  }
}
