//! `import A = B.C` and `import x = require("y")`.
//!
//! In:  `import A = B.C; A.f();`
//! Out: `const A=B.C; A.f();`
//!
//! Either may mean a type alone, which nothing in the file tells but its uses. So
//! one that isn't used as a value goes, and that is known at the end of its scope.

use swc_atoms::Atom;
use swc_common::Spanned;
use swc_ecma_ast::*;

use crate::bindings::Binding;
use crate::parse::{hi, lo};
use crate::rewrite::Rewriter;
use crate::{Request, RequestKind};

/// An alias whose scope is still open.
#[derive(Clone)]
pub(crate) struct Alias {
    name: Atom,
    /// The namespace's object that gets it as a member.
    object: Option<Atom>,
    target: Target,
    start: u32,
    end: u32,
    pub(crate) used: bool,
    written: bool,
}

#[derive(Clone)]
enum Target {
    /// `B.C`: where it stands, and `B`.
    Entity(u32, Ident),
    /// `require("y")`: where it stands, and what it asks for.
    Module(u32, Request),
}

impl Rewriter<'_> {
    /// Declares the aliases among these, so that their uses are seen.
    pub(crate) fn declare_aliases(&mut self, items: &[ModuleItem], object: Option<&Atom>) {
        for item in items {
            let ModuleItem::ModuleDecl(ModuleDecl::TsImportEquals(import)) = item else { continue };
            if import.is_type_only {
                continue;
            }
            let number = self.aliases.len() as u32;
            self.aliases.push(alias(import, object));
            // As a namespace's member it is another name already.
            if object.is_none() || !import.is_export {
                self.bindings.declare(&import.id.sym, Binding::Alias(number));
            }
        }
    }

    /// Visits an alias: its text is decided on by [`Rewriter::finish_aliases`].
    pub(crate) fn import_equals(&mut self, import: &TsImportEqualsDecl) {
        if import.is_type_only {
            self.edits.blank_statement(lo(import.span), hi(import.span));
        } else if import.is_export && self.namespaces.is_outside() {
            self.export_local(&import.id, &import.id.sym);
        }
    }

    /// Writes the aliases declared since there were `from`, or removes them.
    pub(crate) fn finish_aliases(&mut self, from: usize) {
        // Writing one may use another.
        while let Some(alias) = self.aliases[from..].iter_mut().rev().find(|alias| alias.used && !alias.written) {
            alias.written = true;
            let alias = alias.clone();
            self.write_alias(alias);
        }
        for alias in self.aliases.drain(from..).filter(|alias| !alias.used) {
            self.edits.blank_statement(alias.start, alias.end);
        }
    }

    fn write_alias(&mut self, alias: Alias) {
        let Alias { name, object, target, start, .. } = alias;
        let head = match object {
            Some(object) => format!(";{object}.{name}="),
            None => format!("const {name}="),
        };
        match target {
            Target::Entity(from, first) => {
                self.edits.replace_keeping_lines(start, from, &head);
                self.reference(&first);
            }
            Target::Module(from, request) => {
                self.edits.replace_keeping_lines(start, from, &head);
                self.requests.push(request);
            }
        }
    }
}

fn alias(import: &TsImportEqualsDecl, object: Option<&Atom>) -> Alias {
    let target = match &import.module_ref {
        TsModuleRef::TsEntityName(entity) => Target::Entity(lo(entity.span()), first(entity).clone()),
        TsModuleRef::TsExternalModuleRef(external) => {
            let literal = external.expr.span;
            let specifier = external.expr.value.to_string_lossy().into_owned();
            let request = Request { specifier, kind: RequestKind::Require, start: lo(literal), end: hi(literal) };
            Target::Module(lo(external.span), request)
        }
    };
    Alias {
        name: import.id.sym.clone(),
        object: object.filter(|_| import.is_export).cloned(),
        target,
        start: lo(import.span),
        end: hi(import.span),
        used: import.is_export,
        written: false,
    }
}

fn first(entity: &TsEntityName) -> &Ident {
    let mut entity = entity;
    loop {
        entity = match entity {
            TsEntityName::Ident(ident) => return ident,
            TsEntityName::TsQualifiedName(name) => &name.left,
        };
    }
}
