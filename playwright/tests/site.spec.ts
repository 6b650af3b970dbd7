// The pages that we ship.

import { expect, test } from "../harness/test";
import { Playground } from "../harness/playground";

test("the guide's example runs with packages of four kinds", async ({ page, server, playground }) => {
  await page.goto(`${server.app}/examples/react.html`);
  const { document } = playground;
  // React; and clsx, which comes as both kinds of module.
  await expect(document.getByRole("heading", { name: "To do" })).toBeVisible();
  await expect(document.getByRole("listitem").filter({ hasText: "Read the introduction" })).toHaveClass("task done");
  await expect(document.getByRole("listitem").filter({ hasText: "Change something" })).toHaveClass("task");
  // date-fns, by deep paths.
  await expect(document.getByText("in 2 days")).toBeVisible();
  await expect(document.getByText("about 1 hour ago")).toBeVisible();
  // ms, a CommonJS module.
  await expect(document.getByLabel("Due in").getByRole("option", { name: "in 2 hours" })).toBeAttached();

  await document.getByLabel("Change something in the code").check();
  await expect(document.getByText("2 of 3 done")).toBeVisible();
  await document.getByLabel("New task").fill("Feed the cat");
  await document.getByLabel("Due in").selectOption({ label: "in 1 day" });
  await document.getByRole("button", { name: "Add" }).click();
  await expect(document.getByText("2 of 4 done")).toBeVisible();
  await expect(document.getByRole("listitem").filter({ hasText: "Feed the cat" })).toContainText("in 1 day");

  await playground.replaceLine("<h1>To do</h1>", "<h1>Mine to do</h1>");
  await expect(document.getByRole("heading", { name: "Mine to do" })).toBeVisible();
  await expect(document.getByText("2 of 4 done")).toBeVisible();

  await playground.root.getByRole("button", { name: /^Console/ }).click();
  await expect(playground.output).toContainText("Added");
  await expect(playground.output).toContainText("Feed the cat");
});

test("the front page's gallery opens a template, which runs as it is edited", async ({ page, server, playground }) => {
  await page.goto(`${server.app}/`);
  await page.getByRole("link", { name: /^React and TypeScript/ }).click();
  const { document } = playground;
  await document.getByRole("button", { name: "Count is 0" }).click();
  await playground.replaceLine("Hello, React", "<h1>Mine now</h1>");
  await expect(document.getByRole("heading", { name: "Mine now" })).toBeVisible();
  await expect(document.getByRole("button", { name: "Count is 1" })).toBeVisible();

  await page.getByRole("link", { name: /^TypeScript/ }).click();
  await expect(document.getByRole("heading", { name: "Hello, TypeScript" })).toBeVisible();
  await document.getByRole("button", { name: "Count is 0" }).click();
  await expect(document.getByRole("button", { name: "Count is 1" })).toBeVisible();

  await page.goBack();
  // What was edited before is there again.
  await expect(document.getByRole("heading", { name: "Mine now" })).toBeVisible();
});

test("the page with two counters runs both", async ({ page, server }) => {
  await page.goto(`${server.app}/examples/two.html`);
  const [react, vanilla] = [new Playground(page, 0), new Playground(page, 1)];
  await react.document.getByRole("button", { name: "Count is 0" }).click();
  await vanilla.root.scrollIntoViewIfNeeded();
  await expect(vanilla.document.getByRole("button", { name: "Count is 0" })).toBeVisible();
  await expect(react.document.getByRole("button", { name: "Count is 1" })).toBeVisible();
});

test("the page about embedding runs a project from a JSON file", async ({ page, server, playground }) => {
  await page.goto(`${server.app}/examples/embed.html`);
  await playground.settled();
  await expect(playground.root.getByRole("tab", { name: "clock.js" })).toBeVisible();
  await expect(playground.document.getByText(/\d\d?:\d\d/).first()).toBeVisible();
});

test("the keyboard gets into the editor and out of it", async ({ page, server, playground }) => {
  await page.goto(`${server.app}/examples/react.html`);
  await expect(playground.editor).toBeVisible();
  await playground.root.getByRole("tab", { selected: true }).focus();
  for (let i = 0; i < 6 && !(await isFocused(playground)); i++) await page.keyboard.press("Tab");
  await expect(playground.editor).toBeFocused();
  // Within the editor Tab indents; Escape makes the next one leave.
  const before = await playground.editor.innerText();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Tab");
  await expect(playground.editor).not.toBeFocused();
  expect(await playground.editor.innerText()).toBe(before);
});

test.describe("without JavaScript", () => {
  test.use({ profileOptions: { javaScript: false } });

  test("the code can be read", async ({ page, server }) => {
    await page.goto(`${server.app}/examples/react.html`);
    await expect(page.getByText("useState<Task[]>(firstTasks)")).toBeVisible();
  });
});

test("edits survive a reload of the page", async ({ page, server, playground }) => {
  await page.goto(`${server.app}/examples/react.html`);
  await playground.settled();
  await playground.replaceLine("<h1>To do</h1>", "<h1>Kept</h1>");
  await expect(playground.document.getByRole("heading", { name: "Kept" })).toBeVisible();
  await page.reload();
  await expect(playground.document.getByRole("heading", { name: "Kept" })).toBeVisible();
  await expect(playground.editor).toContainText("<h1>Kept</h1>");
});

async function isFocused(playground: Playground): Promise<boolean> {
  return playground.editor.evaluate((element) => (element.getRootNode() as ShadowRoot).activeElement === element);
}
