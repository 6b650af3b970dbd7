//! The walk over a syntax tree that makes the edits.
//!
//! One pass in the order of the source: names that mean an import become
//! `$0.name`, types vanish, JSX becomes calls. What belongs to a language feature
//! of its own stands in that feature's file; here is the walk, scopes and names.

mod visit;

use swc_common::Spanned;
use swc_ecma_ast::*;
use swc_ecma_visit::{Visit, VisitWith};

use crate::aliases::Alias;
use crate::bindings::{Binding, Bindings};
use crate::detect::Syntax;
use crate::edit::{Edits, Text};
use crate::exports::Exports;
use crate::jsx::JsxState;
use crate::namespaces::Namespaces;
use crate::parse::{hi, lo};
use crate::refresh::Refresh;
use crate::scan::Scan;
use crate::text::member;
use crate::{Import, Options, Problem, Request, RequestKind, hoist, types};

/// A tree deeper than this isn't followed. The lexical check before parsing says so
/// earlier; this holds where it was misled.
const MAX_DEPTH: u32 = 6000;

/// An import before it is known whether anything uses it.
#[derive(Debug)]
pub(crate) struct StaticImport {
    pub(crate) import: Import,
    /// It stays even when nothing of it is used.
    pub(crate) kept: bool,
}

/// The local name of something imported.
#[derive(Debug)]
pub(crate) struct ImportLocal {
    pub(crate) import: u32,
    /// `None` is the namespace itself.
    pub(crate) name: Option<String>,
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) used: bool,
    /// Used in a way that needs the other module to export it.
    pub(crate) required: bool,
}

/// Everything the walk knows and finds.
pub(crate) struct Rewriter<'s> {
    pub(crate) scan: Scan<'s>,
    pub(crate) options: &'s Options<'s>,
    pub(crate) syntax: Syntax,
    /// `$`, or more of it where the source uses such names itself.
    pub(crate) prefix: String,
    pub(crate) edits: Edits<'s>,
    pub(crate) bindings: Bindings,
    pub(crate) imports: Vec<StaticImport>,
    pub(crate) locals: Vec<ImportLocal>,
    pub(crate) exports: Exports,
    pub(crate) requests: Vec<Request>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) jsx: JsxState,
    pub(crate) namespaces: Namespaces,
    pub(crate) aliases: Vec<Alias>,
    pub(crate) refresh: Option<Refresh>,
    /// Top-level await was seen.
    pub(crate) is_async: bool,
    /// How many functions are around.
    pub(crate) functions: u32,
    /// How many `try` blocks are around.
    tries: u32,
    depth: u32,
    /// Names in a pattern are assigned to, not declared.
    assigning: bool,
    /// Where a name stands that is called, perhaps in parentheses and casts.
    callee: Option<u32>,
}

