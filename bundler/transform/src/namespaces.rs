//! TypeScript's namespaces.
//!
//! In:  `namespace N { export let a = 1; export function f() { return a; } }`
//! Out: `var N;(function(N){ N.a = 1; function f() { return N.a; }N.f=f; })(N||(N={}));`

use rustc_hash::{FxHashMap, FxHashSet};
use swc_atoms::Atom;
use swc_common::Spanned;
use swc_ecma_ast::*;
use swc_ecma_visit::VisitWith;

use crate::bindings::Binding;
use crate::parse::{hi, lo};
use crate::rewrite::Rewriter;
use crate::{hoist, types};

/// What is known of namespaces and enums, and of the class and constructor around.
#[derive(Default)]
pub(crate) struct Namespaces {
    /// Namespaces around, from outside: the names of their objects.
    path: Vec<Atom>,
    /// The scopes around, from outside.
    scopes: Vec<Scope>,
    /// Members that blocks of the same name have added so far.
    members: FxHashMap<String, Vec<Atom>>,
    /// `export default function () {}` has to be given its name.
    pub(crate) anonymous_default: bool,
    /// Whether the class around extends another.
    pub(crate) derived: bool,
    /// `,this.a=a` for each parameter that is a field, inside its constructor.
    pub(crate) fields: String,
    /// Where that constructor calls `super` in a statement of its own.
    pub(crate) direct_super: Option<u32>,
}

/// What enums and namespaces have done in a scope.
#[derive(Default)]
struct Scope {
    /// Names that need no declaration any more.
    declared: FxHashSet<Atom>,
    /// Members of its enums so far.
    enums: FxHashMap<Atom, Vec<Atom>>,
}

impl Namespaces {
    fn key(&self, name: &str) -> String {
        let mut key: String = self.path.iter().map(|part| format!("{part}.")).collect();
        key.push_str(name);
        key
    }

    /// Notes that classes and functions declare these names themselves.
    pub(crate) fn note_declared(&mut self, items: &[ModuleItem]) {
        for item in items {
            let decl = match item {
                ModuleItem::Stmt(Stmt::Decl(decl)) => decl,
                ModuleItem::ModuleDecl(ModuleDecl::ExportDecl(export)) => &export.decl,
                ModuleItem::ModuleDecl(ModuleDecl::ExportDefaultDecl(export)) => {
                    if let Some(name) = types::default_name(&export.decl) {
                        self.declare(&name.sym);
                    }
                    continue;
                }
                _ => continue,
            };
            if matches!(decl, Decl::Class(_) | Decl::Fn(_)) {
                hoist::declared(decl, false, &mut |ident| {
                    self.declare(&ident.sym);
                });
            }
        }
    }

    /// Opens a scope, in which enums and namespaces need declarations of their own.
    pub(crate) fn enter(&mut self) {
        self.scopes.push(Scope::default());
    }

    pub(crate) fn leave(&mut self) {
        self.scopes.pop();
    }

    /// Notes that a name is declared; false if it was.
    fn declare(&mut self, name: &Atom) -> bool {
        self.scopes.last_mut().is_none_or(|scope| scope.declared.insert(name.clone()))
    }

    /// Whether no namespace is around.
    pub(crate) fn is_outside(&self) -> bool {
        self.path.is_empty()
    }

    /// Members that earlier enums of this name have; those of a namespace don't count.
    pub(crate) fn enum_members(&self, name: &Atom) -> Vec<Atom> {
        self.scopes.last().and_then(|scope| scope.enums.get(name)).cloned().unwrap_or_default()
    }

    /// Adds members for later enums of this name.
    pub(crate) fn add_enum_members(&mut self, name: &Atom, members: impl Iterator<Item = Atom>) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.enums.entry(name.clone()).or_default().extend(members);
        }
    }

    /// Members that earlier blocks of this name have exported.
    fn members_of(&self, name: &str) -> Vec<Atom> {
        self.members.get(&self.key(name)).cloned().unwrap_or_default()
    }

    /// Adds members for later blocks of this name.
    fn add_members(&mut self, name: &str, members: impl Iterator<Item = Atom>) {
        let key = self.key(name);
        self.members.entry(key).or_default().extend(members);
    }
}

