//! The names that a scope declares, found before it is visited.

use swc_ecma_ast::{
    Decl, ForHead, Ident, ModuleDecl, ModuleItem, ObjectPatProp, Pat, Stmt, TsModuleName, VarDecl, VarDeclKind,
    VarDeclOrExpr,
};

use crate::types;

/// Names of `let`, `const`, `class`, `function` and the like, directly in a list of statements.
pub(crate) fn lexical<'a>(stmts: &'a [Stmt], found: &mut impl FnMut(&'a Ident)) {
    for stmt in stmts {
        match stmt {
            Stmt::Decl(decl) => declared(decl, false, found),
            Stmt::Labeled(labeled) => lexical(std::slice::from_ref(&labeled.body), found),
            _ => {}
        }
    }
}

/// Names of `var`, however deep they stand below these statements.
pub(crate) fn vars<'a>(stmts: &'a [Stmt], found: &mut impl FnMut(&'a Ident)) {
    for stmt in stmts {
        vars_of(stmt, found);
    }
}

/// Everything the top level of a module or namespace declares itself, imports aside.
pub(crate) fn items<'a>(items: &'a [ModuleItem], found: &mut impl FnMut(&'a Ident)) {
    for item in items {
        match item {
            ModuleItem::Stmt(stmt) => {
                vars_of(stmt, found);
                lexical(std::slice::from_ref(stmt), found);
            }
            ModuleItem::ModuleDecl(ModuleDecl::ExportDecl(export)) => declared(&export.decl, true, found),
            ModuleItem::ModuleDecl(ModuleDecl::ExportDefaultDecl(export)) => {
                if let Some(name) = types::default_name(&export.decl) {
                    found(name);
                }
            }
            ModuleItem::ModuleDecl(ModuleDecl::TsImportEquals(import)) if !import.is_type_only => found(&import.id),
            ModuleItem::ModuleDecl(_) => {}
        }
    }
}

/// The names a declaration declares; `var` only when asked for.
pub(crate) fn declared<'a>(decl: &'a Decl, with_var: bool, found: &mut impl FnMut(&'a Ident)) {
    if types::is_erased(decl) {
        return;
    }
    match decl {
        Decl::Class(class) => found(&class.ident),
        Decl::Fn(function) => found(&function.ident),
        Decl::Var(var) if with_var || var.kind != VarDeclKind::Var => declarators(var, found),
        Decl::Using(using) => using.decls.iter().for_each(|decl| pattern(&decl.name, found)),
        Decl::TsEnum(decl) => found(&decl.id),
        Decl::TsModule(module) => {
            if let TsModuleName::Ident(id) = &module.id {
                found(id);
            }
        }
        _ => {}
    }
}

fn declarators<'a>(var: &'a VarDecl, found: &mut impl FnMut(&'a Ident)) {
    for decl in &var.decls {
        pattern(&decl.name, found);
    }
}

fn vars_of<'a>(stmt: &'a Stmt, found: &mut impl FnMut(&'a Ident)) {
    match stmt {
        Stmt::Block(block) => vars(&block.stmts, found),
        Stmt::Labeled(labeled) => vars_of(&labeled.body, found),
        Stmt::If(branch) => {
            vars_of(&branch.cons, found);
            if let Some(alt) = &branch.alt {
                vars_of(alt, found);
            }
        }
        Stmt::Switch(switch) => switch.cases.iter().for_each(|case| vars(&case.cons, found)),
        Stmt::Try(tried) => {
            vars(&tried.block.stmts, found);
            if let Some(handler) = &tried.handler {
                vars(&handler.body.stmts, found);
            }
            if let Some(finalizer) = &tried.finalizer {
                vars(&finalizer.stmts, found);
            }
        }
        Stmt::While(stmt) => vars_of(&stmt.body, found),
        Stmt::DoWhile(stmt) => vars_of(&stmt.body, found),
        Stmt::With(stmt) => vars_of(&stmt.body, found),
        Stmt::For(stmt) => {
            if let Some(VarDeclOrExpr::VarDecl(var)) = &stmt.init {
                hoisted(var, found);
            }
            vars_of(&stmt.body, found);
        }
        Stmt::ForIn(stmt) => {
            hoisted_head(&stmt.left, found);
            vars_of(&stmt.body, found);
        }
        Stmt::ForOf(stmt) => {
            hoisted_head(&stmt.left, found);
            vars_of(&stmt.body, found);
        }
        Stmt::Decl(Decl::Var(var)) => hoisted(var, found),
        _ => {}
    }
}

fn hoisted<'a>(var: &'a VarDecl, found: &mut impl FnMut(&'a Ident)) {
    if var.kind == VarDeclKind::Var && !var.declare {
        declarators(var, found);
    }
}

fn hoisted_head<'a>(head: &'a ForHead, found: &mut impl FnMut(&'a Ident)) {
    if let ForHead::VarDecl(var) = head {
        hoisted(var, found);
    }
}

/// Names that the head of a loop declares for the loop alone.
pub(crate) fn head<'a>(head: &'a ForHead, found: &mut impl FnMut(&'a Ident)) {
    match head {
        ForHead::VarDecl(var) if var.kind != VarDeclKind::Var => declarators(var, found),
        ForHead::UsingDecl(using) => using.decls.iter().for_each(|decl| pattern(&decl.name, found)),
        _ => {}
    }
}

/// Names that a pattern binds.
pub(crate) fn pattern<'a>(pat: &'a Pat, found: &mut impl FnMut(&'a Ident)) {
    match pat {
        Pat::Ident(ident) => found(&ident.id),
        Pat::Array(array) => array.elems.iter().flatten().for_each(|elem| pattern(elem, found)),
        Pat::Rest(rest) => pattern(&rest.arg, found),
        Pat::Assign(assign) => pattern(&assign.left, found),
        Pat::Object(object) => {
            for prop in &object.props {
                match prop {
                    ObjectPatProp::KeyValue(prop) => pattern(&prop.value, found),
                    ObjectPatProp::Assign(prop) => found(&prop.key.id),
                    ObjectPatProp::Rest(rest) => pattern(&rest.arg, found),
                }
            }
        }
        Pat::Invalid(_) | Pat::Expr(_) => {}
    }
}