impl<'s> Rewriter<'s> {
    pub(crate) fn new(source: &'s str, options: &'s Options<'s>, syntax: Syntax) -> Rewriter<'s> {
        Rewriter {
            scan: Scan(source),
            options,
            syntax,
            prefix: prefix(source),
            edits: Edits::new(source),
            bindings: Bindings::default(),
            imports: Vec::new(),
            locals: Vec::new(),
            exports: Exports::default(),
            requests: Vec::new(),
            problems: Vec::new(),
            jsx: JsxState::new(source, options.jsx),
            namespaces: Namespaces::default(),
            aliases: Vec::new(),
            refresh: (options.refresh && !syntax.common_js).then(|| Refresh::new(source)),
            is_async: false,
            functions: 0,
            tries: 0,
            depth: 0,
            assigning: false,
            callee: None,
        }
    }

    pub(crate) fn problem(&mut self, span: swc_common::Span, message: impl Into<String>, remedy: &str) {
        let (message, remedy) = (message.into(), remedy.to_owned());
        self.problems.push(Problem { message, start: lo(span), end: hi(span), remedy });
    }

    /// The number of an import that isn't written in the source, such as a JSX runtime.
    pub(crate) fn implicit_import(&mut self, specifier: &str, at: u32) -> u32 {
        let index = self.import(specifier, at, at, None);
        self.imports[index as usize].kept = true;
        index
    }

    /// The number of an import of this specifier.
    pub(crate) fn import(&mut self, specifier: &str, start: u32, end: u32, attribute_type: Option<String>) -> u32 {
        let same = |import: &StaticImport| {
            import.import.specifier == specifier && import.import.attribute_type == attribute_type
        };
        if let Some(index) = self.imports.iter().position(same) {
            return index as u32;
        }
        let specifier = specifier.to_owned();
        let import = Import { specifier, start, end, names: Vec::new(), attribute_type };
        self.imports.push(StaticImport { import, kept: false });
        self.imports.len() as u32 - 1
    }

    /// Runs `work` in a scope that declares what `declare` finds.
    pub(crate) fn scope<'n>(&mut self, declare: impl FnOnce(&mut dyn FnMut(&'n Ident)), work: impl FnOnce(&mut Self)) {
        self.bindings.enter();
        if !self.bindings.is_idle() {
            let bindings = &mut self.bindings;
            declare(&mut |ident: &'n Ident| bindings.hide(&ident.sym));
        }
        work(self);
        self.bindings.leave();
    }

    /// A name that is read.
    pub(crate) fn reference(&mut self, ident: &Ident) {
        let called = self.callee.take_if(|at| *at == lo(ident.span)).is_some();
        match self.bindings.get(&ident.sym) {
            None | Some(Binding::Local | Binding::Require) => {}
            Some(Binding::Alias(number)) => self.aliases[*number as usize].used = true,
            Some(Binding::Member(object)) => {
                let text = format!("{object}{}", member(&ident.sym));
                let (start, end) = self.name_range(ident);
                self.edits.replace(start, end, text);
            }
            Some(Binding::Import(local)) => {
                let local = *local;
                let (start, end) = self.name_range(ident);
                self.import_reference(local, start, end, called);
            }
        }
    }

    /// Writes `$0.name`, or `(0,$0.name)`, over a range.
    fn import_reference(&mut self, local: u32, start: u32, end: u32, called: bool) {
        let local = &mut self.locals[local as usize];
        local.used = true;
        local.required = true;
        let import = local.import;
        let name = local.name.as_deref().map(member);
        let Some(name) = name else {
            return self.edits.replace(start, end, Text::Import(import));
        };
        if called {
            self.edits.insert(start, "(0,");
        }
        self.edits.insert(start, Text::Import(import));
        self.edits.replace(start, end, if called { name + ")" } else { name });
    }

    /// `name` → `name:$0.name`, or nothing where the name stays.
    fn shorthand(&mut self, ident: &Ident) {
        match self.bindings.get(&ident.sym) {
            None | Some(Binding::Local | Binding::Require) => return,
            Some(Binding::Alias(_)) => return self.reference(ident),
            Some(Binding::Import(_) | Binding::Member(_)) => {}
        }
        let (start, end) = self.name_range(ident);
        self.edits.insert(start, format!("{}:", self.scan.slice(start, end)));
        self.reference(ident);
    }

    /// A name that is written to.
    fn assignment(&mut self, ident: &Ident) {
        if let Some(Binding::Import(_)) = self.bindings.get(&ident.sym) {
            let message = format!("`{}` is imported and can't be assigned to.", ident.sym);
            let remedy = "Export a function from the other module that changes it, or copy it to a variable.";
            return self.problem(ident.span, message, remedy);
        }
        self.reference(ident);
    }

    /// Where a name stands, without a type that its node may span as well.
    pub(crate) fn name_range(&self, ident: &Ident) -> (u32, u32) {
        let start = lo(ident.span);
        (start, self.scan.word_end(start))
    }

    /// Whether a name means an import here.
    pub(crate) fn is_import(&self, ident: &Ident) -> bool {
        matches!(self.bindings.get(&ident.sym), Some(Binding::Import(_)))
    }

    /// Remembers that a name, if this expression is one, is called.
    fn mark_callee(&mut self, callee: &Expr) {
        self.callee = types::bare(callee).as_ident().map(|ident| lo(ident.span));
    }

    /// Where an expression without a line of its own would run on from the last
    /// statement once it starts with `(`.
    pub(crate) fn keep_apart(&mut self, stmt: &Stmt, before: Option<u32>) {
        let Stmt::Expr(stmt) = stmt else { return };
        let Some(before) = before else { return };
        if self.scan.byte(before.wrapping_sub(1)) == b';' {
            return;
        }
        if leftmost(&stmt.expr).is_some_and(|ident| self.is_import(ident)) {
            self.edits.insert(lo(stmt.span), ";");
        }
    }

    fn nested(&mut self, span: swc_common::Span, work: impl FnOnce(&mut Self)) {
        if self.depth >= MAX_DEPTH {
            if self.depth == MAX_DEPTH && self.problems.is_empty() {
                self.problem(span, "This code nests too deep to be compiled.", "Split the expression.");
            }
            return;
        }
        self.depth += 1;
        work(self);
        self.depth -= 1;
    }

    fn pattern_scoped(&mut self, assigning: bool, work: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.assigning, assigning);
        work(self);
        self.assigning = before;
    }

    pub(crate) fn function_body(&mut self, stmts: &[Stmt]) {
        self.functions += 1;
        self.namespaces.enter();
        self.scope(
            |mut found| {
                hoist::vars(stmts, &mut found);
                hoist::lexical(stmts, &mut found);
            },
            |this| this.visit_stmts(stmts),
        );
        self.namespaces.leave();
        self.functions -= 1;
    }

    fn request(&mut self, literal: &Expr, kind: RequestKind) {
        let specifier = match types::bare(literal) {
            Expr::Lit(Lit::Str(text)) => text.value.to_string_lossy().into_owned(),
            Expr::Tpl(tpl) if tpl.exprs.is_empty() => {
                match tpl.quasis.first().and_then(|quasi| quasi.cooked.as_ref()) {
                    Some(text) => text.to_string_lossy().into_owned(),
                    None => return,
                }
            }
            _ => return,
        };
        let span = literal.span();
        self.requests.push(Request { specifier, kind, start: lo(span), end: hi(span) });
    }

    /// Visits what a pattern declares, writing to members where the names are those of a namespace.
    pub(crate) fn assign_pattern(&mut self, pat: &Pat) {
        self.pattern_scoped(true, |this| pat.visit_with(this));
    }
}

