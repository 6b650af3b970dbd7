// `import.meta.hot`: what modules say about being replaced.
//
// The contract is Vite's, so that libraries and compilers made for it work.

import type { Module } from "../registry/module";

type Callback = (...args: never[]) => unknown;

/** What one instance of a module has said. */
export interface HotState {
  /** It can be replaced itself; called with the new namespace. */
  self: ((module: object | undefined) => unknown)[];
  acceptsSelf: boolean;
  /** It can take new versions of these (ids). */
  dependencies: { ids: string[]; callback(modules: (object | undefined)[]): unknown }[];
  disposers: ((data: object) => unknown)[];
  pruners: ((data: object) => unknown)[];
  declined: boolean;
  listeners: [string, Callback][];
}

/** What contexts need of the update machinery. */
export interface HotHost {
  invalidate(id: string, message: string | undefined): void;
}

/** All contexts of a page, with what outlives an instance. */
export class HotContexts {
  readonly #data = new Map<string, object>();
  readonly #listeners = new Map<string, Set<Callback>>();

  constructor(private readonly host: HotHost) {}

  /** Makes a module's `import.meta.hot`. */
  create(module: Module): object {
    const state = stateOf(module);
    const accept = (dependencies?: unknown, callback?: unknown) => this.#accept(module, state, dependencies, callback);
    return {
      data: this.data(module.id),
      accept,
      acceptExports: (_names: unknown, callback?: unknown) => accept(callback),
      dispose: (callback: (data: object) => unknown) => void state.disposers.push(callback),
      prune: (callback: (data: object) => unknown) => void state.pruners.push(callback),
      decline: () => void (state.declined = true),
      invalidate: (message?: string) => this.host.invalidate(module.id, message),
      on: (event: string, callback: Callback) => {
        state.listeners.push([event, callback]);
        this.#listenersOf(event).add(callback);
      },
      off: (event: string, callback: Callback) => void this.#listenersOf(event).delete(callback),
      // There is no server's plugin behind a preview that could answer.
      send: () => {},
    };
  }

  /** What a module keeps for its next version. */
  data(id: string): object {
    let data = this.#data.get(id);
    if (!data) this.#data.set(id, (data = {}));
    return data;
  }

  /** Tells an instance that another takes its place. */
  async dispose(module: Module): Promise<void> {
    const { hot } = module;
    if (!hot) return;
    for (const [event, callback] of hot.listeners) this.#listenersOf(event).delete(callback);
    for (const disposer of hot.disposers) await disposer(this.data(module.id));
  }

  /** Tells an instance that nothing imports it any more. */
  async prune(module: Module): Promise<void> {
    for (const pruner of module.hot?.pruners ?? []) await pruner(this.data(module.id));
    this.#data.delete(module.id);
  }

  /** Calls listeners of an event; `payload` as Vite gives it. */
  async emit(event: string, payload: unknown): Promise<void> {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) await (listener as (payload: unknown) => unknown)(payload);
  }

  #listenersOf(event: string): Set<Callback> {
    let listeners = this.#listeners.get(event);
    if (!listeners) this.#listeners.set(event, (listeners = new Set()));
    return listeners;
  }

  #accept(module: Module, state: HotState, dependencies: unknown, callback: unknown): void {
    if (typeof dependencies === "function" || dependencies === undefined) {
      state.acceptsSelf = true;
      if (dependencies) state.self.push(dependencies as (module: object | undefined) => unknown);
      return;
    }
    const many = Array.isArray(dependencies);
    const ids = (many ? dependencies : [dependencies]).map((specifier) => idOf(module, String(specifier)));
    const call = typeof callback === "function" ? (callback as (argument: unknown) => unknown) : () => {};
    state.dependencies.push({ ids, callback: (modules) => call(many ? modules : modules[0]) });
  }
}

function stateOf(module: Module): HotState {
  return (module.hot ??= {
    self: [],
    acceptsSelf: false,
    dependencies: [],
    disposers: [],
    pruners: [],
    declined: false,
    listeners: [],
  });
}

/** A specifier of `accept` is one of the module's imports as it is written there, or a path. */
function idOf(module: Module, specifier: string): string {
  const { statics } = module.definition;
  const found = module.registry.resolve(module, specifier);
  if (found !== undefined && module.registry.definitions.has(found)) return found;
  // Static imports are known by id only: the one that the specifier's last part names.
  const stem = specifier.replace(/^(\.{0,2}\/)+/, "").replace(/\.\w+$/, "");
  return statics.find((id) => id !== null && id.replace(/\.\w+$/, "").endsWith(`/${stem}`)) ?? found ?? specifier;
}
