// How the error overlay looks. Colours keep a contrast of at least 4.5 : 1 in both themes.

export const OVERLAY_CSS = `
:host { all: initial; position: fixed; inset: 0; z-index: 2; overflow: auto; display: block;
  font: 14px/1.5 system-ui, sans-serif; color: #1f2328; background: rgb(246 248 250 / 0.92);
  --line: #d0d7de; --paper: #fff; --bad: #b3261e; --muted: #57606a; --focus: #0b57d0; }
@media (prefers-color-scheme: dark) {
  :host { color: #e6edf3; background: rgb(13 17 23 / 0.92);
    --line: #3d444d; --paper: #161b22; --bad: #ff8a80; --muted: #9da7b3; --focus: #8ab4f8; }
}
.panel { box-sizing: border-box; max-width: 60rem; margin: 1rem auto; padding: 0 1rem; }
header { display: flex; align-items: center; gap: 0.5rem; }
h1 { flex: 1; margin: 0; font-size: 1rem; color: var(--bad); }
button { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--line);
  border-radius: 6px; padding: 0.2rem 0.6rem; cursor: pointer; }
button:focus-visible { outline: 2px solid var(--focus); outline-offset: 1px; }
article { margin: 0.75rem 0; padding: 0.75rem 1rem; background: var(--paper);
  border: 1px solid var(--line); border-left: 3px solid var(--bad); border-radius: 6px; }
.message { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font-weight: 600; }
.place, .remedy, footer { margin: 0.25rem 0 0; color: var(--muted); }
.place { font-family: ui-monospace, monospace; font-size: 0.85rem; overflow-wrap: anywhere; }
.remedy { color: inherit; }
pre { margin: 0.5rem 0 0; overflow: auto; font: 0.85rem/1.45 ui-monospace, monospace; tab-size: 2; }
details { margin-top: 0.5rem; color: var(--muted); }
summary { cursor: pointer; }
kbd { font: inherit; border: 1px solid var(--line); border-radius: 4px; padding: 0 0.3em; }
`;
