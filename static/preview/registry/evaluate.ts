// Runs linked modules in the order of the ECMAScript specification.
//
// "Cyclic Module Records" in its own terms: depth-first, each module once,
// errors kept; modules with top-level await let their siblings go on and their
// importers wait. CommonJS runs where it stands in that order.

import { bindNamespace, fillCommon, isOpen } from "./names";
import { State, type EvaluationStack, type Module, type Settlement } from "./module";

let asyncOrders = 0;

/** What modules are told when they have run. */
export interface Evaluated {
  /** Runs a CommonJS factory. */
  runCommon(module: Module): void;
}

/**
 * Runs a module with all it imports. Undefined: it is done; otherwise the
 * promise to wait for. Throws what the module throws, now and ever after.
 */
export function evaluate(module: Module, host: Evaluated): Promise<void> | undefined {
  if (module.state === State.EvaluatingAsync || module.state === State.Evaluated) {
    const root = module.isEsm ? module.cycleRoot : module;
    if (root.error) throw root.error.value;
    if (module.error) throw module.error.value;
    return root.state === State.EvaluatingAsync ? settlement(root).promise : undefined;
  }
  // Reached again from inside its own evaluation: a cycle through `require` or `run`.
  if (module.state === State.Evaluating) return undefined;
  const stack: EvaluationStack = [];
  try {
    visit(module, stack, 0, host);
  } catch (error) {
    for (const member of stack) {
      member.state = State.Evaluated;
      member.error = { value: error };
      member.cycleRoot = member;
    }
    throw error;
  }
  return module.asyncOrder !== undefined && !hasRun(module) ? settlement(module).promise : undefined;
}

function hasRun(module: Module): boolean {
  return module.state === State.Evaluated;
}

function settlement(module: Module): Settlement {
  if (module.settled) return module.settled;
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => {});
  return (module.settled = { promise, resolve, reject });
}

function visit(module: Module, stack: EvaluationStack, index: number, host: Evaluated): number {
  if (module.state === State.EvaluatingAsync || module.state === State.Evaluated) {
    if (module.error) throw module.error.value;
    return index;
  }
  if (module.state === State.Evaluating) return index;
  if (!module.isEsm) {
    host.runCommon(module);
    return index;
  }
  module.state = State.Evaluating;
  module.stack = stack;
  module.depth = module.ancestor = index++;
  stack.push(module);
  for (const dependency of module.dependencies) {
    index = visit(dependency, stack, index, host);
    if (dependency.isEsm) waitFor(module, dependency, stack);
    // In a cycle it may not have finished; what it has is seen.
    else fillCommon(dependency);
  }
  if (module.pendingAsync > 0 || module.isAsync) {
    module.asyncOrder = asyncOrders++;
    if (module.pendingAsync === 0) executeAsync(module);
  } else {
    execute(module);
  }
  if (module.ancestor === module.depth) close(module, stack);
  return index;
}

/** Notes what a module has to wait for. */
function waitFor(module: Module, dependency: Module, stack: EvaluationStack): void {
  if (dependency.state === State.Evaluating) {
    // On another stack it is a cycle through `require`, which doesn't wait.
    if (dependency.stack !== stack) return;
    module.ancestor = Math.min(module.ancestor, dependency.ancestor);
  } else {
    dependency = dependency.cycleRoot;
    if (dependency.error) throw dependency.error.value;
  }
  if (dependency.asyncOrder !== undefined && dependency.state !== State.Evaluated) {
    module.pendingAsync++;
    dependency.asyncParents.push(module);
  }
}

/** Ends a strongly connected component. */
function close(module: Module, stack: EvaluationStack): void {
  let member: Module;
  do {
    member = stack.pop()!;
    member.stack = undefined;
    member.state = member.asyncOrder === undefined ? State.Evaluated : State.EvaluatingAsync;
    member.cycleRoot = module;
  } while (member !== module);
}

function execute(module: Module): void {
  if (isOpen(module)) bindNamespace(module, false);
  (module.generator as Generator).next();
  module.generator = undefined;
  if (isOpen(module)) bindNamespace(module, true);
}

function executeAsync(module: Module): void {
  if (isOpen(module)) bindNamespace(module, false);
  const running = (module.generator as AsyncGenerator).next();
  module.generator = undefined;
  running.then(
    () => {
      if (isOpen(module)) bindNamespace(module, true);
      fulfilled(module);
    },
    (error: unknown) => rejected(module, error),
  );
}

function fulfilled(module: Module): void {
  if (module.state === State.Evaluated) return;
  done(module);
  const ready: Module[] = [];
  gather(module, ready);
  ready.sort((a, b) => a.asyncOrder! - b.asyncOrder!);
  for (const next of ready) {
    if (next.state === State.Evaluated) continue;
    if (next.isAsync) {
      executeAsync(next);
      continue;
    }
    try {
      execute(next);
    } catch (error) {
      rejected(next, error);
      continue;
    }
    done(next);
  }
}

function done(module: Module): void {
  module.state = State.Evaluated;
  module.settled?.resolve();
}

/** Importers that wait for nothing else now. */
function gather(module: Module, ready: Module[]): void {
  for (const parent of module.asyncParents) {
    if (ready.includes(parent) || parent.cycleRoot.error) continue;
    if (--parent.pendingAsync > 0) continue;
    ready.push(parent);
    if (!parent.isAsync) gather(parent, ready);
  }
}

function rejected(module: Module, error: unknown): void {
  if (module.state === State.Evaluated) return;
  module.state = State.Evaluated;
  module.error = { value: error };
  for (const parent of module.asyncParents) rejected(parent, error);
  module.settled?.reject(error);
}
