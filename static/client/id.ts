// Short stable names from text. Not cryptographic, and needn't be: whoever
// writes the page may name any sandbox anyway, and a sandbox holds no secret.

/** 26 letters and digits that depend on every character of `text`. */
export function hash(text: string): string {
  const lanes = [0x811c9dc5, 0x9e3779b9, 0x85ebca6b, 0xc2b2ae35];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    for (let lane = 0; lane < 4; lane++) {
      const mixed = Math.imul(lanes[lane]! ^ unit ^ (lane << 16), 0x01000193 + lane * 0x2c);
      lanes[lane] = mixed ^ (mixed >>> 15);
    }
  }
  return lanes
    .map((lane) => Math.imul(lane ^ (lane >>> 13), 0x5bd1e995) >>> 0)
    .map((lane) => lane.toString(36).padStart(7, "0").slice(-7))
    .join("")
    .slice(0, 26);
}

/** The name of a sandbox, fit for a host name: a letter, then letters and digits. */
export function sandboxId(page: string, name: string): string {
  return `s${hash(`${page}\n${name}`).slice(0, 20)}`;
}

/** The name that is tried when another tab holds the sandbox: `id-2`, `id-3`, … */
export function numbered(id: string, attempt: number): string {
  return attempt === 1 ? id : `${id}-${attempt}`;
}
