// Applies an update to a running page: new registrations in, new instances out.
//
// What fails while it runs leaves the old instances in place, and is tried
// again with the next update. Only a change that nothing can take makes the
// page load anew.

import { HotContexts } from "./context";
import { propagate, propagateInvalidated, type DeadEnd, type Graph, type Plan } from "./propagate";
import { isRefreshBoundary, whyIncompatible } from "./refresh-boundary";
import type { Definition, Module } from "../registry/module";
import type { Registry } from "../registry/registry";

/** What `__sg.patch` is given; `styles` are sheets that the document links. */
export interface Patch {
  from: number;
  to: number;
  /** Script text with registrations. */
  code: string;
  changed: string[];
  removed: string[];
  styles: { path: string; text?: string }[];
}

/** How an update got into the page, or that it couldn't. */
export type Applied = "hot" | "style" | "reload";

/** What updates need from a page. */
export interface UpdateHost {
  /** Runs script text in the page's global scope. */
  run(code: string): void;
  /** An error of the user's code. */
  report(error: unknown): void;
  /** Removes what `$m.css` installed. */
  removeStyle(id: string): void;
  /** An update that wasn't asked for by an edit (`invalidate`) found no one to take it. */
  reload(reason: string): void;
  /** Words for the developer. */
  note(text: string): void;
}

/** Modules that give up in turn can't go on for ever. */
const MAX_ROUNDS = 20;

/** The update machinery of a page. */
export class Updates {
  readonly contexts = new HotContexts({ invalidate: (id, message) => this.#invalidate(id, message) });
  readonly entries = new Set<string>();
  /** Instances whose new version failed. */
  readonly #failed = new Set<string>();
  #invalidated: string[] = [];
  #queue: Promise<unknown> = Promise.resolve();
  #running = false;

  constructor(
    private readonly registry: Registry,
    private readonly host: UpdateHost,
  ) {}

  /** Applies updates one after another. */
  apply(patch: Pick<Patch, "code" | "changed" | "removed">): Promise<Applied> {
    return this.#enqueue(() => this.#apply(patch));
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(async () => {
      this.#running = true;
      try {
        return await work();
      } finally {
        this.#running = false;
      }
    });
    this.#queue = result.catch(() => {});
    return result;
  }

  async #apply(patch: Pick<Patch, "code" | "changed" | "removed">): Promise<Applied> {
    const arrived = this.registry.collect(() => this.host.run(patch.code));
    const start = [...patch.changed, ...this.#failed].filter((id) => this.registry.modules.has(id));
    const plan = propagate(start, this.#graph());
    if ("deadEnd" in plan) return this.#giveUp(plan);
    const onlyStyles = [...plan.outdated].every((id) => /\.css(\?|$)/.test(id));
    this.#failed.clear();
    await this.#round(plan, arrived);
    for (const id of patch.removed) await this.#remove(id);
    const end = await this.#followInvalidations();
    if (end) return this.#giveUp(end);
    return onlyStyles && plan.outdated.size > 0 ? "style" : "hot";
  }

  async #followInvalidations(): Promise<DeadEnd | undefined> {
    for (let round = 0; this.#invalidated.length; round++) {
      const id = this.#invalidated.shift()!;
      if (round === MAX_ROUNDS) return { deadEnd: id };
      const plan = propagateInvalidated(id, this.#graph());
      if ("deadEnd" in plan) return plan;
      await this.#round(plan, new Map());
    }
    this.registry.host.refresh?.performReactRefresh();
    return undefined;
  }

  async #giveUp({ deadEnd }: DeadEnd): Promise<"reload"> {
    this.#invalidated = [];
    await this.contexts.emit("vite:beforeFullReload", { type: "full-reload", path: deadEnd }).catch((error: unknown) => this.host.report(error));
    return "reload";
  }

  /** Replaces the outdated instances and tells the boundaries. */
  async #round(plan: Plan, arrived: Map<string, Definition>): Promise<void> {
    const { registry } = this;
    const payload = {
      type: "update",
      updates: plan.boundaries.map(({ id, via }) => ({ type: "js-update", path: id, acceptedPath: via, timestamp: 0 })),
    };
    await this.#guarded(() => this.contexts.emit("vite:beforeUpdate", payload));
    const old = new Map<string, Module>();
    for (const id of plan.outdated) {
      const module = registry.modules.get(id);
      if (!module) continue;
      old.set(id, module);
      await this.#guarded(() => this.contexts.dispose(module));
    }
    for (const [id, definition] of arrived) registry.definitions.set(id, definition);
    for (const id of old.keys()) registry.modules.delete(id);
    const { callbacks, failed } = await this.#renew(plan, old);
    const mentioned = this.#mentioned();
    for (const [id, module] of old) await this.#settle(id, module, failed, mentioned);
    for (const callback of callbacks) await this.#guarded(callback);
    await this.#guarded(() => this.contexts.emit("vite:afterUpdate", payload));
  }

  /** Runs the new versions; what it returns tells the boundaries of them. */
  async #renew(plan: Plan, old: Map<string, Module>): Promise<{ callbacks: (() => unknown)[]; failed: boolean }> {
    const callbacks: (() => unknown)[] = [];
    let failed = false;
    for (const { id, via } of plan.boundaries) {
      const renewed = await this.#guarded(() => this.registry.run(via));
      if (!renewed) {
        failed = true;
        continue;
      }
      if (id === via) {
        const before = old.get(id);
        for (const callback of before?.hot?.self ?? []) callbacks.push(() => callback(renewed));
        this.#checkBoundary(before, this.registry.modules.get(id));
        continue;
      }
      // An importer that runs anew itself has the new version already.
      if (plan.outdated.has(id)) continue;
      for (const { ids, callback } of this.registry.modules.get(id)?.hot?.dependencies ?? []) {
        if (ids.includes(via)) callbacks.push(() => callback(ids.map((each) => (each === via ? renewed : undefined))));
      }
    }
    return { callbacks, failed };
  }

