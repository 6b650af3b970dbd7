// The linked form's semantics as ARCHITECTURE.md has them, small and slow: what
// the transform writes is run against this, not against the real runtime.
globalThis.__sg = (() => {
  "use strict";
  const modules = new Map();
  const registrations = [];

  function d(id, kind, statics, requests, factory) {
    modules.set(id, { id, kind, statics, requests, factory, names: {}, stars: [], state: "new", ns: undefined });
  }

  const isCommonJs = (module) => (module.kind & 3) === 0;

  function get(id) {
    const module = modules.get(id);
    if (!module) throw new Error(`module ${id} is missing`);
    return module;
  }

  // Names of CommonJS are known once it ran, so its namespace looks on each access.
  function commonJsNamespace(module, importer) {
    const strict = (importer.kind & 8) !== 0;
    const value = (key) => {
      const exports = module.record.exports;
      const plain = strict || exports == null || !exports.__esModule;
      if (key === "default" && plain) return exports;
      return exports?.[key];
    };
    return new Proxy(Object.create(null), {
      get: (_, key) => value(key),
      has: (_, key) => key === "default" || (module.record.exports != null && key in Object(module.record.exports)),
      ownKeys: () => [...new Set([...Object.keys(Object(module.record.exports)), "default"])],
      getOwnPropertyDescriptor: (_, key) => ({ value: value(key), enumerable: true, configurable: true }),
    });
  }

  function resolve(module, name, seen = new Set()) {
    if (Object.hasOwn(module.names, name)) return module.names[name];
    if (name === "default" || seen.has(module)) return undefined;
    seen.add(module);
    let found;
    for (const star of module.stars) {
      if (isCommonJs(star)) {
        if (star.record && name in Object(star.record.exports)) found ??= () => star.record.exports[name];
        continue;
      }
      found ??= resolve(star, name, seen);
    }
    return found;
  }

  function names(module, seen = new Set()) {
    if (seen.has(module)) return [];
    seen.add(module);
    if (isCommonJs(module)) return module.record ? Object.keys(Object(module.record.exports)) : [];
    const starred = module.stars.flatMap((star) => names(star, seen)).filter((name) => name !== "default");
    return [...new Set([...Object.keys(module.names), ...starred])];
  }

  function namespace(module, importer) {
    if (isCommonJs(module)) return commonJsNamespace(module, importer);
    module.ns ??= new Proxy(Object.create(null), {
      get: (_, key) => (typeof key === "symbol" ? undefined : resolve(module, key)?.()),
      has: (_, key) => resolve(module, key) !== undefined,
      ownKeys: () => names(module).sort(),
      getOwnPropertyDescriptor: (_, key) => {
        const getter = resolve(module, key);
        return getter && { value: getter(), enumerable: true, configurable: true };
      },
      set: (_, key) => {
        throw new TypeError(`${String(key)} can't be assigned to`);
      },
    });
    return module.ns;
  }

  function link(module) {
    if (module.state !== "new") return;
    module.state = "linked";
    if (isCommonJs(module)) {
      module.record = { exports: {}, id: module.id };
      return;
    }
    const targets = module.statics.map(get);
    const starred = new Map(targets.map((target) => [namespace(target, module), target]));
    const meta = { url: `http://preview${module.id}`, env: { MODE: "development" } };
    const $m = {
      x: (getters) => void Object.assign(module.names, getters),
      s: (ns) => void module.stars.push(starred.get(ns)),
      i: (specifier) => dynamic(module, specifier),
      require: (specifier) => required(module, specifier),
      r: (type, name) => void registrations.push([name, type]),
      g: () => (type) => type,
      meta,
    };
    const { factory } = module;
    module.iterator = factory($m, ...starred.keys());
    module.hoisted = module.iterator.next();
    targets.forEach(link);
  }

  // A promise where something is awaited, else nothing.
  function evaluate(module) {
    if (module.failed) throw module.failed.error;
    if (module.state !== "linked") return module.running;
    module.state = "evaluated";
    try {
      return start(module);
    } catch (error) {
      // As in Node, a failed CommonJS module is run anew when asked for again.
      if (isCommonJs(module)) Object.assign(module, { state: "linked", record: { exports: {}, id: module.id } });
      else module.failed = { error };
      throw error;
    }
  }

  function start(module) {
    if (isCommonJs(module)) {
      const { record } = module;
      const require = (specifier) => required(module, specifier);
      require.import = (specifier) => dynamic(module, specifier);
      module.factory.call(record.exports, record.exports, record, require);
      return;
    }
    const targets = module.statics.map(get);
    const step = (index) => {
      for (; index < targets.length; index++) {
        const waits = evaluate(targets[index]);
        if (waits) return waits.then(() => step(index + 1));
      }
      if ((module.kind & 3) === 1) return void module.iterator.next();
      return module.hoisted.then(() => module.iterator.next());
    };
    module.running = step(0);
    return module.running;
  }

  function target(module, specifier) {
    const id = module.requests[specifier];
    if (id == null) throw new Error(`Cannot find module '${specifier}'`);
    return get(id);
  }

  function required(module, specifier) {
    const found = target(module, specifier);
    link(found);
    evaluate(found);
    if (isCommonJs(found)) return found.record.exports;
    const ns = namespace(found, module);
    return new Proxy(ns, { get: (_, key) => (key === "__esModule" ? true : ns[key]) });
  }

  async function dynamic(module, specifier) {
    const found = target(module, specifier);
    link(found);
    await evaluate(found);
    return namespace(found, module);
  }

  function run(id) {
    const module = get(id);
    link(module);
    return evaluate(module);
  }

  return { d, run, registrations, namespace: (id) => namespace(get(id), get(id)) };
})();
