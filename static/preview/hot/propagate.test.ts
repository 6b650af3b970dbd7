// A graph as text, and where an update of it ends.

import assert from "node:assert/strict";
import { test } from "node:test";
import { propagate, propagateInvalidated, type Graph } from "./propagate";

/**
 * `main > app > button*` are imports; `x*` accepts itself, `x!` declines,
 * `a(b)` accepts its import b. `main` is the entry.
 */
function graphOf(text: string): Graph {
  const importers = new Map<string, Set<string>>();
  const self = new Set<string>();
  const declined = new Set<string>();
  const accepts = new Set<string>();
  const read = (word: string) => {
    const [, name, dependency, mark] = /^(\w+)(?:\((\w+)\))?([*!])?$/.exec(word)!;
    if (dependency) accepts.add(`${name} ${dependency}`);
    if (mark === "*") self.add(name!);
    if (mark === "!") declined.add(name!);
    return name!;
  };
  for (const line of text.split(";")) {
    const names = line.trim().split(/\s*>\s*/).map(read);
    names.slice(1).forEach((name, index) => importers.set(name, (importers.get(name) ?? new Set()).add(names[index]!)));
  }
  return {
    importers: (id) => [...(importers.get(id) ?? [])],
    isEntry: (id) => id === "main",
    acceptsSelf: (id) => self.has(id),
    accepts: (importer, id) => accepts.has(`${importer} ${id}`),
    declines: (id) => declined.has(id),
  };
}

function check(graph: string, changed: string, expected: string, plan = (g: Graph) => propagate(changed.split(" "), g)): void {
  test(`${graph} | ${changed}`, () => {
    const result = plan(graphOf(graph));
    const shown = "deadEnd" in result
      ? `reload at ${result.deadEnd}`
      : `${result.boundaries.map(({ id, via }) => (id === via ? id : `${id} via ${via}`)).join(", ")} | ${[...result.outdated].sort().join(" ")}`;
    assert.equal(shown, expected);
  });
}

check("main > app > button*", "button", "button | button");
check("main > app > button", "button", "reload at main");
check("main > app* > button", "button", "app | app button");
check("main > app(button) > button", "button", "app via button | button");
check("main* > app", "app", "main | app main");
check("main > app* > list > item; app > item", "item", "app | app item list");
check("main > app* > item; main > item", "item", "reload at main");
check("main > app* > a > b > a", "b", "app | a app b");
check("main > a > b > main", "b", "reload at main");
check("main > app* > data!", "data", "reload at data");
check("main > a* > c; main > b(c) > c", "c", "a, b via c | a c");
check("main > a*; main > b*", "a b", "a, b | a b");
check("other > lone", "lone", "reload at other");
check("main > app* > button*", "button", "app | app", (graph) => propagateInvalidated("button", graph));
check("main > app > button*", "button", "reload at main", (graph) => propagateInvalidated("button", graph));