  #checkBoundary(before: Module | undefined, after: Module | undefined): void {
    const { refresh } = this.registry.host;
    if (!before || !after || !refresh || before.hot?.acceptsSelf || !isRefreshBoundary(before, refresh)) return;
    const why = whyIncompatible(before, after, refresh);
    if (why) this.#invalidate(before.id, `Fast Refresh: ${why}`);
  }

  /** After a round: what failed gives way to the old instance, what nothing imports any more goes. */
  async #settle(id: string, old: Module, failed: boolean, mentioned: Set<string>): Promise<void> {
    const now = this.registry.modules.get(id);
    if (now && !now.error) return;
    if (now || failed) {
      this.registry.modules.set(id, old);
      this.#failed.add(id);
    } else if (!mentioned.has(id)) {
      await this.#pruned(old);
    }
  }

  async #remove(id: string): Promise<void> {
    const module = this.registry.modules.get(id);
    this.registry.definitions.delete(id);
    this.registry.modules.delete(id);
    this.#failed.delete(id);
    if (!module) return;
    await this.#guarded(() => this.contexts.dispose(module));
    await this.#pruned(module);
  }

  async #pruned(module: Module): Promise<void> {
    await this.#guarded(() => this.contexts.emit("vite:beforePrune", { type: "prune", paths: [module.id] }));
    await this.#guarded(() => this.contexts.prune(module));
    this.host.removeStyle(module.id);
  }

  #invalidate(id: string, message: string | undefined): void {
    this.host.note(`${id} can't take its update${message ? `: ${message}` : ""}; its importers have to.`);
    void this.#guarded(() => this.contexts.emit("vite:invalidate", { path: id, message, firstInvalidatedBy: id }));
    this.#invalidated.push(id);
    if (this.#running) return;
    void this.#enqueue(async () => {
      const end = await this.#followInvalidations();
      if (!end) return;
      await this.#giveUp(end);
      this.host.reload(`${end.deadEnd} can't take an update`);
    });
  }

  async #guarded<T>(work: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.host.report(error);
      return undefined;
    }
  }

  #graph(): Graph {
    const { modules, host } = this.registry;
    const importers = this.#importersByImport();
    return {
      importers: (id) => importers.get(id) ?? [],
      isEntry: (id) => this.entries.has(id),
      declines: (id) => modules.get(id)?.hot?.declined ?? false,
      acceptsSelf: (id) => {
        const module = modules.get(id);
        return module !== undefined && ((module.hot?.acceptsSelf ?? false) || isRefreshBoundary(module, host.refresh));
      },
      accepts: (importer, id) => modules.get(importer)?.hot?.dependencies.some(({ ids }) => ids.includes(id)) ?? false,
    };
  }

  /** Ids that a running module imports, statically or later. */
  #mentioned(): Set<string> {
    const out = new Set(this.entries);
    for (const { definition } of this.registry.modules.values()) {
      for (const id of [...definition.statics, ...Object.values(definition.requests)]) if (id !== null) out.add(id);
    }
    return out;
  }

  #importersByImport(): Map<string, string[]> {
    const out = new Map<string, string[]>();
    for (const [importer, { definition }] of this.registry.modules) {
      for (const id of new Set([...definition.statics, ...Object.values(definition.requests)])) {
        if (id === null || !this.registry.modules.has(id)) continue;
        const list = out.get(id);
        if (list) list.push(importer);
        else out.set(id, [importer]);
      }
    }
    return out;
  }
}
