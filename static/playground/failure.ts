// Why there is no preview, and what to do about it. Never a blank pane.

import { h } from "./dom";

/** Covers the stage with an explanation; returns it. */
export function showFailure(stage: HTMLElement, error: unknown, retry: () => void): HTMLElement {
  const { message, remedy } = explain(error);
  const panel = h("div", { class: "failure", role: "alert", part: "failure" },
    h("strong", {}, "The preview can't start"),
    h("p", {}, message),
    ...(remedy ? [h("p", { class: "muted" }, remedy)] : []),
    h("button", { type: "button", class: "action", onclick: retry }, "Try again"));
  stage.querySelector(".failure")?.remove();
  stage.append(panel);
  return panel;
}

function explain(error: unknown): { message: string; remedy: string } {
  if (!(error instanceof Error)) return { message: String(error), remedy: "" };
  const remedy = "remedy" in error && typeof error.remedy === "string" ? error.remedy : "";
  return { message: error.message, remedy };
}
