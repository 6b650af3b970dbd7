//! JSX → calls.
//!
//! In:  `<a b={c}>d</a>`
//! Out: `(0,$0.jsx)("a",{ b:c ,children:"d"})`
//!
//! Tags become calls in place, attributes properties in place; only a `key` moves
//! to the end. A text's line ends stay behind its string.

mod entities;
mod text;

use swc_common::Spanned;
use swc_ecma_ast::*;
use swc_ecma_visit::VisitWith;

use crate::edit::Text;
use crate::parse::{hi, lo};
use crate::rewrite::Rewriter;
use crate::text::{is_identifier_name, newlines};
use crate::{Jsx, quote};

/// How this file writes JSX, and the imports that takes.
pub(crate) struct JsxState {
    style: Jsx,
    runtime: Option<u32>,
    elements: Option<u32>,
}

impl JsxState {
    /// What the options say, unless comments before the code say otherwise.
    pub(crate) fn new(source: &str, options: &Jsx) -> JsxState {
        JsxState { style: style(source, options), runtime: None, elements: None }
    }
}

fn style(source: &str, options: &Jsx) -> Jsx {
    let head = &source[..crate::scan::Scan(source).skip_trivia(crate::text::hashbang(source) as u32) as usize];
    let pragma = |name: &str| {
        let at = head.rfind(&format!("{name} "))?;
        head[at + name.len()..].split_whitespace().next().map(|value| value.trim_end_matches("*/").to_owned())
    };
    let import_source = pragma("@jsxImportSource");
    let (jsx, fragment) = (pragma("@jsx"), pragma("@jsxFrag"));
    let classic = match pragma("@jsxRuntime").as_deref() {
        Some("classic") => true,
        Some("automatic") => false,
        _ if import_source.is_some() => false,
        _ => jsx.is_some() || matches!(options, Jsx::Classic { .. }),
    };
    match (classic, options) {
        (true, Jsx::Classic { pragma, fragment: default }) => Jsx::Classic {
            pragma: jsx.unwrap_or_else(|| pragma.clone()),
            fragment: fragment.unwrap_or_else(|| default.clone()),
        },
        (true, _) => Jsx::Classic {
            pragma: jsx.unwrap_or_else(|| "React.createElement".to_owned()),
            fragment: fragment.unwrap_or_else(|| "React.Fragment".to_owned()),
        },
        (false, Jsx::Automatic { import_source: default }) => {
            Jsx::Automatic { import_source: import_source.unwrap_or_else(|| default.clone()) }
        }
        (false, _) => Jsx::Automatic { import_source: import_source.unwrap_or_else(|| "react".to_owned()) },
    }
}

/// How one element is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `jsx(type, {…, children}, key)`
    Runtime,
    /// `createElement(type, {…, key}, …children)`
    CreateElement,
}

