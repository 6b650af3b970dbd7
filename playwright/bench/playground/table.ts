// Medians, ratios, and how they are shown and written.

import { cpus, totalmem } from "node:os";

/** One measured quantity; lower is better. */
export interface Row {
  name: string;
  unit: "ms" | "bytes";
  /** Contestant → values. */
  values: Map<string, number[]>;
}

/** The middle value. */
export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Ours as a part of a peer's; nothing against nothing is a draw. */
function ratio(ours: number, peer: number): number {
  return ours === peer ? 1 : ours / peer;
}

/** What `--json` writes. */
export function report(bench: string, rows: Row[], ours: string): object {
  return { bench, machine: machine(), rows: rows.map((row) => json(row, ours)) };
}

/** The machine in one line. */
export function machine(): string {
  const [cpu] = cpus();
  return `${cpus().length} × ${cpu?.model.trim() ?? "CPU"}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${process.arch}`;
}

function json({ name, unit, values }: Row, ours: string): object {
  const own = median(values.get(ours)!);
  const peers = [...values].filter(([contestant]) => contestant !== ours).map(([contestant, list]): [string, number] => [contestant, median(list)]);
  return {
    name,
    unit,
    better: "lower",
    ours: round(own),
    peers: Object.fromEntries(peers.map(([contestant, value]) => [contestant, round(value)])),
    ratio: Object.fromEntries(peers.map(([contestant, value]) => [contestant, Math.round(1000 * ratio(own, value)) / 1000])),
    runs: values.get(ours)!.length,
  };
}

/** Rows as a table: medians, lowest and highest, and ours as a part of each peer's. */
export function table(rows: Row[], ours: string): string {
  const names = [...rows[0]!.values.keys()];
  const head = ["median (lowest–highest)", ...names, ...names.filter((name) => name !== ours).map((name) => `ours / ${name}`)];
  const lines = rows.map(({ name, unit, values }) => {
    const own = median(values.get(ours)!);
    const cells = names.map((contestant) => cell(values.get(contestant)!, unit));
    const ratios = names.filter((contestant) => contestant !== ours).map((contestant) => ratio(own, median(values.get(contestant)!)).toFixed(2));
    return [name, ...cells, ...ratios];
  });
  return align([head, ...lines]);
}

/** Columns of equal width; all but the first are flush right. */
export function align(lines: string[][]): string {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines.map((line) => line.map((text, column) => (column ? text.padStart(widths[column]!) : text.padEnd(widths[column]!))).join("  ").trimEnd()).join("\n");
}

/** Bytes for people. */
export function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}

function cell(values: number[], unit: Row["unit"]): string {
  const show = (value: number) => (unit === "bytes" ? kilobytes(value) : `${Math.round(value)}`);
  const range = Math.min(...values) === Math.max(...values) ? "" : ` (${show(Math.min(...values))}–${show(Math.max(...values))})`;
  return `${show(median(values))}${unit === "ms" ? " ms" : ""}${range}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
