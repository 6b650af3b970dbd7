//! A parsed module → its factory.
//!
//! In:  `import a from "./a"; export const b = a;`
//! Out: `function*($m,$0){"use strict";$m.x({b:()=>b});yield;` … `const b = $0.default;` … `}`

use rustc_hash::FxHashSet;
use swc_atoms::Atom;
use swc_common::Spanned;
use swc_ecma_ast::*;
use swc_ecma_visit::VisitWith;

use crate::bindings::Binding;
use crate::detect::Syntax;
use crate::parse::{hi, lo, parse};
use crate::refresh::Refresh;
use crate::rewrite::{ImportLocal, Rewriter};
use crate::sourcemap::Map;
use crate::{
    Import, ImportedName, Kind, Module, Options, Problem, Request, RequestKind, exports, hoist, quote, text, types,
};

pub(crate) fn transform(source: &str, options: &Options<'_>, syntax: Syntax) -> Result<Module, Vec<Problem>> {
    let program = parse(source, syntax)?;
    let syntax = Syntax { common_js: syntax.common_js || program.body.iter().any(needs_common_js), ..syntax };
    let mut rewriter = Rewriter::new(source, options, syntax);
    rewriter.module(&program);
    if rewriter.problems.is_empty() {
        return Ok(rewriter.finish());
    }
    let problems = rewriter.problems;
    if problems.iter().any(|problem| problem.message.contains("nests too deep")) {
        // Freeing such a tree would recurse as deep as visiting it.
        std::mem::forget(program);
    }
    Err(problems)
}

/// `export =` and `import x = require("y")` have no counterpart in ES modules.
fn needs_common_js(item: &ModuleItem) -> bool {
    match item {
        ModuleItem::ModuleDecl(ModuleDecl::TsExportAssignment(_)) => true,
        ModuleItem::ModuleDecl(ModuleDecl::TsImportEquals(import)) => {
            !import.is_type_only && matches!(import.module_ref, TsModuleRef::TsExternalModuleRef(_))
        }
        _ => false,
    }
}

