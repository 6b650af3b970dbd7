//! Takes TypeScript's types out of the text.
//!
//! In:  `const a: number = b as any;`
//! Out: `const a         = b       ;`
//!
//! Types become white space, so lines and mostly columns stay. Where a line end
//! inside of a type, or the type itself, kept two statements apart, a semicolon
//! or a moved parenthesis does so instead.

use swc_common::{Span, Spanned};
use swc_ecma_ast::*;
use swc_ecma_visit::VisitWith;

use crate::parse::{hi, lo};
use crate::rewrite::Rewriter;
use crate::text::newlines;

/// Whether a declaration leaves nothing behind.
pub(crate) fn is_erased(decl: &Decl) -> bool {
    match decl {
        Decl::TsInterface(_) | Decl::TsTypeAlias(_) => true,
        Decl::Class(class) => class.declare,
        Decl::Fn(function) => function.declare || function.function.body.is_none(),
        Decl::Var(var) => var.declare,
        Decl::Using(_) => false,
        Decl::TsEnum(decl) => decl.declare,
        Decl::TsModule(module) => {
            module.declare
                || module.global
                || matches!(module.id, TsModuleName::Str(_))
                || !module.body.as_ref().is_some_and(is_instantiated)
        }
    }
}

/// Whether a namespace has anything that runs.
pub(crate) fn is_instantiated(body: &TsNamespaceBody) -> bool {
    match body {
        TsNamespaceBody::TsNamespaceDecl(inner) => !inner.declare && is_instantiated(&inner.body),
        TsNamespaceBody::TsModuleBlock(block) => block.body.iter().any(|item| match item {
            ModuleItem::Stmt(Stmt::Decl(decl)) => !is_erased(decl),
            ModuleItem::Stmt(_) => true,
            ModuleItem::ModuleDecl(ModuleDecl::ExportDecl(export)) => !is_erased(&export.decl),
            ModuleItem::ModuleDecl(ModuleDecl::TsImportEquals(import)) => !import.is_type_only,
            ModuleItem::ModuleDecl(_) => false,
        }),
    }
}

/// The name that `export default` declares.
pub(crate) fn default_name(decl: &DefaultDecl) -> Option<&Ident> {
    match decl {
        DefaultDecl::Class(class) => class.ident.as_ref(),
        DefaultDecl::Fn(function) => function.ident.as_ref().filter(|_| function.function.body.is_some()),
        DefaultDecl::TsInterfaceDecl(_) => None,
    }
}

/// An expression without the parentheses and casts around it.
pub(crate) fn bare(expr: &Expr) -> &Expr {
    let mut expr = expr;
    loop {
        expr = match expr {
            Expr::Paren(inner) => &inner.expr,
            Expr::TsAs(cast) => &cast.expr,
            Expr::TsSatisfies(cast) => &cast.expr,
            Expr::TsConstAssertion(cast) => &cast.expr,
            Expr::TsNonNull(cast) => &cast.expr,
            Expr::TsTypeAssertion(cast) => &cast.expr,
            Expr::TsInstantiation(cast) => &cast.expr,
            expr => return expr,
        };
    }
}

