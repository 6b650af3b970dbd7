// The same React and TypeScript example on Sandglass, on playground-elements
// and on a page of esbuild-wasm, in real Chromium.
//
//   npm run bench:playground -- [--runs N] [--json PATH]
//
// The three take turns. Each run starts on an empty profile, and again on the
// profile that this left behind. Times are taken inside the pages; bytes in
// runs of their own, where our server stands behind a proxy that counts.

import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { launch, type Profile } from "../harness/chromium";
import { type Contestant, type Field, startField } from "./playground/contestants";
import type { Sent } from "./playground/files";
import { prepare, visit } from "./playground/measure";
import { align, kilobytes, machine, median, report, type Row, table } from "./playground/table";

const EDITS = 5;
const OURS = "sandglass";

interface Numbers {
  cold: Row;
  warm: Row;
  edit: Row;
  coldBytes: Row;
  warmBytes: Row;
}

const { values } = parseArgs({ options: { runs: { type: "string", default: "7" }, json: { type: "string" } } });
await main(Number(values.runs), values.json);

async function main(runs: number, json: string | undefined): Promise<void> {
  if (!Number.isInteger(runs) || runs < 1) throw new Error("--runs takes a whole number from 1");
  const field = await startField();
  try {
    const numbers = emptyNumbers(field);
    await warmUp(field);
    const files = await countBytes(field, numbers);
    for (let run = 0; run < runs; run++) {
      // Nobody is always first.
      const order = field.contestants.map((_, index) => field.contestants[(index + run) % field.contestants.length]!);
      for (const contestant of order) await oneRun(contestant, numbers);
      process.stderr.write(`run ${run + 1} of ${runs}\n`);
    }
    const rows = Object.values(numbers) as Row[];
    process.stdout.write(`${machine()}\n\n${table(rows, OURS)}\n\n${byFile(files)}\n`);
    if (json) await writeFile(json, `${JSON.stringify(report("playground", rows, OURS), null, 2)}\n`);
  } finally {
    await field.close();
  }
}

/** Empty profile with edits, then the same profile in a new browser process. */
async function oneRun(contestant: Contestant, numbers: Numbers): Promise<void> {
  await inProfile(async (profile) => {
    const cold = await visit(profile.context, await prepare(profile.context), contestant, contestant.url, EDITS);
    put(numbers.cold, contestant, cold.renderMs);
    put(numbers.edit, contestant, median(cold.editMs));
    const context = await profile.restart();
    const warm = await visit(context, await prepare(context), contestant, contestant.url, 0);
    put(numbers.warm, contestant, warm.renderMs);
  });
}

/** One visit to every page, so that our servers have built what they build once. */
async function warmUp(field: Field): Promise<void> {
  for (const contestant of field.contestants) {
    for (const url of new Set([contestant.url, contestant.countedUrl])) {
      await inProfile(async (profile) => void (await visit(profile.context, await prepare(profile.context), contestant, url, 0)));
    }
  }
}

/** A visit of each on an empty and on a warm profile, where bytes are counted. */
async function countBytes(field: Field, numbers: Numbers): Promise<Map<string, Sent[]>> {
  const files = new Map<string, Sent[]>();
  for (const contestant of field.contestants) {
    await inProfile(async (profile) => {
      const cold = await visit(profile.context, await prepare(profile.context), contestant, contestant.countedUrl, 0);
      const context = await profile.restart();
      const warm = await visit(context, await prepare(context), contestant, contestant.countedUrl, 0);
      put(numbers.coldBytes, contestant, sum(cold.sent));
      put(numbers.warmBytes, contestant, sum(warm.sent));
      files.set(contestant.name, cold.sent);
    });
  }
  return files;
}

async function inProfile(work: (profile: Profile) => Promise<void>): Promise<void> {
  const profile = await launch();
  try {
    await work(profile);
  } finally {
    await profile.close();
  }
}

function emptyNumbers({ contestants }: Field): Numbers {
  const row = (name: string, unit: Row["unit"]): Row => ({ name, unit, values: new Map(contestants.map((contestant) => [contestant.name, []])) });
  return {
    cold: row("navigation → first render, empty profile", "ms"),
    warm: row("navigation → first render, warm profile", "ms"),
    edit: row("edit → DOM updated", "ms"),
    coldBytes: row("bytes before first render, empty profile", "bytes"),
    warmBytes: row("bytes before first render, warm profile", "bytes"),
  };
}

function put(row: Row, contestant: Contestant, value: number): void {
  row.values.get(contestant.name)!.push(value);
}

function sum(sent: Sent[]): number {
  return sent.reduce((bytes, one) => bytes + one.bytes, 0);
}

/** Each file that came before the first render on an empty profile. */
function byFile(files: Map<string, Sent[]>): string {
  const parts = [...files].map(([name, sent]) => {
    const paths = new Map<string, number>();
    for (const { path, bytes } of sent) paths.set(path, (paths.get(path) ?? 0) + bytes);
    const lines = [...paths].sort(([, a], [, b]) => b - a).map(([path, bytes]) => [`  ${path}`, kilobytes(bytes)]);
    return align([[name, kilobytes(sum(sent))], ...lines]);
  });
  return `Bytes before the first render on an empty profile, by file\n\n${parts.join("\n\n")}`;
}
