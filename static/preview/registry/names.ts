// What a module's importers see: namespaces of ES modules and of CommonJS.
//
// In:  getters, star exports, `module.exports`.
// Out: properties on namespace objects, as ES has them: live, sorted, without
//      names that two star exports give differently. CommonJS is seen as Node
//      and esbuild see it.

import { emptyNamespace, State, type Getter, type Module } from "./module";

type Names = Map<string, Getter[]>;

/** The namespace of `module` as `importer` sees it. */
export function namespaceFor(module: Module, importer: Module): object {
  if (module.isEsm || !importer.nodeInterop) return module.namespace;
  if (!module.nodeNamespace) {
    module.nodeNamespace = emptyNamespace();
    fillCommon(module);
  }
  return module.nodeNamespace;
}

/** Puts an ES module's exports on its namespace. Final: everything it takes from has run. */
export function bindNamespace(module: Module, final: boolean): void {
  const { namespace } = module;
  if (!Object.isExtensible(namespace)) return;
  const names = exportedNames(module, new Set());
  let conflicts = false;
  for (const name of [...names.keys()].sort()) {
    const getters = names.get(name)!;
    if (getters.length > 1) {
      conflicts = true;
      // Only values tell whether two star exports are one binding, re-exported on two ways.
      if (final && !agree(getters)) {
        delete (namespace as Record<string, unknown>)[name];
        continue;
      }
    }
    if (!Object.hasOwn(namespace, name)) {
      Object.defineProperty(namespace, name, { get: getters[0]!, enumerable: true, configurable: getters.length > 1 });
    }
  }
  if (final || !(conflicts || dependsOnCommon(module, new Set()))) Object.preventExtensions(namespace);
}

/** Whether names may still come or go once the modules before it have run. */
export function isOpen(module: Module): boolean {
  return Object.isExtensible(module.namespace);
}

function exportedNames(module: Module, seen: Set<Module>): Names {
  const names: Names = new Map();
  if (seen.has(module)) return names;
  seen.add(module);
  if (!module.isEsm) return commonNames(module);
  for (const star of module.stars) {
    for (const [name, getters] of exportedNames(star, seen)) {
      if (name === "default") continue;
      const known = names.get(name);
      if (!known) names.set(name, [...getters]);
      else for (const getter of getters) if (!known.includes(getter)) known.push(getter);
    }
  }
  for (const name of Object.keys(module.getters)) names.set(name, [module.getters[name]!]);
  return names;
}

function agree(getters: Getter[]): boolean {
  try {
    const first = getters[0]!();
    return getters.every((getter) => Object.is(getter(), first));
  } catch {
    // One of them isn't initialised yet, so they can't be told apart.
    return true;
  }
}

function dependsOnCommon(module: Module, seen: Set<Module>): boolean {
  if (seen.has(module)) return false;
  seen.add(module);
  return !module.isEsm || module.stars.some((star) => dependsOnCommon(star, seen));
}

function commonNames(module: Module): Names {
  const names: Names = new Map();
  for (const name of commonKeys(module.common?.exports)) {
    module.getters[name] ??= () => (module.common!.exports as Record<string, unknown>)[name];
    names.set(name, [module.getters[name]]);
  }
  return names;
}

const FUNCTION_KEYS = new Set(["length", "name", "prototype", "arguments", "caller"]);

function commonKeys(exports: unknown): string[] {
  if (typeof exports === "function") return Object.getOwnPropertyNames(exports).filter((key) => !FUNCTION_KEYS.has(key));
  return typeof exports === "object" && exports !== null ? Object.getOwnPropertyNames(exports) : [];
}

/** Puts what a CommonJS module exports so far on its namespaces. */
export function fillCommon(module: Module): void {
  if (!module.common) return;
  const { exports } = module.common;
  for (const namespace of [module.namespace, module.nodeNamespace]) {
    if (!namespace) continue;
    define(namespace, "default", defaultGetter(module, namespace === module.nodeNamespace), true);
    for (const [name, [getter]] of commonNames(module)) {
      define(namespace, name, getter!, Object.prototype.propertyIsEnumerable.call(exports, name));
    }
    if (module.state === State.Evaluated) Object.preventExtensions(namespace);
  }
}

function defaultGetter(module: Module, node: boolean): Getter {
  const common = module.common!;
  // In a cycle it may be seen before it says that it was an ES module.
  return () => (!node && isMarked(common.exports) ? (common.exports as { default?: unknown }).default : common.exports);
}

function define(namespace: object, name: string, get: Getter, enumerable: boolean): void {
  if (!Object.hasOwn(namespace, name)) Object.defineProperty(namespace, name, { get, enumerable, configurable: true });
}

/** A module that was compiled from ES and says so. */
function isMarked(exports: unknown): boolean {
  return (typeof exports === "object" || typeof exports === "function") && exports !== null && Boolean((exports as { __esModule?: unknown }).__esModule);
}

/** What `require` of an ES module gives: its exports, marked as those of one. */
export function requiredView(module: Module): unknown {
  // A module can name its own value for `require`, as in Node.
  const own = module.getters["module.exports"];
  if (own) return own();
  const view = (module.commonView ??= Object.defineProperty({}, "__esModule", { value: true }));
  for (const name of Object.keys(module.namespace)) {
    if (!Object.hasOwn(view, name)) {
      Object.defineProperty(view, name, { get: () => (module.namespace as Record<string, unknown>)[name], enumerable: true });
    }
  }
  return view;
}
