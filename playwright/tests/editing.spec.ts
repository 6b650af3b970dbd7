// What a reader does all day: change code and look at what it does.

import { expect, test } from "../harness/test";
import { COUNTER, plain } from "../harness/projects";
import { Playground } from "../harness/playground";

test("a component keeps its state while its code is edited", async ({ page, docs, playground }) => {
  await page.goto(docs.page("/state.html", [COUNTER]));
  const { document } = playground;
  await document.getByRole("button", { name: "Count is 0" }).click();
  await document.getByRole("button", { name: "Count is 1" }).click();
  await document.getByLabel("Note").fill("kept");
  const before = await playground.identity();

  await playground.goTo("<h1>");
  for (let i = 0; i < "</h1>".length; i++) await page.keyboard.press("ArrowLeft");
  await page.keyboard.type(", world");

  await expect(document.getByRole("heading", { name: "Hello, world" })).toBeVisible();
  await expect(document.getByRole("button", { name: "Count is 2" })).toBeVisible();
  await expect(document.getByLabel("Note")).toHaveValue("kept");
  expect(await playground.identity()).toBe(before);
});

test("a style sheet is swapped without a reload", async ({ page, docs, playground }) => {
  await page.goto(docs.page("/style.html", [COUNTER]));
  const heading = playground.document.getByRole("heading", { name: "Hello" });
  await expect(heading).toHaveCSS("color", "rgb(200, 0, 0)");
  await playground.document.getByRole("button", { name: "Count is 0" }).click();
  await playground.document.getByLabel("Note").fill("kept");
  const before = await playground.identity();

  await playground.open("style.css");
  await playground.replaceLine("color:", "color: rgb(0, 90, 160);");

  await expect(heading).toHaveCSS("color", "rgb(0, 90, 160)");
  await expect(playground.document.getByRole("button", { name: "Count is 1" })).toBeVisible();
  await expect(playground.document.getByLabel("Note")).toHaveValue("kept");
  expect(await playground.identity()).toBe(before);
});

test("a module without a boundary reloads the document", async ({ page, docs, playground }) => {
  const main = `import { word } from "./word";\ndocument.getElementById("root")!.textContent = word;\n`;
  await page.goto(docs.page("/reload.html", [plain(main, { "/src/word.ts": `export const word = "first";\n` })]));
  await expect(playground.document.getByText("first")).toBeVisible();
  const before = await playground.identity();
  await playground.open("word.ts");
  await playground.replaceLine("first", `export const word = "second";`);
  await expect(playground.document.getByText("second")).toBeVisible();
  expect(await playground.identity()).not.toBe(before);
});

test("a syntax error is shown with file and line, and goes away on repair", async ({ page, docs, playground }) => {
  await page.goto(docs.page("/syntax.html", [COUNTER]));
  await playground.document.getByRole("button", { name: "Count is 0" }).click();

  await playground.replaceLine("<h1>", "<h1>Hello</h2>");
  await expect(playground.overlay).toBeVisible();
  await expect(playground.overlay).toContainText(/\/src\/App\.tsx:7/);
  await expect(playground.overlay).toContainText("<h1>Hello</h2>");
  await expect(playground.status).toContainText("/src/App.tsx:7");
  // The last good page is still there, behind.
  await expect(playground.document.getByText("Count is 1")).toBeAttached();

  await playground.replaceLine("<h1>", "<h1>Repaired</h1>");
  await expect(playground.overlay).toBeHidden();
  await expect(playground.document.getByRole("heading", { name: "Repaired" })).toBeVisible();
  await expect(playground.document.getByRole("button", { name: "Count is 1" })).toBeVisible();
  await playground.settled();
});

test("a throwing component is reported and recovers when it is fixed", async ({ page, docs, playground }) => {
  await page.goto(docs.page("/throw.html", [COUNTER]));
  await expect(playground.document.getByRole("heading", { name: "Hello" })).toBeVisible();

  await playground.replaceLine("<h1>", `<h1>{[].map.call(null as never, String)}{explode("now")}</h1>`);
  await expect(playground.overlay).toContainText("App.tsx:7");
  await expect(playground.output).toContainText("Uncaught");

  await playground.replaceLine("<h1>", "<h1>Calm again</h1>");
  await expect(playground.document.getByRole("heading", { name: "Calm again" })).toBeVisible();
  await expect(playground.overlay).toBeHidden();
});

