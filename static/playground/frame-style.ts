// The first paint: where the panes are, before anything else is loaded.

/** CSS that the element's own script brings along. */
export const FRAME_CSS = `
:host {
  --_bg: var(--sandglass-background, light-dark(#fff, #16181d));
  --_fg: var(--sandglass-foreground, light-dark(#1c2230, #e3e6ec));
  --_soft: var(--sandglass-chrome, light-dark(#f6f7f9, #1c1f26));
  --_line: var(--sandglass-border, light-dark(#dfe3e8, #2e333d));
  --_mute: var(--sandglass-muted, light-dark(#5b6576, #9aa4b5));
  --_accent: var(--sandglass-accent, light-dark(#2458d3, #8ab0ff));
  --_mono: var(--sandglass-code-font, ui-monospace, "SF Mono", "Cascadia Code", "JetBrains Mono", Menlo, Consolas, monospace);
  --_sans: var(--sandglass-font, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif);
  --_size: var(--sandglass-code-size, 13px);
  display: block; container-type: inline-size;
  block-size: var(--sandglass-height, 32rem); font: 14px/1.45 var(--_sans); color: var(--_fg);
}
:host([theme="light"]) { color-scheme: light }
:host([theme="dark"]) { color-scheme: dark }
:host([theme="auto"]) { color-scheme: light dark }
:host([hidden]) { display: none }
@media (max-width: 640px) { :host { block-size: var(--sandglass-height, 42rem) } }
*, ::slotted(*) { box-sizing: border-box; scrollbar-width: thin; scrollbar-color: light-dark(#c3cad4, #434a57) transparent }
.root {
  display: grid; block-size: 100%; overflow: hidden; position: relative;
  grid-template: minmax(0, 1fr) auto / minmax(0, var(--split, 1fr)) auto minmax(0, var(--rest, 1fr));
  grid-template-areas: "files bar preview" "console console console";
  background: var(--_bg); border: 1px solid var(--_line); border-radius: var(--sandglass-radius, 10px);
}
.files { grid-area: files } .preview { grid-area: preview } .bar { grid-area: bar } .console { grid-area: console }
.files, .preview { display: flex; flex-direction: column; min-inline-size: 0; min-block-size: 0; position: relative }
.head { flex: none; block-size: 41px; background: var(--_soft); border-block-end: 1px solid var(--_line) }
.code { flex: 1; min-block-size: 0; position: relative; overflow: auto }
.stage { flex: 1; min-block-size: 0; position: relative; background: var(--_bg) }
.stage iframe { position: absolute; inset: 0; inline-size: 100%; block-size: 100%; border: 0 }
.run {
  position: absolute; inset: 0; margin: auto; inline-size: 8rem; block-size: 44px; border: 0; border-radius: 8px; cursor: pointer;
  background: var(--_accent); color: light-dark(#fff, #10131a); font: 600 14px var(--_sans);
}
.bar { inline-size: 1px; background: var(--_line) }
.console { border-block-start: 1px solid var(--_line); background: var(--_soft); min-inline-size: 0; min-block-size: 37px }
:host([console="none"]) .console { display: none }
::slotted(pre) {
  /* Where the editor's gutters will be, so that the text doesn't move. */
  margin: 0 !important; padding: 10px 14px 10px 54px !important; border: 0 !important; background: none !important; color: inherit !important;
  font: var(--_size)/1.55 var(--_mono) !important; tab-size: 2; overflow: visible !important;
}
:host([layout="preview"]) .root { grid-template: minmax(0, 1fr) auto / minmax(0, 1fr); grid-template-areas: "preview" "console" }
:host([layout="preview"]) :is(.files, .bar) { display: none }
:host([layout="vertical"]) .root {
  grid-template: minmax(0, var(--split, 1fr)) auto minmax(0, var(--rest, 1fr)) auto / minmax(0, 1fr);
  grid-template-areas: "files" "bar" "preview" "console";
}
:host([layout="vertical"]) .bar { inline-size: auto; block-size: 1px }
@media (pointer: coarse) { .console { min-block-size: 47px } }
@container (max-width: 620px) {
  :host(:not([layout="preview"])) .root {
    grid-template: minmax(0, var(--split, 1fr)) auto minmax(0, var(--rest, 1fr)) auto / minmax(0, 1fr);
    grid-template-areas: "files" "bar" "preview" "console";
  }
  :host(:not([layout="preview"])) .bar { inline-size: auto; block-size: 1px }
}
`;