/// The name an expression statement begins with.
fn leftmost(expr: &Expr) -> Option<&Ident> {
    let mut expr = expr;
    loop {
        expr = match expr {
            Expr::Ident(ident) => return Some(ident),
            Expr::Member(member) => &member.obj,
            Expr::Call(call) => call.callee.as_expr()?,
            Expr::TaggedTpl(tagged) => &tagged.tag,
            Expr::Bin(bin) => &bin.left,
            Expr::Cond(cond) => &cond.test,
            Expr::Seq(seq) => seq.exprs.first()?,
            Expr::OptChain(chain) => match &*chain.base {
                OptChainBase::Member(member) => &member.obj,
                OptChainBase::Call(call) => &call.callee,
            },
            Expr::Assign(assign) => match &assign.left {
                AssignTarget::Simple(SimpleAssignTarget::Member(member)) => &member.obj,
                _ => return None,
            },
            Expr::Update(update) if !update.prefix => &update.arg,
            Expr::TsAs(cast) => &cast.expr,
            Expr::TsSatisfies(cast) => &cast.expr,
            Expr::TsNonNull(cast) => &cast.expr,
            Expr::TsInstantiation(cast) => &cast.expr,
            _ => return None,
        };
    }
}

/// The shortest run of `$` that begins no name of ours in the source.
fn prefix(source: &str) -> String {
    let mut prefix = "$".to_owned();
    let taken = |prefix: &str| {
        let finder = memchr::memmem::Finder::new(prefix);
        finder.find_iter(source.as_bytes()).any(|at| {
            let next = source.as_bytes().get(at + prefix.len());
            next.is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'm' | b'd' | b's' | b'x'))
        })
    };
    while taken(&prefix) {
        prefix.push('$');
    }
    prefix
}