test("an error that is thrown later names its place in the source", async ({ page, docs, playground }) => {
  const main = `const button = document.createElement("button");
button.textContent = "Fail";
button.onclick = () => {
  throw new TypeError("not today");
};
document.body.append(button);
`;
  await page.goto(docs.page("/late.html", [plain(main)]));
  await playground.document.getByRole("button", { name: "Fail" }).click();
  await expect(playground.overlay).toContainText("not today");
  await expect(playground.output).toContainText("TypeError: not today");
  await expect(playground.output).toContainText("/src/main.ts:4");
});

test("logged objects can be looked into, and lead to their line", async ({ page, docs, playground }) => {
  const main = `document.body.insertAdjacentHTML("beforeend", "<button>Log</button>");
document.querySelector("button")!.onclick = () => {
  console.log("state", { user: { name: "Ada", tags: ["x", "y"] }, size: 3n });
  console.warn("careful");
};
`;
  await page.goto(docs.page("/console.html", [plain(main)]));
  await playground.document.getByRole("button", { name: "Log" }).click();
  const row = playground.output.getByRole("listitem").filter({ hasText: "state" });
  await expect(row).toContainText('user');
  await row.getByRole("button", { expanded: false }).first().click();
  await row.getByRole("button", { name: "{name: Ada, tags: Array(2) [x, y]}", exact: true }).click();
  await expect(row.getByText('"Ada"')).toBeVisible();
  await expect(playground.output.getByRole("img", { name: "warn" })).toBeVisible();

  await row.getByRole("button", { name: "main.ts:3" }).click();
  await expect(playground.editor).toBeFocused();
  await expect(playground.root.locator(".cm-activeLine")).toContainText("console.log");
});

test("two playgrounds on one page don't disturb each other", async ({ page, docs }) => {
  await page.goto(docs.page("/two.html", [COUNTER, COUNTER]));
  const [first, second] = [new Playground(page, 0), new Playground(page, 1)];
  await first.document.getByRole("button", { name: "Count is 0" }).click();
  await second.root.scrollIntoViewIfNeeded();
  for (const count of [0, 1, 2]) await second.document.getByRole("button", { name: `Count is ${count}` }).click();
  const before = await second.identity();

  await first.replaceLine("<h1>", "<h1>Only the first</h1>");
  await expect(first.document.getByRole("heading", { name: "Only the first" })).toBeVisible();
  await expect(first.document.getByRole("button", { name: "Count is 1" })).toBeVisible();

  await second.replaceLine("<h1>", "<h1>Only the second</h1>");
  await expect(second.document.getByRole("heading", { name: "Only the second" })).toBeVisible();
  await expect(second.document.getByRole("button", { name: "Count is 3" })).toBeVisible();
  await expect(first.document.getByRole("heading", { name: "Only the first" })).toBeVisible();
  expect(await second.identity()).toBe(before);
});

test("the same page in two tabs: each has a preview of its own", async ({ page, context, docs, playground }) => {
  const address = docs.page("/tabs.html", [COUNTER]);
  await page.goto(address);
  await playground.document.getByRole("button", { name: "Count is 0" }).click();
  const other = await context.newPage();
  await other.goto(address);
  const second = new Playground(other);
  await second.replaceLine("<h1>", "<h1>In the other tab</h1>");
  await expect(second.document.getByRole("heading", { name: "In the other tab" })).toBeVisible();
  await page.bringToFront();
  await expect(playground.document.getByRole("heading", { name: "Hello" })).toBeVisible();
  await playground.replaceLine("<h1>", "<h1>In the first tab</h1>");
  await expect(playground.document.getByRole("heading", { name: "In the first tab" })).toBeVisible();
  await expect(playground.document.getByRole("button", { name: "Count is 1" })).toBeVisible();
});

test("a new file can be written and imported", async ({ page, docs, playground }) => {
  const main = `const words = import.meta.glob ? "unused" : "none";
void words;
document.getElementById("root")!.textContent = "start";
`;
  await page.goto(docs.page("/files.html", [plain(main)]));
  await expect(playground.document.getByText("start")).toBeVisible();
  await playground.root.getByRole("button", { name: "New file" }).click();
  await playground.root.getByLabel("Path").fill("/src/word.ts");
  await playground.root.getByRole("button", { name: "Create" }).click();
  await expect(playground.root.getByRole("tab", { name: "word.ts" })).toHaveAttribute("aria-selected", "true");
  await playground.replaceAll(`export const word = "added";
`);
  await playground.open("main.ts");
  await playground.replaceAll(`import { word } from "./word";
document.getElementById("root")!.textContent = word;
`);
  await expect(playground.document.getByText("added")).toBeVisible();
});
