// Bad input: each gives a clear message in the playground, the editor's text
// stays, and the next good input works.

import { expect, test as base } from "../harness/test";
import { DocsSite } from "../harness/docs";
import type { Playground } from "../harness/playground";
import { plain } from "../harness/projects";
import { startRegistry } from "../harness/registry";
import { SandglassServer } from "../harness/server";
import type { Changes } from "../../static/client";

/** The pages of these journeys load from a server whose registry is ours and has faults. */
const test = base.extend<{}, { faulty: DocsSite }>({
  faulty: [async ({}, use, info) => {
    const registry = await startRegistry();
    const server = await SandglassServer.start({
      cache: `faulty-${info.parallelIndex}-${Date.now()}`,
      flags: ["--connect-timeout", "1s", "--read-timeout", "1s", "--request-timeout", "2s"],
      env: { npm_config_registry: registry.url },
    });
    const docs = await DocsSite.start(server.app);
    await use(docs);
    await docs.close();
    await server.stop();
    await registry.close();
  }, { scope: "worker" }],
});

const MAIN = `import { says } from "well-made";
document.getElementById("root")!.textContent = says;
`;
const PACKAGE = (dependencies: Record<string, string>) => `${JSON.stringify({ dependencies }, null, 2)}\n`;

test("a package of our registry works, so the faults below are the faults", async ({ page, faulty, playground }) => {
  await page.goto(faulty.page("/well.html", [plain(MAIN, { "/package.json": PACKAGE({ "well-made": "^1.0.0" }) })]));
  await expect(playground.document.getByText("well-made works")).toBeVisible();
});

interface PackageFault {
  title: string;
  dependencies: Record<string, string>;
  says: RegExp;
}

const PACKAGE_FAULTS: PackageFault[] = [
  { title: "a package that doesn't exist", dependencies: { "no-such-thing": "^1.0.0" }, says: /no-such-thing/ },
  { title: "a version that can't be solved", dependencies: { "well-made": "^7.0.0" }, says: /well-made.*\^7\.0\.0|\^7\.0\.0.*well-made/s },
  { title: "a range that is none", dependencies: { "well-made": "not a range" }, says: /not a range/ },
  { title: "a registry that hangs", dependencies: { "never-answers": "^1.0.0" }, says: /never-answers/ },
  { title: "a corrupt tarball", dependencies: { "torn-apart": "^1.0.0" }, says: /torn-apart/ },
];

for (const { title, dependencies, says } of PACKAGE_FAULTS) {
  test(`${title}: a message, and a repair`, async ({ page, faulty, playground }) => {
    const name = Object.keys(dependencies)[0]!;
    const files = {
      "/package.json": PACKAGE(dependencies),
      "/src/main.ts": `import { says } from "${name}";\ndocument.getElementById("root")!.textContent = says; // my words\n`,
    };
    await page.goto(faulty.page(`/fault-${name}-${title.length}.html`, [plain("", files)]));
    await expect(playground.overlay).toContainText(says);
    await expect(playground.status).not.toHaveText("Up to date");
    await expect(playground.editor).toContainText("my words");

    await playground.open("package.json");
    await playground.replaceAll(PACKAGE({ "well-made": "^1.0.0" }));
    await playground.open("main.ts");
    await expect(playground.editor).toContainText("my words");
    await playground.replaceLine("import", `import { says } from "well-made";`);
    await expect(playground.document.getByText("well-made works")).toBeVisible();
    await expect(playground.overlay).toBeHidden();
  });
}

interface CodeFault {
  title: string;
  files: Record<string, string>;
  says: RegExp[];
  /** The line to repair and what it becomes. */
  repair: [string, string];
}

