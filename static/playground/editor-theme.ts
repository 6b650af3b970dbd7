// Colours of the editor. They are CSS values that follow the colour scheme by
// themselves, so nothing has to change when the scheme does.

import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import type { Extension } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const view = EditorView.theme({
  "&": { height: "100%", fontSize: "var(--_size)", color: "var(--_fg)", backgroundColor: "transparent" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--_mono)", lineHeight: "1.55", overflow: "auto" },
  ".cm-content": { padding: "10px 0", caretColor: "var(--_fg)" },
  ".cm-line": { padding: "0 14px 0 6px" },
  // Opaque, as long lines scroll beneath them.
  ".cm-gutters": { backgroundColor: "var(--_bg)", border: "none", color: "light-dark(#7b8494, #6d7687)" },
  ".cm-lineNumbers .cm-gutterElement": { minWidth: "2.2em", padding: "0 6px 0 8px" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "light-dark(#0b2a6b0a, #ffffff0a)" },
  ".cm-cursor": { borderLeftColor: "var(--_fg)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "light-dark(#cfdcfb, #31436b)",
  },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "light-dark(#d9e6d5, #3a4a3a)" },
  ".cm-selectionMatch": { backgroundColor: "light-dark(#e9eef9, #2a3347)" },
  ".cm-tooltip, .cm-panels": {
    backgroundColor: "var(--_soft)", color: "var(--_fg)", border: "1px solid var(--_line)", borderRadius: "6px",
  },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--_accent)", color: "var(--_bg)" },
  ".cm-diagnostic": { padding: "6px 10px", fontFamily: "var(--_sans)" },
  ".cm-panel input, .cm-panel button": { font: "inherit", minHeight: "24px", color: "inherit", background: "var(--_bg)" },
});

const colors = HighlightStyle.define([
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], color: "var(--sandglass-syntax-keyword, light-dark(#8b2fb0, #cf9bf5))" },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: "var(--sandglass-syntax-string, light-dark(#1b6e43, #8fd3a5))" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--sandglass-syntax-number, light-dark(#a14709, #f0b27a))" },
  { tag: tags.comment, color: "var(--sandglass-syntax-comment, light-dark(#667080, #8a94a6))", fontStyle: "italic" },
  { tag: [tags.function(tags.variableName), tags.function(tags.propertyName)], color: "var(--sandglass-syntax-function, light-dark(#1d54c4, #8ab0ff))" },
  { tag: [tags.typeName, tags.className, tags.namespace], color: "var(--sandglass-syntax-type, light-dark(#0f6b7a, #7fd1dd))" },
  { tag: [tags.tagName], color: "var(--sandglass-syntax-tag, light-dark(#b3261e, #f59b95))" },
  { tag: [tags.attributeName, tags.propertyName], color: "var(--sandglass-syntax-property, light-dark(#7a4b0b, #e3c78a))" },
  { tag: tags.invalid, textDecoration: "underline wavy" },
]);

/** The look of every editor. */
export const theme: Extension = [view, syntaxHighlighting(colors)];