impl Rewriter<'_> {
    /// `x as T`, `x satisfies T`, `x<T>`, `<T>x`
    pub(crate) fn cast(&mut self, expr: &Expr, span: Span) {
        let (start, end) = (lo(span), hi(span));
        let (inner_start, inner_end) = (lo(expr.span()), hi(expr.span()));
        if inner_start > start {
            self.cast_before(expr, start, inner_start, inner_end);
            return;
        }
        expr.visit_with(self);
        self.edits.blank(inner_end, end);
        let next = self.scan.skip_trivia(end);
        // The type ended the statement; the expression alone would run on.
        if matches!(self.scan.byte(next), b'(' | b'[' | b'`') && self.scan.has_newline(end, next) {
            self.edits.insert(end, ";");
        }
    }

    fn cast_before(&mut self, expr: &Expr, start: u32, inner_start: u32, inner_end: u32) {
        // `return <T>` and a line end must not become `return` and a line end.
        if self.scan.has_newline(start, inner_start) {
            self.edits.replace(start, start + 1, "(");
            self.edits.blank(start + 1, inner_start);
            expr.visit_with(self);
            self.edits.insert(inner_end, ")");
        } else {
            self.edits.blank(start, inner_start);
            expr.visit_with(self);
        }
    }

    /// Types around an arrow function's parameters, where line ends matter.
    pub(crate) fn arrow_types(&mut self, arrow: &ArrowExpr) {
        let mut open = lo(arrow.span);
        if let Some(params) = &arrow.type_params {
            let (start, end) = (lo(params.span), hi(params.span));
            open = self.scan.skip_trivia(end);
            if self.scan.has_newline(start, open) && self.scan.byte(open) == b'(' {
                self.edits.replace(start, start + 1, "(");
                self.edits.blank(start + 1, open + 1);
            } else {
                self.edits.blank(start, end);
            }
        } else if arrow.is_async {
            open = self.scan.skip_trivia(open + "async".len() as u32);
        }
        let Some(ann) = &arrow.return_type else { return };
        let after = arrow.params.last().map_or(open + 1, |param| hi(param.span()).max(open + 1));
        let end = hi(ann.span);
        match self.scan.find(after, b')') {
            // `=>` has to stand on the line of `)`.
            Some(close) if close < lo(ann.span) && self.scan.has_newline(close, end) => {
                let lines = newlines(self.scan.slice(close, end));
                self.edits.replace(close, end, format!("{lines})"));
            }
            _ => self.edits.blank(lo(ann.span), end),
        }
    }

    /// `x?: T`, `x!: T`
    pub(crate) fn binding_types(&mut self, ident: &BindingIdent) {
        let (_, end) = self.name_range(&ident.id);
        match &ident.type_ann {
            Some(ann) => self.edits.blank(end, hi(ann.span)),
            None if ident.id.optional => self.blank_byte(end, b'?'),
            None => {}
        }
    }

    /// `{a}?: T`
    pub(crate) fn pattern_types(&mut self, optional: bool, ann: Option<&TsTypeAnn>, end: u32) {
        let ann_start = ann.map_or(end, |ann| lo(ann.span));
        if optional {
            let mark = self.scan.trim_before(ann_start);
            if self.scan.byte(mark.saturating_sub(1)) == b'?' {
                self.edits.blank(mark - 1, mark);
            } else {
                self.blank_byte(ann_start, b'?');
            }
        }
        if let Some(ann) = ann {
            self.edits.blank(ann_start, hi(ann.span));
        }
    }

    fn blank_byte(&mut self, from: u32, byte: u8) {
        let at = self.scan.skip_trivia(from);
        if self.scan.byte(at) == byte {
            self.edits.blank(at, at + 1);
        }
    }

    pub(crate) fn class(&mut self, class: &Class, name: Option<&Ident>) {
        class.decorators.visit_with(self);
        if class.is_abstract {
            self.blank_abstract(lo(class.span));
        }
        class.type_params.visit_with(self);
        class.super_class.visit_with(self);
        class.super_type_params.visit_with(self);
        if let Some(last) = class.implements.last() {
            let ends = [
                name.map(|name| self.name_range(name).1),
                class.type_params.as_ref().map(|params| hi(params.span)),
                class.super_class.as_ref().map(|expr| hi(expr.span())),
                class.super_type_params.as_ref().map(|args| hi(args.span)),
            ];
            let from = ends.into_iter().flatten().max().unwrap_or(lo(class.span));
            let start = self.find_word(from, "implements", lo(class.implements[0].span));
            self.edits.blank(start, hi(last.span));
        }
        let outer = std::mem::replace(&mut self.namespaces.derived, class.super_class.is_some());
        class.body.visit_with(self);
        self.namespaces.derived = outer;
    }

    /// `abstract` stands before a class's span or begins it.
    fn blank_abstract(&mut self, start: u32) {
        const WORD: &str = "abstract";
        if self.scan.word(start) == WORD {
            return self.edits.blank(start, start + WORD.len() as u32);
        }
        let end = self.scan.trim_before(start);
        if self.scan.slice(0, end).ends_with(WORD) {
            self.edits.blank(end - WORD.len() as u32, end);
        }
    }

    /// The place of a word at or after `from`, `limit` if it isn't before that.
    fn find_word(&self, from: u32, word: &str, limit: u32) -> u32 {
        let mut at = self.scan.skip_trivia(from);
        while at < limit {
            if self.scan.word(at) == word {
                return at;
            }
            at = self.scan.skip_trivia(self.scan.word_end(at).max(at + 1));
        }
        limit
    }

    pub(crate) fn class_member(&mut self, member: &ClassMember) {
        let span = member.span();
        match member {
            ClassMember::Method(method) if method.function.body.is_some() => {
                self.modifiers(span, lo(method.key.span()));
                method.key.visit_with(self);
                if method.is_optional {
                    self.blank_byte(hi(method.key.span()), b'?');
                }
                method.function.visit_with(self);
            }
            ClassMember::PrivateMethod(method) if method.function.body.is_some() => {
                self.modifiers(span, lo(method.key.span));
                if method.is_optional {
                    self.blank_byte(hi(method.key.span), b'?');
                }
                method.function.visit_with(self);
            }
            ClassMember::Constructor(constructor) if constructor.body.is_some() => {
                self.modifiers(span, lo(constructor.key.span()));
                constructor.visit_with(self);
            }
            ClassMember::ClassProp(prop) if !prop.declare && !prop.is_abstract => {
                prop.decorators.visit_with(self);
                self.modifiers(span, lo(prop.key.span()));
                prop.key.visit_with(self);
                let end = hi(prop.key.span());
                self.field(end, prop.type_ann.as_deref(), prop.is_optional, prop.value.as_deref());
            }
            ClassMember::PrivateProp(prop) => {
                prop.decorators.visit_with(self);
                self.modifiers(span, lo(prop.key.span));
                self.field(hi(prop.key.span), prop.type_ann.as_deref(), prop.is_optional, prop.value.as_deref());
            }
            ClassMember::AutoAccessor(accessor) => {
                self.problem(accessor.span, "`accessor` fields aren't supported yet.", "Write a getter and a setter.");
            }
            ClassMember::StaticBlock(block) => block.visit_with(self),
            ClassMember::Empty(_) => {}
            // Signatures without a body, `declare` and `abstract` members.
            _ => self.edits.blank_statement(lo(span), hi(span)),
        }
    }

    fn field(&mut self, key_end: u32, ann: Option<&TsTypeAnn>, optional: bool, value: Option<&Expr>) {
        let end = match ann {
            Some(ann) => hi(ann.span),
            None if optional => self.scan.find(key_end, b'?').map_or(key_end, |at| at + 1),
            None => key_end,
        };
        if end > key_end {
            self.edits.blank(key_end, end);
            // Without its type, a field called `get` would take the next one for its own.
            if value.is_none() && self.scan.byte(self.scan.skip_trivia(end)) != b';' {
                self.edits.insert(end, ";");
            }
        }
        if let Some(value) = value {
            value.visit_with(self);
        }
    }

    /// Blanks `public`, `readonly` and the like before a key.
    fn modifiers(&mut self, span: Span, key: u32) {
        if !self.syntax.typescript {
            return;
        }
        let mut at = self.scan.skip_trivia(lo(span));
        let mut first = true;
        while at < key {
            let end = self.scan.word_end(at);
            let word = self.scan.slice(at, end);
            if matches!(word, "public" | "private" | "protected" | "readonly" | "override" | "declare") {
                let next = self.scan.skip_trivia(end);
                // `a = b` on the line before would go on with `[` or `*`.
                if first && matches!(self.scan.byte(next), b'[' | b'*') {
                    self.edits.blank_statement(at, end);
                } else {
                    self.edits.blank(at, end);
                }
            }
            first = false;
            at = self.scan.skip_trivia(end.max(at + 1));
        }
    }

    /// A constructor, with the fields that its parameters declare.
    pub(crate) fn constructor(&mut self, constructor: &Constructor) {
        let Some(body) = &constructor.body else { return };
        let mut fields = String::new();
        for param in &constructor.params {
            if let ParamOrTsParamProp::TsParamProp(prop) = param {
                let (binding, start) = match &prop.param {
                    TsParamPropParam::Ident(ident) => (ident, lo(ident.id.span)),
                    TsParamPropParam::Assign(assign) => match &*assign.left {
                        Pat::Ident(ident) => (ident, lo(ident.id.span)),
                        _ => continue,
                    },
                };
                let (from, to) = self.name_range(&binding.id);
                let name = self.scan.slice(from, to);
                fields.push_str(&format!(",this.{name}={name}"));
                self.edits.blank(lo(prop.span), start);
            }
        }
        let derived = self.namespaces.derived;
        let outer = std::mem::take(&mut self.namespaces.fields);
        if derived {
            self.namespaces.direct_super = direct_super(body).map(lo);
            self.namespaces.fields = fields;
        } else if !fields.is_empty() {
            self.edits.insert(lo(body.span) + 1, format!("{};", &fields[1..]));
        }
        self.constructor_scopes(constructor, body);
        self.namespaces.fields = outer;
    }

    fn constructor_scopes(&mut self, constructor: &Constructor, body: &FunctionBody) {
        self.scope(
            |mut found| {
                for param in &constructor.params {
                    match param {
                        ParamOrTsParamProp::Param(param) => crate::hoist::pattern(&param.pat, &mut found),
                        ParamOrTsParamProp::TsParamProp(prop) => match &prop.param {
                            TsParamPropParam::Ident(ident) => found(&ident.id),
                            TsParamPropParam::Assign(assign) => crate::hoist::pattern(&assign.left, &mut found),
                        },
                    }
                }
            },
            |this| {
                constructor.params.visit_with(this);
                this.function_body(&body.stmts);
            },
        );
    }

    /// Sets the fields of parameters once `super()` has made `this`.
    pub(crate) fn parameter_properties(&mut self, call: &CallExpr) {
        if !matches!(call.callee, Callee::Super(_)) || self.namespaces.fields.is_empty() {
            return;
        }
        let fields = self.namespaces.fields.clone();
        let (start, end) = (lo(call.span), hi(call.span));
        if self.namespaces.direct_super == Some(start) {
            self.edits.insert(end, fields);
        } else {
            self.edits.insert(start, "(");
            self.edits.insert(end, format!("{fields},this)"));
        }
    }
}

/// `super()` as a statement of its own.
fn direct_super(body: &FunctionBody) -> Option<Span> {
    body.stmts.iter().find_map(|stmt| match stmt {
        Stmt::Expr(stmt) => match &*stmt.expr {
            Expr::Call(call) if matches!(call.callee, Callee::Super(_)) => Some(call.span),
            _ => None,
        },
        _ => None,
    })
}