const CODE_FAULTS: CodeFault[] = [
  {
    title: "a TypeScript syntax error",
    files: { "/src/main.ts": `const answer: number = ;\ndocument.getElementById("root")!.textContent = \`repaired \${answer}\`;\n` },
    says: [/\/src\/main\.ts:1/],
    repair: ["const answer", "const answer: number = 42;"],
  },
  {
    title: "an import of a missing file",
    files: { "/src/main.ts": `import "./nowhere";\ndocument.getElementById("root")!.textContent = "repaired";\n` },
    says: [/\/src\/main\.ts:1/, /\.\/nowhere/],
    repair: ["./nowhere", "// nothing"],
  },
  {
    title: "an import of a package that isn't a dependency",
    files: { "/src/main.ts": `import "left-out";\ndocument.getElementById("root")!.textContent = "repaired";\n` },
    says: [/\/src\/main\.ts:1/, /left-out/],
    repair: ["left-out", "// nothing"],
  },
  {
    title: "a package.json that is none",
    files: { "/src/main.ts": `document.getElementById("root")!.textContent = "repaired";\n`, "/package.json": `{ "dependencies": \n` },
    says: [/package\.json/],
    repair: ["dependencies", "{}"],
  },
];

for (const { title, files, says, repair } of CODE_FAULTS) {
  test(`${title}: a message, and a repair`, async ({ page, docs, playground }) => {
    await page.goto(docs.page(`/code-${title.length}.html`, [plain("", files)]));
    for (const words of says) await expect(playground.overlay).toContainText(words);
    if (files["/package.json"]) await playground.open("package.json");
    await playground.replaceLine(...repair);
    await expect(playground.document.getByText("repaired")).toBeVisible();
    await expect(playground.overlay).toBeHidden();
  });
}

test("a cyclic import works", async ({ page, docs, playground }) => {
  const files = {
    "/src/even.ts": `import { isOdd } from "./odd";\nexport const isEven = (n: number): boolean => n === 0 || isOdd(n - 1);\n`,
    "/src/odd.ts": `import { isEven } from "./even";\nexport const isOdd = (n: number): boolean => n !== 0 && isEven(n - 1);\n`,
  };
  const main = `import { isEven } from "./even";\ndocument.getElementById("root")!.textContent = \`10 is \${isEven(10) ? "even" : "odd"}\`;\n`;
  await page.goto(docs.page("/cycle.html", [plain(main, files)]));
  await expect(playground.document.getByText("10 is even")).toBeVisible();
});

test("a file that is not UTF-8 is named, and the page goes on", async ({ page, docs, playground }) => {
  await page.goto(docs.page("/utf8.html", [plain(`document.getElementById("root")!.textContent = "shown";\n`)]));
  await expect(playground.document.getByText("shown")).toBeVisible();
  await write(playground, "/src/bytes.ts", [0x65, 0x78, 0xff, 0xfe, 0xc3, 0x28]);
  await playground.replaceLine("root", `import "./bytes"; document.getElementById("root")!.textContent = "more";`);
  await expect(playground.overlay).toContainText("/src/bytes.ts");
  await expect(playground.overlay).toContainText("UTF-8");
  await expect(playground.editor).toContainText(`"more"`);
  await playground.replaceLine("root", `document.getElementById("root")!.textContent = "repaired";`);
  await expect(playground.document.getByText("repaired")).toBeVisible();
  await expect(playground.overlay).toBeHidden();
});

test("a file of 100 MB is refused in words, and what is written meanwhile is not lost", async ({ page, docs, playground }) => {
  await page.goto(docs.page("/large.html", [plain(`document.getElementById("root")!.textContent = "shown";\n`)]));
  await expect(playground.document.getByText("shown")).toBeVisible();
  await write(playground, "/large.bin", 100 * 1024 * 1024);
  await expect(playground.overlay).toContainText("/large.bin is 100 MiB");
  await expect(playground.problem).toContainText("/large.bin is 100 MiB");
  await playground.replaceLine("root", `document.getElementById("root")!.textContent = "goes on";`);
  await write(playground, "/large.bin", null);
  await expect(playground.document.getByText("goes on")).toBeVisible();
  await expect(playground.overlay).toBeHidden();
});

/** Writes bytes through the client, or that many zeros, or removes the file. Resolves with the preview's refusal. */
function write(playground: Playground, path: string, bytes: number[] | number | null): Promise<string | undefined> {
  return playground.root.evaluate((element, [path, bytes]) => {
    const { preview } = element as HTMLElement & { preview: { write(changes: Changes): Promise<number> } };
    const content = bytes === null ? null : typeof bytes === "number" ? new Uint8Array(bytes) : Uint8Array.from(bytes);
    return preview.write({ [path]: content }).then(() => undefined, (error: Error) => error.message);
  }, [path, bytes] as const);
}
