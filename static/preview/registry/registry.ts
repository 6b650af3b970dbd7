// The registry of a page's modules: registrations in, instances out.
//
// Whoever asks for a module, by whichever way, gets the one instance. It knows
// no DOM: what needs a page comes from its `Host`.

import { State, Module, type CommonJs, type Definition } from "./module";
import { evaluate } from "./evaluate";
import { bindNamespace, fillCommon, namespaceFor, requiredView } from "./names";
import { isUrl, resolveComputed } from "./specifier";

/** As much of react-refresh's runtime as is used. */
export interface Refresh {
  register(type: unknown, id: string): void;
  createSignatureFunctionForTransform(): (type: unknown, ...rest: unknown[]) => unknown;
  isLikelyComponentType(type: unknown): boolean;
  performReactRefresh(): unknown;
}

/** What the registry needs from a page. */
export interface Host {
  /** Runs the chunk in which a package's late module is registered. */
  loadChunk(id: string): Promise<void>;
  /** Imports a module of the network. */
  importUrl(url: string): Promise<object>;
  /** Installs or replaces a module's style sheet. */
  css(id: string, text: string): void;
  /** Makes `import.meta`. */
  meta(module: Module): object;
  /** React Refresh, where the document loaded it. */
  refresh?: Refresh | undefined;
}

/** All modules of one document. */
export class Registry {
  readonly definitions = new Map<string, Definition>();
  readonly modules = new Map<string, Module>();
  /** Where registrations go during an update. */
  #arriving: Map<string, Definition> | undefined;
  /**
   * Async generators stop at their first `yield` a little later than others.
   * Evaluation waits for it, or a module would start after its siblings.
   */
  #hoisting: Promise<void> | undefined;

  constructor(readonly host: Host) {}