impl Rewriter<'_> {
    /// `var A;`, or `;` where something declares it already.
    pub(crate) fn container_head(&mut self, name: &Ident) -> String {
        if !self.namespaces.declare(&name.sym) {
            return ";".to_owned();
        }
        // A block's own is another variable each time.
        let keyword = if self.namespaces.scopes.len() > 1 { "let" } else { "var" };
        format!("{keyword} {};", name.sym)
    }

    /// `(A||(A={}));`
    pub(crate) fn container_tail(&self, name: &str, exported: bool) -> String {
        match self.namespaces.path.last() {
            Some(outer) if exported => format!("({name}={outer}.{name}||({outer}.{name}={{}}));"),
            _ => format!("({name}||({name}={{}}));"),
        }
    }

    /// A namespace; `exported` where another one exports it.
    pub(crate) fn namespace(&mut self, module: &TsModuleDecl, exported: bool) {
        let (TsModuleName::Ident(id), Some(body)) = (&module.id, &module.body) else { return };
        self.namespace_parts(lo(module.span), hi(module.span), id, body, exported);
    }

    fn namespace_parts(&mut self, start: u32, end: u32, id: &Ident, body: &TsNamespaceBody, exported: bool) {
        let name = &id.sym;
        let head = self.container_head(id);
        match body {
            TsNamespaceBody::TsModuleBlock(block) => {
                let parameter = parameter_name(name, &block.body);
                let open = lo(block.span);
                self.edits.replace_keeping_lines(start, open, &format!("{head}(function({parameter})"));
                self.namespace_block(block, name, &parameter);
            }
            TsNamespaceBody::TsNamespaceDecl(inner) => {
                let open = lo(inner.id.span);
                self.edits.replace_keeping_lines(start, open, &format!("{head}(function({name}){{"));
                self.namespaces.path.push(name.clone());
                self.namespaces.enter();
                let members = [inner.id.sym.clone()];
                self.namespace_parts(open, hi(inner.span), &inner.id, &inner.body, true);
                self.namespaces.leave();
                self.namespaces.path.pop();
                self.namespaces.add_members(name, members.into_iter());
                self.edits.insert(hi(inner.span), "}");
            }
        }
        let tail = self.container_tail(name, exported);
        self.edits.insert(end, format!("){tail}"));
    }

    fn namespace_block(&mut self, block: &TsModuleBlock, name: &Atom, parameter: &Atom) {
        let exported = exported_names(&block.body);
        let earlier = self.namespaces.members_of(name);
        self.bindings.enter();
        for member in earlier.iter().chain(exported.variables.iter()) {
            self.bindings.declare(member, Binding::Member(parameter.clone()));
        }
        let bindings = &mut self.bindings;
        hoist::items(&block.body, &mut |ident| {
            if !exported.variables.contains(&ident.sym) {
                bindings.hide(&ident.sym);
            }
        });
        self.namespaces.add_members(name, exported.variables.into_iter().chain(exported.others));
        let aliases = self.aliases.len();
        self.declare_aliases(&block.body, Some(parameter));
        self.namespaces.path.push(parameter.clone());
        self.namespaces.enter();
        self.namespaces.note_declared(&block.body);
        self.functions += 1;
        self.hoist_functions(block, parameter);
        let mut before = None;
        for item in &block.body {
            if let ModuleItem::Stmt(stmt) = item {
                self.keep_apart(stmt, before);
            }
            self.namespace_item(item, parameter);
            before = Some(hi(item.span()));
        }
        self.functions -= 1;
        self.finish_aliases(aliases);
        self.namespaces.leave();
        self.namespaces.path.pop();
        self.bindings.leave();
    }

    /// Exported functions can be called before the line they stand on.
    fn hoist_functions(&mut self, block: &TsModuleBlock, object: &Atom) {
        let mut text = String::new();
        for item in &block.body {
            if let ModuleItem::ModuleDecl(ModuleDecl::ExportDecl(ExportDecl { decl: Decl::Fn(function), .. })) = item
                && function.function.body.is_some()
            {
                let name = &function.ident.sym;
                text.push_str(&format!("{object}.{name}={name};"));
            }
        }
        if !text.is_empty() {
            self.edits.insert(lo(block.span) + 1, text);
        }
    }

    fn namespace_item(&mut self, item: &ModuleItem, object: &Atom) {
        match item {
            ModuleItem::Stmt(stmt) => stmt.visit_with(self),
            ModuleItem::ModuleDecl(ModuleDecl::ExportDecl(export)) => self.namespace_export(export, object),
            ModuleItem::ModuleDecl(ModuleDecl::TsImportEquals(import)) => self.import_equals(import),
            ModuleItem::ModuleDecl(other) => {
                self.problem(
                    other.span(),
                    "A namespace can't import or export modules.",
                    "Move it to the top of the file.",
                );
            }
        }
    }

    fn namespace_export(&mut self, export: &ExportDecl, object: &Atom) {
        let (start, end) = (lo(export.span), hi(export.span));
        let decl = &export.decl;
        if types::is_erased(decl) {
            return self.edits.blank_statement(start, end);
        }
        match decl {
            Decl::Var(var) => self.namespace_variables(var, start, end),
            Decl::TsEnum(inner) => {
                self.edits.blank(start, lo(inner.span));
                self.enum_decl(inner, true);
            }
            Decl::TsModule(inner) => {
                self.edits.blank(start, lo(inner.span));
                self.namespace(inner, true);
            }
            Decl::Fn(function) => {
                self.edits.blank(start, start + "export".len() as u32);
                function.visit_with(self);
            }
            _ => {
                self.edits.blank(start, start + "export".len() as u32);
                decl.visit_with(self);
                let mut text = String::new();
                hoist::declared(decl, true, &mut |ident| {
                    text.push_str(&format!(";{object}.{0}={0};", ident.sym));
                });
                self.edits.insert(end, text);
            }
        }
    }

    /// `export const a = 1, {b} = c;` → `(N.a = 1), ({b:N.b} = c);`
    fn namespace_variables(&mut self, var: &VarDecl, start: u32, end: u32) {
        let Some(first) = var.decls.first() else { return self.edits.blank_statement(start, end) };
        self.edits.blank_statement(start, lo(first.span));
        for decl in &var.decls {
            self.edits.insert(lo(decl.span), "(");
            self.assign_pattern(&decl.name);
            decl.init.visit_with(self);
            self.edits.insert(hi(decl.span), ")");
        }
    }
}

/// TypeScript gives the object another name where the block declares its own.
fn parameter_name(name: &Atom, body: &[ModuleItem]) -> Atom {
    let mut taken = false;
    hoist::items(body, &mut |ident| taken |= ident.sym == *name);
    if taken { Atom::from(format!("{name}_1")) } else { name.clone() }
}

/// What a block exports.
#[derive(Default)]
struct Exported {
    /// Variables, which live in the object.
    variables: Vec<Atom>,
    /// Functions, classes, enums and namespaces, which are copied to it.
    others: Vec<Atom>,
}

fn exported_names(body: &[ModuleItem]) -> Exported {
    let mut exported = Exported::default();
    for item in body {
        match item {
            ModuleItem::ModuleDecl(ModuleDecl::ExportDecl(export)) => {
                let list = if export.decl.is_var() { &mut exported.variables } else { &mut exported.others };
                hoist::declared(&export.decl, true, &mut |ident| list.push(ident.sym.clone()));
            }
            ModuleItem::ModuleDecl(ModuleDecl::TsImportEquals(import)) if import.is_export => {
                exported.variables.push(import.id.sym.clone());
            }
            _ => {}
        }
    }
    exported
}
