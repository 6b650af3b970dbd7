// A module of a running page: what was registered for it, and how far it has come.
//
// This object is the `$m` of the linked form (see ARCHITECTURE.md): the
// short-named methods are what factories call.

import type { HotState } from "../hot/context";
import type { Registry } from "./registry";

/** Bits of a registration's kind. */
export const KIND = { esm: 1, asynchronous: 2, refresh: 4, nodeInterop: 8 } as const;

/** Reads an export as it is now. */
export type Getter = () => unknown;

/** What `__sg.d` says of a module. */
export interface Definition {
  id: string;
  kind: number;
  /** Ids of static imports; null: there is no such module. */
  statics: readonly (string | null)[];
  /** Specifiers of `import()` and `require()` with their ids. */
  requests: Readonly<Record<string, string | null>>;
  factory: (...args: never[]) => unknown;
}

/** How far a module has come, in the words of the ECMAScript specification. */
export enum State {
  Linked,
  Evaluating,
  EvaluatingAsync,
  Evaluated,
}

/** An object that holds what a CommonJS module exports. */
export interface CommonJs {
  id: string;
  exports: unknown;
  loaded: boolean;
}

/** What one top-level evaluation has on its stack. */
export type EvaluationStack = Module[];

/** Who waits for a module with top-level await. */
export interface Settlement {
  promise: Promise<void>;
  resolve(): void;
  reject(error: unknown): void;
}

/** A module's instance. A hot update makes a new one beside it. */
export class Module {
  readonly id: string;
  readonly isEsm: boolean;
  readonly isAsync: boolean;
  /** One for each static import. */
  dependencies: Module[] = [];
  /** What importers get. */
  readonly namespace: object = emptyNamespace();
  /** The same for importers in Node's mode; CommonJS only. */
  nodeNamespace: object | undefined;
  /** What `require` of an ES module gives. */
  commonView: object | undefined;
  /** Own exports by name. */
  getters: Record<string, Getter> = Object.create(null) as Record<string, Getter>;
  stars: Module[] = [];
  generator: Generator | AsyncGenerator | undefined;
  common: CommonJs | undefined;
  hot: HotState | undefined;

  state = State.Linked;
  error: { value: unknown } | undefined;
  stack: EvaluationStack | undefined;
  depth = 0;
  ancestor = 0;
  cycleRoot: Module = this;
  /** Set once it waits for something; the order in which waiting modules run. */
  asyncOrder: number | undefined;
  pendingAsync = 0;
  asyncParents: Module[] = [];
  settled: Settlement | undefined;

  #meta: object | undefined;

  constructor(
    readonly definition: Definition,
    readonly registry: Registry,
  ) {
    this.id = definition.id;
    this.isEsm = (definition.kind & (KIND.esm | KIND.asynchronous)) !== 0;
    this.isAsync = (definition.kind & KIND.asynchronous) !== 0;
  }

  /** Whether `default` of CommonJS is always `module.exports` here. */
  get nodeInterop(): boolean {
    return (this.definition.kind & KIND.nodeInterop) !== 0;
  }

  /** `import.meta` */
  get meta(): object {
    return (this.#meta ??= this.registry.host.meta(this));
  }

  /** Own exports. */
  x(getters: Record<string, Getter>): void {
    this.getters = Object.assign(Object.create(null), getters) as Record<string, Getter>;
  }

  /** `export * from` the module of this namespace. */
  s(namespace: object): void {
    const source = this.dependencies.find((module) => module.namespace === namespace || module.nodeNamespace === namespace);
    if (source) this.stars.push(source);
  }

  /** `import(specifier)` */
  i(specifier: unknown): Promise<object> {
    return this.registry.importFrom(this, specifier);
  }

  /** `require(specifier)` in an ES module. */
  require(specifier: unknown): unknown {
    return this.registry.requireFrom(this, specifier);
  }

  /** Installs this module's style sheet. */
  css(text: string): void {
    this.registry.host.css(this.id, text);
  }

  /** `$RefreshReg$` */
  r(type: unknown, name: string): void {
    this.registry.host.refresh?.register(type, `${this.id} ${name}`);
  }

  /** `$RefreshSig$` */
  g(): (type: unknown, ...rest: unknown[]) => unknown {
    return this.registry.host.refresh?.createSignatureFunctionForTransform() ?? ((type) => type);
  }
}

/** A namespace that nothing has been exported to yet. */
export function emptyNamespace(): object {
  return Object.defineProperty(Object.create(null) as object, Symbol.toStringTag, { value: "Module" });
}