impl Rewriter<'_> {
    fn module(&mut self, program: &swc_ecma_ast::Module) {
        self.bindings.enter();
        if memchr::memmem::find(self.scan.0.as_bytes(), b"require").is_some() {
            self.bindings.declare(&Atom::from("require"), Binding::Require);
        }
        for item in &program.body {
            self.static_import(item);
        }
        let declared = self.declared(&program.body);
        self.declare_aliases(&program.body, None);
        self.namespaces.enter();
        self.namespaces.note_declared(&program.body);
        self.refresh_module(&program.body, &declared);
        if let Some(end) = program.shebang.as_ref().map(|_| text::hashbang(self.scan.0)) {
            self.edits.blank(0, end as u32);
        } else if self.scan.0.starts_with('\u{feff}') {
            self.edits.replace(0, 3, "");
        }
        let mut before = None;
        for item in &program.body {
            if let ModuleItem::Stmt(stmt) = item {
                self.keep_apart(stmt, before);
            }
            self.item(item, &declared);
            before = Some(hi(item.span()));
        }
        self.finish_aliases(0);
        self.bindings.leave();
    }

    /// What the top level declares, imports aside; an import of such a name is a mistake,
    /// or a type.
    fn declared(&mut self, body: &[ModuleItem]) -> FxHashSet<Atom> {
        let mut declared = FxHashSet::default();
        let mut twice = Vec::new();
        hoist::items(body, &mut |ident| {
            declared.insert(ident.sym.clone());
            match self.bindings.get(&ident.sym) {
                Some(Binding::Import(_)) if !self.syntax.typescript => twice.push(ident),
                _ => self.bindings.hide(&ident.sym),
            }
        });
        for ident in twice {
            let message = format!("`{}` is imported and declared in the same file.", ident.sym);
            self.problem(ident.span, message, "Rename one of the two: `import { a as b }`.");
        }
        declared
    }

    /// Numbers the modules a file imports, in its order, and declares the local names.
    fn static_import(&mut self, item: &ModuleItem) {
        let ModuleItem::ModuleDecl(decl) = item else { return };
        match decl {
            ModuleDecl::Import(import) if !import.type_only => self.import_decl(import),
            ModuleDecl::ExportNamed(export) if !export.type_only => {
                let Some(from) = &export.src else { return };
                let types_only = !export.specifiers.is_empty() && export.specifiers.iter().all(is_type);
                if !types_only {
                    let index = self.source(from, export.with.as_deref());
                    self.imports[index as usize].kept = true;
                    self.export_from(export, index);
                }
            }
            ModuleDecl::ExportAll(export) if !export.type_only => {
                let index = self.source(&export.src, export.with.as_deref());
                self.imports[index as usize].kept = true;
                if !self.exports.stars.contains(&index) {
                    self.exports.stars.push(index);
                }
            }
            _ => {}
        }
    }

    fn import_decl(&mut self, import: &ImportDecl) {
        let index = self.source(&import.src, import.with.as_deref());
        // TypeScript drops what is used as a type only, but never `import "x"`.
        let elided = self.syntax.typescript && (!import.specifiers.is_empty() || self.has_braces(import));
        self.imports[index as usize].kept |= !elided;
        for specifier in &import.specifiers {
            let (local, name) = match specifier {
                ImportSpecifier::Default(default) => (&default.local, Some("default".to_owned())),
                ImportSpecifier::Namespace(namespace) => (&namespace.local, None),
                ImportSpecifier::Named(named) if named.is_type_only => continue,
                ImportSpecifier::Named(named) => {
                    let name =
                        named.imported.as_ref().map_or(named.local.sym.to_string(), |name| name.atom().to_string());
                    (&named.local, Some(name))
                }
            };
            let span = specifier.span();
            if matches!(self.bindings.get(&local.sym), Some(Binding::Import(_))) {
                let message = format!("`{}` is imported twice.", local.sym);
                self.problem(span, message, "Rename one of the two: `import { a as b }`.");
            }
            self.bindings.declare(&local.sym, Binding::Import(self.locals.len() as u32));
            let required = !self.syntax.typescript;
            self.locals.push(ImportLocal {
                import: index,
                name,
                start: lo(span),
                end: hi(span),
                used: false,
                required,
            });
        }
    }

    fn has_braces(&self, import: &ImportDecl) -> bool {
        let at = self.scan.skip_trivia(lo(import.span) + "import".len() as u32);
        self.scan.byte(at) == b'{'
    }

    fn source(&mut self, from: &Str, with: Option<&ObjectLit>) -> u32 {
        let specifier = from.value.to_string_lossy();
        self.import(&specifier, lo(from.span), hi(from.span), with.and_then(type_attribute))
    }

    fn item(&mut self, item: &ModuleItem, declared: &FxHashSet<Atom>) {
        let decl = match item {
            ModuleItem::Stmt(stmt) => return stmt.visit_with(self),
            ModuleItem::ModuleDecl(decl) => decl,
        };
        let (start, end) = (lo(decl.span()), hi(decl.span()));
        match decl {
            ModuleDecl::Import(import) => {
                if import.phase != ImportPhase::Evaluation {
                    self.problem(import.span, "This kind of import isn't supported.", "Use a plain import.");
                }
                self.edits.blank_statement(start, end);
            }
            ModuleDecl::ExportAll(_) | ModuleDecl::TsNamespaceExport(_) => self.edits.blank_statement(start, end),
            ModuleDecl::ExportNamed(export) => {
                if export.src.is_none() && !export.type_only {
                    self.export_names(export, declared);
                }
                self.edits.blank_statement(start, end);
            }
            ModuleDecl::ExportDecl(export) => self.export_decl(export),
            ModuleDecl::ExportDefaultDecl(export) => self.export_default_decl(export),
            ModuleDecl::ExportDefaultExpr(export) => self.export_default_expr(&export.expr, export.span),
            ModuleDecl::TsImportEquals(import) => self.import_equals(import),
            ModuleDecl::TsExportAssignment(export) => {
                self.edits.replace_keeping_lines(start, lo(export.expr.span()), "module.exports=");
                export.expr.visit_with(self);
            }
        }
    }

    fn export_decl(&mut self, export: &ExportDecl) {
        let (start, end) = (lo(export.span), hi(export.span));
        if types::is_erased(&export.decl) {
            return self.edits.blank_statement(start, end);
        }
        let mut names = Vec::new();
        hoist::declared(&export.decl, true, &mut |ident| names.push(ident));
        for name in names {
            self.export_local(name, &name.sym);
        }
        match &export.decl {
            Decl::TsEnum(decl) => {
                self.edits.blank(start, lo(decl.span));
                self.enum_decl(decl, false);
            }
            Decl::TsModule(module) => {
                self.edits.blank(start, lo(module.span));
                self.namespace(module, false);
            }
            decl => {
                self.edits.blank(start, start + "export".len() as u32);
                decl.visit_with(self);
            }
        }
    }

    fn export_default_decl(&mut self, export: &ExportDefaultDecl) {
        let (start, end) = (lo(export.span), hi(export.span));
        if let Some(name) = types::default_name(&export.decl) {
            self.export_local(name, "default");
        }
        match &export.decl {
            DefaultDecl::Fn(function) if function.function.body.is_some() => {
                let from = lo(function.function.span);
                self.edits.blank(start, from);
                if function.ident.is_none() {
                    self.export_default(export.span);
                    let params = function.function.type_params.as_ref().map(|params| lo(params.span));
                    let at = params.or_else(|| self.scan.find(from, b'(')).unwrap_or(from);
                    self.edits.insert(at, format!(" {}d", self.prefix));
                    self.namespaces.anonymous_default = true;
                }
                function.function.visit_with(self);
                self.hook_signature_of_declaration(function.ident.as_ref(), &function.function);
            }
            DefaultDecl::Class(class) => {
                let from = lo(class.class.span);
                if class.ident.is_some() {
                    self.edits.blank(start, self.after_default(start).min(from));
                    self.class(&class.class, class.ident.as_ref());
                    return;
                }
                self.export_default(export.span);
                let text = format!("const {}d={{default:", self.prefix);
                self.edits.replace_keeping_lines(start, self.after_default(start).min(from), &text);
                self.class(&class.class, None);
                self.edits.insert(end, "}.default;");
            }
            _ => self.edits.blank_statement(start, end),
        }
    }

    /// The end of `export default`.
    fn after_default(&self, start: u32) -> u32 {
        let default = self.scan.skip_trivia(start + "export".len() as u32);
        default + "default".len() as u32
    }

    fn export_default_expr(&mut self, expr: &Expr, span: swc_common::Span) {
        self.export_default(span);
        let (start, end) = (lo(expr.span()), hi(expr.span()));
        // Only an anonymous function or class takes its name from here.
        let named = match types::bare(expr) {
            Expr::Arrow(_) => true,
            Expr::Fn(function) => function.ident.is_none(),
            Expr::Class(class) => class.ident.is_none(),
            _ => false,
        };
        let open = if named { "{default:" } else { "" };
        let text = format!("const {}d={open}", self.prefix);
        self.edits.replace_keeping_lines(lo(span), start, &text);
        expr.visit_with(self);
        self.edits.insert(end, if named { "}.default;" } else { ";" });
    }

    fn finish(mut self) -> Module {
        for local in &self.locals {
            if local.used {
                self.imports[local.import as usize].kept = true;
            }
            if let (true, Some(name)) = (local.required, &local.name) {
                let name = ImportedName { name: name.clone(), start: local.start, end: local.end };
                self.imports[local.import as usize].import.names.push(name);
            }
        }
        let mut numbers = Vec::with_capacity(self.imports.len());
        let mut count = 0;
        for import in &self.imports {
            numbers.push(count);
            count += u32::from(import.kept);
        }
        let prefix = self.prefix.clone();
        let import_name = |index: u32| format!("{prefix}{}", numbers[index as usize]);
        let getters = self.exports.getters(&self, &import_name);
        let stars: Vec<u32> = self.exports.stars.iter().map(|index| numbers[*index as usize]).collect();
        let imports: Vec<Import> =
            self.imports.iter().filter(|import| import.kept).map(|import| import.import.clone()).collect();
        let mut module = Module {
            kind: self.kind(),
            refresh: self.refresh.as_ref().is_some_and(Refresh::registers),
            factory: String::new(),
            imports,
            requests: std::mem::take(&mut self.requests),
            exports: self.exports.names(),
            stars: stars.iter().map(|index| *index as usize).collect(),
            reexports_cjs: Vec::new(),
            map: None,
        };
        module.factory = match module.kind {
            Kind::CommonJs => self.common_js_head(&mut module, &getters),
            _ => self.head(&module, &getters),
        };
        let mut map = self.options.map.then(Map::new);
        let tail = self.tail();
        let edits = std::mem::replace(&mut self.edits, crate::edit::Edits::new(""));
        edits.apply(&mut module.factory, &mut map, import_name);
        module.factory.push('\n');
        module.factory.push_str(&tail);
        module.factory.push('}');
        module.map = map.map(|map| map.finish(&module.factory));
        module
    }

    fn kind(&self) -> Kind {
        match (self.syntax.common_js, self.is_async) {
            (true, _) => Kind::CommonJs,
            (false, true) => Kind::EsmAsync,
            (false, false) => Kind::Esm,
        }
    }

    fn head(&self, module: &Module, getters: &[(String, String)]) -> String {
        let prefix = &self.prefix;
        let mut head = if self.is_async { "async function*(" } else { "function*(" }.to_owned();
        head.push_str(&format!("{prefix}m"));
        for index in 0..module.imports.len() {
            head.push_str(&format!(",{prefix}{index}"));
        }
        head.push_str("){\"use strict\";");
        head.push_str(&exports::registration(prefix, getters));
        for index in &module.stars {
            head.push_str(&format!("{prefix}m.s({prefix}{index});"));
        }
        head.push_str(&self.default_name());
        head.push_str(&self.hook_variables());
        head.push_str("yield;");
        head
    }

    /// A function that is exported anonymously is called `default`.
    fn default_name(&self) -> String {
        if !self.namespaces.anonymous_default {
            return String::new();
        }
        format!("Object.defineProperty({}d,\"name\",{{value:\"default\",configurable:true}});", self.prefix)
    }

    /// The same module as CommonJS, with TypeScript's interoperation.
    fn common_js_head(&self, module: &mut Module, getters: &[(String, String)]) -> String {
        let prefix = &self.prefix;
        let mut head = "function(exports,module,require){\"use strict\";".to_owned();
        if !getters.is_empty() || !module.stars.is_empty() {
            head.push_str("Object.defineProperty(exports,\"__esModule\",{value:true});");
        }
        for (name, value) in getters {
            let name = quote(name);
            head.push_str(&format!("Object.defineProperty(exports,{name},{{enumerable:true,get:()=>{value}}});"));
        }
        head.push_str(&self.default_name());
        if !module.imports.is_empty() {
            head.push_str(&format!(
                "const {prefix}s=m=>m&&m.__esModule?m:Object.assign(Object.create(Object(m)),{{default:m}});"
            ));
        }
        for (index, import) in module.imports.drain(..).enumerate() {
            let name = format!("{prefix}{index}");
            head.push_str(&format!("const {name}={prefix}s(require({}));", quote(&import.specifier)));
            if module.stars.contains(&index) {
                head.push_str(&format!(
                    "Object.keys({name}).forEach(k=>k===\"default\"||k in exports||Object.defineProperty(exports,k,{{enumerable:true,get:()=>{name}[k]}}));"
                ));
                module.reexports_cjs.push(import.specifier.clone());
            }
            let Import { specifier, start, end, .. } = import;
            module.requests.push(Request { specifier, kind: RequestKind::Require, start, end });
        }
        module.stars.clear();
        head
    }
}

fn is_type(specifier: &ExportSpecifier) -> bool {
    matches!(specifier, ExportSpecifier::Named(named) if named.is_type_only)
}

fn type_attribute(with: &ObjectLit) -> Option<String> {
    with.props.iter().find_map(|prop| {
        let PropOrSpread::Prop(prop) = prop else { return None };
        let Prop::KeyValue(KeyValueProp { key, value }) = &**prop else { return None };
        let named = match key {
            PropName::Ident(ident) => ident.sym == "type",
            PropName::Str(text) => text.value.to_string_lossy() == "type",
            _ => false,
        };
        let Expr::Lit(Lit::Str(value)) = &**value else { return None };
        named.then(|| value.value.to_string_lossy().into_owned())
    })
}
