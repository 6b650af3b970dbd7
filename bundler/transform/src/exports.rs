//! What a module exports, and the text that says so.

use rustc_hash::FxHashSet;
use swc_ecma_ast::*;

use crate::parse::{hi, lo};
use crate::rewrite::Rewriter;
use crate::text::{key, member};

/// The exports of a module.
#[derive(Default)]
pub(crate) struct Exports {
    list: Vec<Export>,
    /// Imports that are re-exported whole.
    pub(crate) stars: Vec<u32>,
}

struct Export {
    name: String,
    value: Value,
}

/// Where an export's value is.
enum Value {
    /// In a variable of the module.
    Local(String),
    /// With a local name of an import.
    Import(u32),
    /// In another module.
    From(u32, Option<String>),
}

impl Exports {
    pub(crate) fn names(&self) -> Vec<String> {
        self.list.iter().map(|export| export.name.clone()).collect()
    }

    /// Each name with the expression that reads it.
    pub(crate) fn getters(&self, rewriter: &Rewriter<'_>, import: &dyn Fn(u32) -> String) -> Vec<(String, String)> {
        let from =
            |index: u32, name: Option<&str>| format!("{}{}", import(index), name.map(member).unwrap_or_default());
        let getter = |export: &Export| match &export.value {
            Value::Local(name) => name.clone(),
            Value::Import(local) => {
                let local = &rewriter.locals[*local as usize];
                from(local.import, local.name.as_deref())
            }
            Value::From(index, name) => from(*index, name.as_deref()),
        };
        self.list.iter().map(|export| (export.name.clone(), getter(export))).collect()
    }
}

/// `$m.x({a:()=>a});`
pub(crate) fn registration(prefix: &str, getters: &[(String, String)]) -> String {
    if getters.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = getters.iter().map(|(name, value)| format!("{}:()=>{value}", key(name))).collect();
    format!("{prefix}m.x({{{}}});", pairs.join(","))
}

impl Rewriter<'_> {
    fn add_export(&mut self, name: String, value: Value, span: swc_common::Span) {
        if self.exports.list.iter().any(|export| export.name == name) {
            let message = format!("`{name}` is exported twice.");
            return self.problem(span, message, "Remove one of the two exports.");
        }
        self.exports.list.push(Export { name, value });
    }

    /// `export const a = …` and the like.
    pub(crate) fn export_local(&mut self, ident: &Ident, name: &str) {
        let (start, end) = self.name_range(ident);
        let local = self.scan.slice(start, end).to_owned();
        // Merged declarations export one thing.
        let merged =
            |export: &Export| export.name == name && matches!(&export.value, Value::Local(old) if *old == local);
        if self.syntax.typescript && self.exports.list.iter().any(merged) {
            return;
        }
        self.add_export(name.to_owned(), Value::Local(local), ident.span);
    }

    /// `export default` of something without a name.
    pub(crate) fn export_default(&mut self, span: swc_common::Span) {
        self.add_export("default".to_owned(), Value::Local(format!("{}d", self.prefix)), span);
    }

    /// `export { a as b }`
    pub(crate) fn export_names(&mut self, export: &NamedExport, declared: &FxHashSet<swc_atoms::Atom>) {
        for specifier in &export.specifiers {
            let ExportSpecifier::Named(named) = specifier else { continue };
            let ModuleExportName::Ident(orig) = &named.orig else { continue };
            if named.is_type_only {
                continue;
            }
            let name = named.exported.as_ref().unwrap_or(&named.orig).atom().to_string();
            if let Some(crate::bindings::Binding::Import(local)) = self.bindings.get(&orig.sym) {
                let local = *local;
                self.locals[local as usize].used = true;
                // It may be a type, which the other module doesn't export.
                self.locals[local as usize].required |= !self.syntax.typescript;
                self.add_export(name, Value::Import(local), named.span);
            } else if declared.contains(&orig.sym) {
                self.reference(orig);
                let (start, end) = self.name_range(orig);
                let local = self.scan.slice(start, end).to_owned();
                self.add_export(name, Value::Local(local), named.span);
            } else if !self.syntax.typescript {
                let message = format!("`{}` is exported but not declared in this file.", orig.sym);
                self.problem(named.span, message, "Declare it, import it, or remove the export.");
            }
        }
    }

    /// `export { a as b } from "c"`, `export * as d from "e"`
    pub(crate) fn export_from(&mut self, export: &NamedExport, import: u32) {
        for specifier in &export.specifiers {
            match specifier {
                ExportSpecifier::Namespace(namespace) => {
                    let name = namespace.name.atom().to_string();
                    self.add_export(name, Value::From(import, None), namespace.span);
                }
                ExportSpecifier::Named(named) if !named.is_type_only => {
                    let orig = named.orig.atom().to_string();
                    let name = named.exported.as_ref().unwrap_or(&named.orig).atom().to_string();
                    if !self.syntax.typescript {
                        let span = match &named.orig {
                            ModuleExportName::Ident(ident) => ident.span,
                            ModuleExportName::Str(text) => text.span,
                        };
                        let wanted = crate::ImportedName { name: orig.clone(), start: lo(span), end: hi(span) };
                        self.imports[import as usize].import.names.push(wanted);
                    }
                    self.add_export(name, Value::From(import, Some(orig)), named.span);
                }
                _ => {}
            }
        }
    }
}
