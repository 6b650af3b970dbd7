// How the user interface looks. Colours come from the frame's style sheet.

/** CSS of everything that is added to the frame. */
export const UI_CSS = `
button, input { font: inherit; color: inherit }
button { cursor: pointer; background: none; border: 0 }
[hidden] { display: none !important }
:focus-visible { outline: 2px solid var(--_accent); outline-offset: -2px }
.gap { flex: 1 }
.muted { color: var(--_mute) }
.icon {
  flex: none; display: inline-grid; place-items: center; inline-size: 32px; block-size: 32px; padding: 0;
  border-radius: 6px; color: var(--_mute);
}
.icon:hover { background: light-dark(#1c22300f, #ffffff14); color: var(--_fg) }
svg { inline-size: 16px; block-size: 16px; fill: none; stroke: currentColor; stroke-width: 1.5; stroke-linecap: round; stroke-linejoin: round }
[aria-label="File actions"] svg { stroke-width: 2.5 }
.action {
  min-block-size: 32px; padding: 4px 14px; border-radius: 6px; border: 1px solid var(--_accent);
  background: var(--_accent); color: light-dark(#fff, #10131a); font-weight: 550;
}
.action:hover { filter: brightness(1.08) }
.text { min-block-size: 28px; padding: 2px 8px; border-radius: 6px; color: var(--_accent); font-weight: 550 }
.text:hover { background: light-dark(#2458d314, #8ab0ff1f) }

.tabbar, .toolbar { display: flex; align-items: center; block-size: 100%; padding-inline-end: 4px }
.tabs { display: flex; flex: 1; min-inline-size: 0; block-size: 100%; overflow-x: auto; scrollbar-width: none }
.tabs button {
  flex: none; padding: 0 14px; block-size: 100%; color: var(--_mute); font-size: 13px; white-space: nowrap;
  border-block-end: 2px solid transparent;
}
.tabs button:hover { color: var(--_fg) }
.tabs [aria-selected="true"] { color: var(--_fg); border-block-end-color: var(--_accent) }
.tabs .bad { color: light-dark(#b3261e, #f59b95) }
.tabs .bad::after { content: " •" }
.code.editing { overflow: hidden }
.note {
  flex: none; display: flex; align-items: center; gap: 4px; padding: 4px 8px 4px 14px; font-size: 13px; color: var(--_mute);
  background: light-dark(#2458d30d, #8ab0ff12); border-block-end: 1px solid var(--_line);
}
.note span { flex: 1 }

.problems {
  flex: none; display: flex; align-items: baseline; flex-wrap: wrap; gap: 2px 8px; padding: 8px 12px; max-block-size: 40%; overflow: auto; font-size: 13px;
  background: light-dark(#fdf0ef, #2e1917); color: light-dark(#8f1f18, #ffb8b1); border-block-start: 1px solid light-dark(#f3cfcc, #4d2a27);
}
.problems .sign { align-self: center; display: grid }
.problems .place { padding: 0; font: 12px/1.5 var(--_mono); color: inherit; overflow-wrap: anywhere }
.problems .said { flex: 1 1 14rem; min-inline-size: 0; overflow-wrap: anywhere; white-space: pre-wrap }
.problems .remedy { color: light-dark(#5f4644, #d9aeaa) }
.problems .more { opacity: .8 }
.hint {
  position: absolute; inset-inline-end: 12px; inset-block-end: 12px; z-index: 2; padding: 6px 12px; border-radius: 99px; font-size: 12px;
  background: var(--_fg); color: var(--_bg); pointer-events: none;
}
.hint:empty { display: none }

.menu-holder { position: relative; flex: none }
.menu {
  position: absolute; inset-inline-end: 0; inset-block-start: 100%; z-index: 5; min-inline-size: 12rem; padding: 4px;
  background: var(--_bg); border: 1px solid var(--_line); border-radius: 8px; box-shadow: 0 8px 24px #0003; display: grid;
}
.menu button { min-block-size: 34px; padding: 4px 10px; border-radius: 5px; text-align: start }
.menu button:is(:hover, :focus-visible) { background: var(--_soft) }
dialog {
  inline-size: min(24rem, 90vw); padding: 18px; color: var(--_fg); background: var(--_bg); font: 14px/1.45 var(--_sans);
  border: 1px solid var(--_line); border-radius: 12px; box-shadow: 0 16px 48px #0004;
}
dialog::backdrop { background: #0b0e1466 }
dialog input {
  inline-size: 100%; margin-block-start: 10px; padding: 8px 10px; font: var(--_size) var(--_mono);
  background: var(--_soft); border: 1px solid var(--_line); border-radius: 6px;
}
.problem { margin: 6px 0 0; color: light-dark(#b3261e, #f59b95) }
.buttons { display: flex; justify-content: end; gap: 8px; margin-block-start: 14px }

.toolbar { gap: 8px; padding-inline-start: 14px; font-size: 13px }
.dot { flex: none; inline-size: 8px; block-size: 8px; border-radius: 50%; background: var(--_mute) }
.dot[data-tone="good"] { background: light-dark(#2a8a57, #63c893) }
.dot[data-tone="bad"] { background: light-dark(#c9342b, #f0857d) }
.dot[data-tone="busy"] { background: var(--_accent) }
@media (prefers-reduced-motion: no-preference) {
  .dot[data-tone="busy"] { animation: breathe 1.2s ease-in-out infinite alternate }
}
@keyframes breathe { to { opacity: .3 } }
.state { min-inline-size: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color: var(--_mute) }
.mode { flex: none; padding: 0 7px; border: 1px solid var(--_line); border-radius: 99px; font-size: 11px; line-height: 18px; color: var(--_mute) }
.mode[data-mode="fallback"] { color: light-dark(#7a4b0b, #e8c07a); border-color: light-dark(#e6cfa6, #54431f) }
.toolbar .icon + .icon { margin-inline-start: -6px }
.bar { position: relative; touch-action: none; cursor: col-resize; z-index: 2 }
.bar[aria-orientation="horizontal"] { cursor: row-resize }
.bar::after { content: ""; position: absolute; inset: 0 -6px }
.bar[aria-orientation="horizontal"]::after { inset: -6px 0 }
.bar:is(:hover, :focus-visible) { background: var(--_accent); outline: 1px solid var(--_accent); outline-offset: 0 }
.resizing .stage iframe { pointer-events: none }

.failure {
  position: absolute; inset: 0; z-index: 1; display: flex; flex-direction: column; align-items: center; justify-content: center;
  gap: 8px; padding: 24px; text-align: center; background: var(--_bg); overflow: auto;
}
.failure p { margin: 0; max-inline-size: 34rem; overflow-wrap: anywhere }
.failure .action { margin-block-start: 8px }
.banner {
  position: absolute; inset: 0 0 auto; z-index: 1; display: flex; align-items: center; gap: 12px; padding: 10px 14px;
  background: light-dark(#fff4e5, #3a2c14); color: light-dark(#5c3a00, #ffd9a0); border-block-end: 1px solid light-dark(#f0d2a0, #5c451f);
}
.banner span { flex: 1 }

.console-head { display: flex; align-items: center; block-size: 36px; padding-inline: 6px 4px }
.console-toggle {
  display: flex; align-items: center; gap: 6px; min-block-size: 32px; padding: 0 8px; border-radius: 6px; font-size: 13px; color: var(--_mute);
}
.console-toggle:hover { color: var(--_fg) }
[aria-expanded="true"] > svg { transform: rotate(90deg) }
.count, .times {
  min-inline-size: 18px; padding: 0 6px; border-radius: 99px; font-size: 11px; line-height: 18px; text-align: center;
  background: light-dark(#e2e6ec, #333945); color: var(--_fg);
}
.count.bad { background: light-dark(#c9342b, #f0857d); color: light-dark(#fff, #2a0f0c) }
.console-body { block-size: var(--sandglass-console-height, 9.5rem); background: var(--_bg); border-block-start: 1px solid var(--_line) }
.rows { block-size: 100%; margin: 0; padding: 0; overflow: auto; list-style: none; font: 12.5px/1.5 var(--_mono) }
.row { display: flex; align-items: baseline; gap: 8px; padding: 3px 12px; border-block-end: 1px solid light-dark(#eef0f3, #22262e) }
.row .level { flex: none; inline-size: 1ch; color: var(--_mute) }
.row .values { flex: 1; min-inline-size: 0; white-space: pre-wrap; overflow-wrap: anywhere }
.row.warn { background: light-dark(#fff8ea, #2c2415); color: light-dark(#6b4700, #ffd591) }
.row.error { background: light-dark(#fdf0ef, #2e1917); color: light-dark(#a3231b, #ffb0a8) }
.row.debug { color: var(--_mute) }
.row.line { padding-block: 1px; justify-content: center; color: var(--_mute); font: 11px/1.6 var(--_sans) }
.place { flex: none; min-block-size: 24px; padding: 0 4px; color: var(--_mute); font: inherit; font-size: 12px }
button.place { text-decoration: underline; text-underline-offset: 2px }
.tree { display: inline-block; vertical-align: top; max-inline-size: 100% }
.summary { display: flex; align-items: baseline; gap: 2px; padding: 0; text-align: start; white-space: pre-wrap; overflow-wrap: anywhere }
.summary svg { flex: none; inline-size: 12px; block-size: 12px; align-self: center; color: var(--_mute) }
.branch { margin: 0; padding-inline-start: 18px; list-style: none }
.key { color: light-dark(#7a4b0b, #e3c78a) }
.value[data-type="string"] { color: light-dark(#1b6e43, #8fd3a5) }
.value:is([data-type="number"], [data-type="bigint"], [data-type="boolean"]) { color: light-dark(#a14709, #f0b27a) }
.value:is([data-type="undefined"], [data-type="null"], [data-type="cut"]) { color: var(--_mute) }
.value:is([data-type="function"], [data-type="symbol"], [data-type="element"]) { color: light-dark(#1d54c4, #8ab0ff) }
@media (pointer: coarse) { .icon, .action, .text, .console-toggle, .place { min-inline-size: 44px; min-block-size: 44px } .console-head { block-size: 46px } }
@media (forced-colors: active) { .bar { background: CanvasText } .dot { background: CanvasText } }
`;