impl Rewriter<'_> {
    pub(crate) fn element(&mut self, element: &JSXElement) {
        let opening = &element.opening;
        let key = key_of(&opening.attrs);
        let form = self.form(opening, key);
        let children = count(&element.children);
        let start = lo(element.span);
        self.callee(start, lo(opening.name.span()), form, children > 1, false);
        self.element_name(&opening.name);
        opening.type_args.visit_with(self);
        let named = opening.type_args.as_ref().map_or(hi(opening.name.span()), |args| hi(args.span));
        let empty = opening.attrs.is_empty();
        let object = form == Form::Runtime || !empty;
        self.edits.insert(named, if object { ",{" } else { ",null" });
        let mut moved = Vec::new();
        for attr in &opening.attrs {
            match attr {
                JSXAttrOrSpread::JSXAttr(attr) if form == Form::Runtime && key == Some(attr.span) => {
                    moved = self.take_key(attr);
                }
                _ => self.attribute(attr),
            }
        }
        let close = hi(opening.span);
        let slash =
            if element.closing.is_none() { self.scan.trim_before(close - 1).saturating_sub(1) } else { close - 1 };
        let brace = if object && form == Form::CreateElement { "}" } else { "" };
        self.edits.replace_keeping_lines(slash, close, brace);
        self.children(&element.children, form, children, close);
        let end = hi(element.span);
        let from = element.closing.as_ref().map_or(end, |closing| lo(closing.span));
        if form == Form::Runtime {
            self.edits.insert(from, "}");
        }
        for piece in moved {
            self.edits.insert(from, piece);
        }
        self.edits.replace_keeping_lines(from, end, ")");
    }

    pub(crate) fn fragment(&mut self, fragment: &JSXFragment) {
        let children = count(&fragment.children);
        let form = if matches!(self.jsx.style, Jsx::Classic { .. }) { Form::CreateElement } else { Form::Runtime };
        let (start, open) = (lo(fragment.opening.span), hi(fragment.opening.span));
        self.callee(start, open, form, children > 1, true);
        self.edits.insert(open, if form == Form::Runtime { ",{" } else { ",null" });
        self.children(&fragment.children, form, children, open);
        let (from, end) = (lo(fragment.closing.span), hi(fragment.closing.span));
        self.edits.replace_keeping_lines(from, end, if form == Form::Runtime { "})" } else { ")" });
    }

    fn form(&self, opening: &JSXOpeningElement, key: Option<swc_common::Span>) -> Form {
        if matches!(self.jsx.style, Jsx::Classic { .. }) {
            return Form::CreateElement;
        }
        let Some(key) = key else { return Form::Runtime };
        // After a spread, which of two keys counts is for `createElement` to say.
        let spread = opening
            .attrs
            .iter()
            .any(|attr| matches!(attr, JSXAttrOrSpread::SpreadElement(spread) if lo(spread.dot3_token) < lo(key)));
        // A key is moved as text; one with line ends that may matter stays.
        let text = self.scan.slice(lo(key), hi(key));
        let fixed = !newlines(text).is_empty()
            && (text.contains('`') || text.contains("//") || text.contains("=>") || text.contains("function"));
        if spread || fixed { Form::CreateElement } else { Form::Runtime }
    }

    /// Replaces `<` by the beginning of a call; all of `<>` for a fragment.
    fn callee(&mut self, start: u32, end: u32, form: Form, several: bool, fragment: bool) {
        let lines = newlines(self.scan.slice(start, end));
        let style = self.jsx.style.clone();
        match (&style, form) {
            (Jsx::Automatic { import_source }, Form::Runtime) => {
                let runtime = match self.jsx.runtime {
                    Some(runtime) => runtime,
                    None => self.implicit_import(&format!("{import_source}/jsx-runtime"), start),
                };
                self.jsx.runtime = Some(runtime);
                self.edits.insert(start, "(0,");
                self.edits.insert(start, Text::Import(runtime));
                if fragment {
                    self.edits.insert(start, if several { ".jsxs)(" } else { ".jsx)(" });
                    self.edits.insert(start, Text::Import(runtime));
                    self.edits.replace(start, end, format!(".Fragment{lines}"));
                } else {
                    let name = if several { ".jsxs)(" } else { ".jsx)(" };
                    self.edits.replace(start, end, format!("{name}{lines}"));
                }
            }
            (Jsx::Automatic { import_source }, Form::CreateElement) => {
                let elements = match self.jsx.elements {
                    Some(elements) => elements,
                    None => self.implicit_import(import_source, start),
                };
                self.jsx.elements = Some(elements);
                self.edits.insert(start, "(0,");
                self.edits.insert(start, Text::Import(elements));
                self.edits.replace(start, end, format!(".createElement)({lines}"));
            }
            (Jsx::Classic { pragma, fragment: name }, _) => {
                // `return<a/>`
                self.edits.insert(start, " ");
                self.pragma(pragma, start);
                if fragment {
                    self.edits.insert(start, "(");
                    self.pragma(name, start);
                    self.edits.replace(start, end, lines);
                } else {
                    self.edits.replace(start, end, format!("({lines}"));
                }
            }
        }
    }

    /// A dotted name whose first part may be imported.
    fn pragma(&mut self, pragma: &str, at: u32) {
        let (head, rest) = pragma.split_at(pragma.find('.').unwrap_or(pragma.len()));
        let rest = rest.to_owned();
        match self.bindings.get(&swc_atoms::Atom::from(head)) {
            Some(crate::bindings::Binding::Import(local)) => {
                let local = &mut self.locals[*local as usize];
                local.used = true;
                local.required = true;
                let name = local.name.as_deref().map(crate::text::member).unwrap_or_default();
                let import = local.import;
                self.edits.insert(at, Text::Import(import));
                self.edits.insert(at, name + &rest);
            }
            _ => self.edits.insert(at, format!("{head}{rest}")),
        }
    }

    fn element_name(&mut self, name: &JSXElementName) {
        let (start, end) = (lo(name.span()), hi(name.span()));
        match name {
            JSXElementName::Ident(ident) => {
                let first = ident.sym.chars().next().unwrap_or('a');
                let intrinsic = first.is_ascii_lowercase() && ident.sym != "this" || ident.sym.contains('-');
                if intrinsic {
                    self.edits.replace(start, end, quote(&ident.sym));
                } else {
                    self.refresh_type(ident);
                    self.reference(ident);
                }
            }
            JSXElementName::JSXMemberExpr(member) => {
                let mut object = &member.obj;
                while let JSXObject::JSXMemberExpr(inner) = object {
                    object = &inner.obj;
                }
                if let JSXObject::Ident(ident) = object {
                    self.reference(ident);
                }
            }
            JSXElementName::JSXNamespacedName(name) => {
                self.edits.replace(start, end, quote(&format!("{}:{}", name.ns.sym, name.name.sym)));
            }
        }
    }

    fn attribute(&mut self, attr: &JSXAttrOrSpread) {
        let attr = match attr {
            JSXAttrOrSpread::JSXAttr(attr) => attr,
            JSXAttrOrSpread::SpreadElement(spread) => {
                // `{...a}`: the braces stand outside of the node.
                let open = self.scan.slice(0, lo(spread.dot3_token)).rfind('{').unwrap_or(0) as u32;
                self.edits.blank(open, open + 1);
                spread.expr.visit_with(self);
                if let Some(close) = self.scan.find(hi(spread.expr.span()), b'}') {
                    self.edits.replace(close, close + 1, ",");
                }
                return;
            }
        };
        let (start, end) = (lo(attr.name.span()), hi(attr.name.span()));
        match &attr.name {
            JSXAttrName::Ident(name) => {
                if name.sym == "__proto__" {
                    self.edits.replace(start, end, "[\"__proto__\"]");
                } else if !is_identifier_name(&name.sym) {
                    self.edits.replace(start, end, quote(&name.sym));
                }
            }
            JSXAttrName::JSXNamespacedName(name) => {
                self.edits.replace(start, end, quote(&format!("{}:{}", name.ns.sym, name.name.sym)));
            }
        }
        match &attr.value {
            None => self.edits.insert(end, ":true,"),
            Some(value) => {
                self.edits.replace_keeping_lines(end, lo(value.span()), ":");
                self.attribute_value(value);
                self.edits.insert(hi(value.span()), ",");
            }
        }
    }

    fn attribute_value(&mut self, value: &JSXAttrValue) {
        match value {
            JSXAttrValue::Str(text) => {
                let (start, end) = (lo(text.span), hi(text.span));
                let raw = self.scan.slice(start + 1, end.saturating_sub(1));
                self.edits.replace_keeping_lines(start, end, &quote(&text::attribute(raw)));
            }
            JSXAttrValue::JSXExprContainer(container) => self.container(container),
            JSXAttrValue::JSXElement(element) => element.visit_with(self),
            JSXAttrValue::JSXFragment(fragment) => fragment.visit_with(self),
        }
    }

    /// `{a}` → ` a `
    fn container(&mut self, container: &JSXExprContainer) {
        let (start, end) = (lo(container.span), hi(container.span));
        let JSXExpr::Expr(expr) = &container.expr else {
            return self.problem(
                container.span,
                "An attribute needs a value inside its braces.",
                "Write a value, or leave the attribute out.",
            );
        };
        let sequence = matches!(**expr, Expr::Seq(_));
        self.edits.replace(start, start + 1, if sequence { "(" } else { " " });
        expr.visit_with(self);
        self.edits.replace(end - 1, end, if sequence { ")" } else { " " });
    }

    /// Removes a `key` from among the attributes: `,` and its value.
    fn take_key(&mut self, attr: &JSXAttr) -> Vec<Text> {
        let (start, end) = (lo(attr.span), hi(attr.span));
        let mut pieces = vec![Text::Str(",")];
        match &attr.value {
            None => pieces.push(Text::Str("true")),
            Some(value) => {
                let mark = self.edits.mark();
                self.attribute_value(value);
                pieces.extend(self.edits.take_since(mark, lo(value.span()), hi(value.span())));
            }
        }
        for piece in &mut pieces {
            if let Text::Owned(text) = piece {
                *text = text.replace(crate::text::is_newline, " ");
            }
        }
        self.edits.blank(start, end);
        pieces
    }

    /// Children as a property, or as further arguments.
    fn children(&mut self, children: &[JSXElementChild], form: Form, count: usize, at: u32) {
        if count > 0 && form == Form::Runtime {
            self.edits.insert(at, if count > 1 { "children:[" } else { "children:" });
        }
        let mut end = at;
        for child in children {
            end = hi(child.span());
            let is_code = is_code(child);
            if is_code && form == Form::CreateElement {
                self.edits.insert(lo(child.span()), ",");
            }
            self.child(child);
            if is_code && form == Form::Runtime && count > 1 {
                self.edits.insert(end, ",");
            }
        }
        if count > 1 && form == Form::Runtime {
            self.edits.insert(end, "]");
        }
    }

    fn child(&mut self, child: &JSXElementChild) {
        match child {
            JSXElementChild::JSXText(text) => {
                let (start, end) = (lo(text.span), hi(text.span));
                let raw = self.scan.slice(start, end);
                let value = text::child(raw).map(|value| quote(&value)).unwrap_or_default();
                let lead = newlines(&raw[..raw.len() - raw.trim_start().len()]);
                let rest = newlines(raw.trim_start());
                self.edits.replace(start, end, format!("{lead}{value}{rest}"));
            }
            JSXElementChild::JSXExprContainer(container) => match &container.expr {
                JSXExpr::JSXEmptyExpr(_) => self.edits.blank(lo(container.span), hi(container.span)),
                JSXExpr::Expr(_) => self.container(container),
            },
            JSXElementChild::JSXSpreadChild(spread) => {
                let (start, end) = (lo(spread.span), hi(spread.span));
                self.edits.replace(start, start + 1, " ");
                spread.expr.visit_with(self);
                self.edits.replace(end - 1, end, " ");
            }
            JSXElementChild::JSXElement(element) => element.visit_with(self),
            JSXElementChild::JSXFragment(fragment) => fragment.visit_with(self),
        }
    }
}

/// Where the `key` attribute stands that counts.
fn key_of(attrs: &[JSXAttrOrSpread]) -> Option<swc_common::Span> {
    attrs.iter().rev().find_map(|attr| match attr {
        JSXAttrOrSpread::JSXAttr(attr) => {
            matches!(&attr.name, JSXAttrName::Ident(name) if name.sym == "key").then_some(attr.span)
        }
        JSXAttrOrSpread::SpreadElement(_) => None,
    })
}

/// Whether a child leaves anything behind.
fn is_code(child: &JSXElementChild) -> bool {
    match child {
        JSXElementChild::JSXText(text) => text::child(&text.raw).is_some(),
        JSXElementChild::JSXExprContainer(container) => matches!(container.expr, JSXExpr::Expr(_)),
        _ => true,
    }
}

/// How many children there are; a spread is never a single one.
fn count(children: &[JSXElementChild]) -> usize {
    let spread = children.iter().any(|child| matches!(child, JSXElementChild::JSXSpreadChild(_)));
    children.iter().filter(|child| is_code(child)).count() + usize::from(spread)
}
