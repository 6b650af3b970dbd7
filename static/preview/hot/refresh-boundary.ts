// React Fast Refresh: which modules can be replaced because all they export are components.

import type { Module } from "../registry/module";
import { KIND } from "../registry/module";
import type { Refresh } from "../registry/registry";

/** Whether React can take a new version of this module without its importers' help. */
export function isRefreshBoundary(module: Module, refresh: Refresh | undefined): boolean {
  if (!refresh || (module.definition.kind & KIND.refresh) === 0 || !module.isEsm) return false;
  const exports = values(module);
  return exports !== undefined && exports.length > 0 && exports.every(([, value]) => refresh.isLikelyComponentType(value));
}

/** Why importers have to take the new version too; undefined: they needn't. */
export function whyIncompatible(old: Module, next: Module, refresh: Refresh): string | undefined {
  const before = new Map(values(old));
  const after = new Map(values(next));
  for (const name of before.keys()) if (!after.has(name)) return `it doesn't export ${name} any more`;
  for (const [name, value] of after) {
    if (!before.has(name)) return `it exports ${name} now`;
    if (!refresh.isLikelyComponentType(value) && before.get(name) !== value) return `its export ${name} isn't a component`;
  }
  return undefined;
}

function values(module: Module): [string, unknown][] | undefined {
  try {
    return Object.keys(module.namespace).map((name) => [name, (module.namespace as Record<string, unknown>)[name]]);
  } catch {
    // An export that was never initialised: its module failed.
    return undefined;
  }
}
