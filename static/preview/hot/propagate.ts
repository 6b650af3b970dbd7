// From changed modules up to those that can take the change.
//
// In:  changed ids, the graph of what runs.
// Out: boundaries with the module each takes anew, and everything that has to
//      run again; or why only loading the page anew will do.

/** What propagation asks about a page's modules. */
export interface Graph {
  /** Ids of running modules that import it. */
  importers(id: string): string[];
  /** It can be replaced without its importers' help. */
  acceptsSelf(id: string): boolean;
  /** An importer that takes new versions of it. */
  accepts(importer: string, id: string): boolean;
  /** It can't be replaced at all. */
  declines(id: string): boolean;
  /** The document runs it itself. */
  isEntry(id: string): boolean;
}

/** A module that takes a change, and through which of its imports; itself where it replaces itself. */
export interface Boundary {
  id: string;
  via: string;
}

/** How a change gets into a page. */
export interface Plan {
  boundaries: Boundary[];
  /** Ids of instances that are replaced. */
  outdated: Set<string>;
}

/** Why a page has to be loaded anew. */
export interface DeadEnd {
  /** The module where the search ended. */
  deadEnd: string;
}

/** Plans an update. */
export function propagate(changed: Iterable<string>, graph: Graph): Plan | DeadEnd {
  const plan: Plan = { boundaries: [], outdated: new Set() };
  const visited = new Set<string>();
  for (const id of changed) {
    const deadEnd = climb(id, graph, plan, visited);
    if (deadEnd !== undefined) return { deadEnd };
  }
  return plan;
}

/** Plans what a module that gave up its own update asks for: its importers have to take it. */
export function propagateInvalidated(id: string, graph: Graph): Plan | DeadEnd {
  const plan: Plan = { boundaries: [], outdated: new Set() };
  const visited = new Set([id]);
  const deadEnd = climbImporters(id, graph, plan, visited);
  return deadEnd === undefined ? plan : { deadEnd };
}

function climb(id: string, graph: Graph, plan: Plan, visited: Set<string>): string | undefined {
  // Seen before, on another way or in a cycle: that search answers for it.
  if (visited.has(id)) return undefined;
  visited.add(id);
  if (graph.declines(id)) return id;
  plan.outdated.add(id);
  if (graph.acceptsSelf(id)) {
    add(plan, { id, via: id });
    return undefined;
  }
  return climbImporters(id, graph, plan, visited);
}

function climbImporters(id: string, graph: Graph, plan: Plan, visited: Set<string>): string | undefined {
  const importers = graph.importers(id);
  // An entry may be in a cycle, but the document that runs it takes no update.
  if (importers.length === 0 || graph.isEntry(id)) return id;
  for (const importer of importers) {
    if (graph.accepts(importer, id)) {
      add(plan, { id: importer, via: id });
      continue;
    }
    const deadEnd = climb(importer, graph, plan, visited);
    if (deadEnd !== undefined) return deadEnd;
  }
  return undefined;
}

function add(plan: Plan, boundary: Boundary): void {
  if (!plan.boundaries.some(({ id, via }) => id === boundary.id && via === boundary.via)) plan.boundaries.push(boundary);
}