  /** `__sg.d` */
  define(
    id: string,
    kind: number,
    statics: readonly (string | null)[],
    requests: Readonly<Record<string, string | null>>,
    factory: (...args: never[]) => unknown,
  ): void {
    const definition = { id, kind, statics, requests, factory };
    if (this.#arriving) this.#arriving.set(id, definition);
    // A late chunk may bring again what the page has: the instance that runs stays the one.
    else if (!this.definitions.has(id)) this.definitions.set(id, definition);
  }

  /** Collects what `run` registers instead of installing it. */
  collect(run: () => void): Map<string, Definition> {
    const arriving = (this.#arriving = new Map<string, Definition>());
    try {
      run();
    } finally {
      this.#arriving = undefined;
    }
    return arriving;
  }

  /** Evaluates a module, at once where it can, and resolves to its namespace. */
  run(id: string): Promise<object> {
    try {
      const module = this.link(id);
      if (this.#hoisting) return this.#hoisting.then(() => this.#evaluated(module));
      const waiting = evaluate(module, this);
      return waiting ? waiting.then(() => module.namespace) : Promise.resolve(module.namespace);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  async #evaluated(module: Module): Promise<object> {
    await evaluate(module, this);
    return module.namespace;
  }

  /** `import(specifier)` in a module. */
  async importFrom(importer: Module, specifier: unknown): Promise<object> {
    const text = String(specifier);
    // Even what is at hand is evaluated later, as in a browser.
    await undefined;
    const id = this.#resolve(importer, text);
    if (id === undefined) throw missing(text, importer.id);
    if (!this.definitions.has(id)) {
      if (isUrl(id)) return this.host.importUrl(id);
      await this.host.loadChunk(id);
      if (!this.definitions.has(id)) throw missing(text, importer.id);
    }
    const module = this.link(id);
    await this.#hoisting;
    await evaluate(module, this);
    return namespaceFor(module, importer);
  }

  /** `require(specifier)` in a module. */
  requireFrom(importer: Module, specifier: unknown): unknown {
    const text = String(specifier);
    const id = this.#resolve(importer, text);
    if (id === undefined || !this.definitions.has(id)) throw Object.assign(missing(text, importer.id), { code: "MODULE_NOT_FOUND" });
    const module = this.link(id);
    if (!module.isEsm) {
      if (module.state === State.Linked) this.runCommon(module);
      return module.common!.exports;
    }
    if (evaluate(module, this)) {
      throw new Error(`require("${text}") can't give a module with top-level await; use import() in ${importer.id}`);
    }
    return requiredView(module);
  }

  /** The id that a specifier means in a module; undefined where there is none. */
  resolve(importer: Module, specifier: string): string | undefined {
    return this.#resolve(importer, specifier);
  }

  #resolve(importer: Module, specifier: string): string | undefined {
    const { requests } = importer.definition;
    if (Object.hasOwn(requests, specifier)) return requests[specifier] ?? undefined;
    return resolveComputed(specifier, importer.id, (id) => this.definitions.has(id));
  }

  /** Makes the instances of a module and all it imports, up to their first step. */
  link(id: string): Module {
    const known = this.modules.get(id);
    if (known) return known;
    const made: Module[] = [];
    try {
      const module = this.#instance(id, "", made);
      for (const each of made) this.#start(each);
      for (const each of made) if (each.isEsm) bindNamespace(each, false);
      return module;
    } catch (error) {
      for (const each of made) this.modules.delete(each.id);
      throw error;
    }
  }

  #instance(id: string, importer: string, made: Module[]): Module {
    const known = this.modules.get(id);
    if (known) return known;
    const definition = this.definitions.get(id);
    if (!definition) throw missing(id, importer);
    const module = new Module(definition, this);
    this.modules.set(id, module);
    made.push(module);
    module.dependencies = definition.statics.map((dependency) => {
      if (dependency === null) throw new Error(`A module that ${id} imports doesn't exist`);
      return this.#instance(dependency, id, made);
    });
    return module;
  }

  /** Hoists functions and collects exports: everything before the first statement. */
  #start(module: Module): void {
    if (!module.isEsm) return;
    const factory = module.definition.factory as unknown as (module: Module, ...namespaces: object[]) => Generator | AsyncGenerator;
    module.generator = factory(module, ...module.dependencies.map((dependency) => namespaceFor(dependency, module)));
    const hoisted = module.generator.next();
    if (module.isAsync) this.#hoist(hoisted as Promise<unknown>);
  }

  #hoist(hoisted: Promise<unknown>): void {
    const hoisting = Promise.all([this.#hoisting, hoisted]).then(() => {
      if (this.#hoisting === hoisting) this.#hoisting = undefined;
    });
    this.#hoisting = hoisting;
  }

  /** Runs a CommonJS factory. One that throws is tried again when it is required again. */
  runCommon(module: Module): void {
    const common: CommonJs = (module.common = { id: module.id, exports: {}, loaded: false });
    module.state = State.Evaluating;
    try {
      const factory = module.definition.factory as unknown as (this: unknown, ...args: unknown[]) => void;
      factory.call(common.exports, common.exports, common, this.#requireOf(module), module);
    } catch (error) {
      module.state = State.Evaluated;
      module.error = { value: error };
      if (this.modules.get(module.id) === module) this.modules.delete(module.id);
      throw error;
    }
    common.loaded = true;
    module.state = State.Evaluated;
    fillCommon(module);
  }

  #requireOf(module: Module): (specifier: unknown) => unknown {
    const require = (specifier: unknown) => this.requireFrom(module, specifier);
    return Object.assign(require, {
      resolve: (specifier: unknown) => {
        const id = this.#resolve(module, String(specifier));
        if (id === undefined) throw Object.assign(missing(String(specifier), module.id), { code: "MODULE_NOT_FOUND" });
        return id;
      },
      // What `import()` becomes in CommonJS.
      import: (specifier: unknown) => this.importFrom(module, specifier),
      cache: {},
    });
  }
}

function missing(specifier: string, importer: string): Error {
  return new Error(`Cannot find module "${specifier}"${importer ? `, imported by ${importer}` : ""}`);
}
