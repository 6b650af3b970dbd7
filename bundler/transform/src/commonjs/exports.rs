//! Names that a CommonJS module exports, as far as its text tells.
//!
//! Sees what Node's own lexer for this sees: assignments to `exports`, an object
//! assigned to `module.exports`, `Object.defineProperty`, and what TypeScript,
//! Babel, swc and esbuild write for re-exports.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::lexer::Kind;

use super::tokens::Tokens;

/// The names found so far.
#[derive(Default)]
pub(super) struct Exports {
    names: Vec<String>,
    seen: FxHashSet<String>,
    /// Specifiers whose names are re-exported.
    reexports: Vec<String>,
    /// Variables that hold a module, with its specifier.
    modules: FxHashMap<String, String>,
}

impl Exports {
    pub(super) fn finish(self) -> (Vec<String>, Vec<String>) {
        (self.names, self.reexports)
    }

    fn add(&mut self, name: impl Into<String>) {
        let name = name.into();
        if self.seen.insert(name.clone()) {
            self.names.push(name);
        }
    }

    fn reexport(&mut self, specifier: &str) {
        if !self.reexports.iter().any(|known| known == specifier) {
            self.reexports.push(specifier.to_owned());
        }
    }

    /// After `exports`: `.name =`, `["name"] =`.
    pub(super) fn exports(&mut self, tokens: &mut Tokens<'_>) {
        self.member(tokens, 0);
    }

    /// After `module`: `.exports.name =`, `.exports = {…}`.
    pub(super) fn module(&mut self, tokens: &mut Tokens<'_>) {
        if !tokens.is(0, ".") || !tokens.is(1, "exports") {
            return;
        }
        if !tokens.is(2, "=") {
            return self.member(tokens, 2);
        }
        if tokens.is(3, "{") {
            self.object(tokens, 3);
        }
    }

    /// A member that is assigned to.
    fn member(&mut self, tokens: &mut Tokens<'_>, at: usize) {
        let name = tokens.peek(at + 1);
        if tokens.is(at, ".") && name.kind == Kind::Word && tokens.is(at + 2, "=") {
            let name = tokens.text(name);
            self.add(name);
        } else if let Some(name) = tokens.literal(name)
            && tokens.is(at, "[")
            && tokens.is(at + 2, "]")
            && tokens.is(at + 3, "=")
        {
            self.add(name);
        }
    }

    /// `{a, b: …, "c": …, d() {…}, get e() {…}, ...f}`, whose brace is `at` tokens ahead.
    fn object(&mut self, tokens: &mut Tokens<'_>, mut at: usize) {
        let depth = tokens.peek(at).depth + 1;
        at += 1;
        loop {
            let (key, next) = (tokens.peek(at), tokens.peek(at + 1));
            if key.kind == Kind::End || key.depth < depth {
                return;
            }
            let accessor = matches!(tokens.text(key), "get" | "set" | "async" | "static") && next.kind == Kind::Word;
            let name = if accessor { next } else { key };
            match name.kind {
                Kind::Word => {
                    let name = tokens.text(name);
                    self.add(name);
                }
                Kind::String => self.names.extend(tokens.literal(name).filter(|name| self.seen.insert(name.clone()))),
                _ => {}
            }
            // To the next property.
            loop {
                let item = tokens.peek(at);
                if item.kind == Kind::End || item.depth < depth {
                    return;
                }
                at += 1;
                if item.depth == depth && item.kind == Kind::Punct(b',') {
                    break;
                }
            }
        }
    }

    /// After `Object`: `.defineProperty(exports, "name"`, `.keys(module).forEach(`.
    pub(super) fn define(&mut self, tokens: &mut Tokens<'_>) {
        if !tokens.is(0, ".") || !tokens.is(2, "(") {
            return;
        }
        if tokens.is(1, "keys") && tokens.is(4, ")") && tokens.is(5, ".") && tokens.is(6, "forEach") {
            let variable = tokens.peek(3);
            if let Some(specifier) = self.modules.get(tokens.text(variable)).cloned() {
                self.reexport(&specifier);
            }
        } else if tokens.is(1, "defineProperty") {
            let at = if tokens.is(3, "module") && tokens.is(4, ".") && tokens.is(5, "exports") { 6 } else { 4 };
            let (is_exports, name) = (at == 6 || tokens.is(3, "exports"), tokens.peek(at + 1));
            if let (true, true, Some(name)) = (is_exports, tokens.is(at, ","), tokens.literal(name)) {
                self.add(name);
            }
        }
    }

    /// After a helper's name: `(exports, {a: …})`.
    pub(super) fn helper(&mut self, tokens: &mut Tokens<'_>) {
        if tokens.is(0, "(") && tokens.is(1, "exports") && tokens.is(2, ",") && tokens.is(3, "{") {
            self.object(tokens, 3);
        }
    }

    /// After a `require` that asks for a module: what stands before says what becomes of it.
    pub(super) fn required(&mut self, tokens: &Tokens<'_>, specifier: &str) {
        let back = |index: usize| tokens.text(tokens.back(index));
        match back(1) {
            "=" if back(2) == "exports" && back(3) == "." && back(4) == "module" => self.reexport(specifier),
            "=" => self.holds(back(2), specifier),
            "..." => self.reexport(specifier),
            // `__exportStar(require("x"), exports)`, `__export(require("x"))`, `_export_star(…)`
            "(" if back(2).starts_with("__export") || back(2).starts_with("_export") => self.reexport(specifier),
            "(" if back(3) == "=" => self.holds(back(4), specifier),
            _ => {}
        }
    }

    fn holds(&mut self, variable: &str, specifier: &str) {
        self.modules.insert(variable.to_owned(), specifier.to_owned());
    }
}
