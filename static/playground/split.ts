// The bar between code and preview: moved by pointer or by keys.

import type { Session } from "./session";

const MIN = 15;
const MAX = 85;
const STEP = 5;

/** Makes the bar a separator that can be moved. */
export function showSplit(session: Session): void {
  const { bar, root } = session.panes;
  bar.tabIndex = 0;
  bar.setAttribute("role", "separator");
  bar.setAttribute("aria-label", "Size of the code pane");
  bar.setAttribute("aria-valuemin", String(MIN));
  bar.setAttribute("aria-valuemax", String(MAX));
  let share = 50;
  const set = (next: number) => {
    share = Math.min(MAX, Math.max(MIN, next));
    root.style.setProperty("--split", `${share}fr`);
    root.style.setProperty("--rest", `${100 - share}fr`);
    bar.setAttribute("aria-valuenow", String(Math.round(share)));
  };
  // How the panes lie is up to the style sheet, so it is asked when it matters.
  const stacked = () => bar.offsetWidth > bar.offsetHeight;
  const orient = () => bar.setAttribute("aria-orientation", stacked() ? "horizontal" : "vertical");
  const observer = new ResizeObserver(orient);
  observer.observe(root);
  session.signal.addEventListener("abort", () => observer.disconnect());
  set(share);

  bar.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    bar.focus();
    bar.setPointerCapture(event.pointerId);
    root.classList.add("resizing");
  });
  bar.addEventListener("pointermove", (event) => {
    if (!bar.hasPointerCapture(event.pointerId)) return;
    const files = session.panes.files.getBoundingClientRect();
    const preview = session.panes.preview.getBoundingClientRect();
    set(100 * (stacked() ? along(event.clientY, files.top, preview.bottom) : across(event.clientX, files, preview)));
  });
  bar.addEventListener("lostpointercapture", () => root.classList.remove("resizing"));
  bar.addEventListener("dblclick", () => set(50));
  bar.addEventListener("keydown", (event) => {
    const rightToLeft = getComputedStyle(root).direction === "rtl";
    const [less, more] = stacked() ? ["ArrowUp", "ArrowDown"] : rightToLeft ? ["ArrowRight", "ArrowLeft"] : ["ArrowLeft", "ArrowRight"];
    const next = { [less]: share - STEP, [more]: share + STEP, Home: MIN, End: MAX }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    set(next);
  });
}

function along(at: number, start: number, end: number): number {
  return (at - start) / (end - start);
}

function across(at: number, files: DOMRect, preview: DOMRect): number {
  return files.left < preview.left ? along(at, files.left, preview.right) : along(at, files.right, preview.left);
}
