// Messages of a host page: what passes the border and what doesn't.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseClientMessage } from "./client-message";

function check(passes: boolean, message: unknown): void {
  test(`${passes ? "passes" : "is dropped"}: ${JSON.stringify(message)}`, () => assert.equal(parseClientMessage(message) !== undefined, passes));
}

const v = { sandglass: 1 };

check(true, { ...v, id: 1, type: "mount", project: { files: { "/a": "", "/b": new Uint8Array(2) }, entry: null, lock: null } });
check(true, { ...v, id: 1, type: "write", files: { "/a": null } });
check(true, { ...v, type: "reload" });
check(true, { ...v, type: "reload", path: "/about?x#y" });
check(true, { ...v, type: "evaluate", code: "1" });
check(false, null);
check(false, "mount");
check(false, { type: "list" });
check(false, { sandglass: 2, type: "list" });
check(false, { ...v, type: "constructor" });
check(false, { ...v, id: "1", type: "list" });
check(false, { ...v, type: "mount", project: { files: { "/a": null } } });
check(false, { ...v, type: "mount", project: {} });
check(false, { ...v, type: "write", files: { "/a": 1 } });
check(false, { ...v, type: "write", files: { ["/".repeat(5_000)]: "" } });
check(false, { ...v, type: "rename", from: "/a" });
check(false, { ...v, type: "evaluate", code: "x".repeat(2 ** 20 + 1) });
