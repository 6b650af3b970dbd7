//! What the walk does at each kind of node.
//!
//! Opens scopes where the language does, and hands over to the file of a feature
//! where a node is more than the nodes inside of it.

use swc_common::Spanned;
use swc_ecma_ast::*;
use swc_ecma_visit::{Visit, VisitWith};

use super::Rewriter;
use crate::bindings::Binding;
use crate::parse::{hi, lo};
use crate::{RequestKind, fold, hoist, types};

impl Visit for Rewriter<'_> {
    fn visit_stmts(&mut self, stmts: &[Stmt]) {
        let mut before = None;
        for stmt in stmts {
            self.keep_apart(stmt, before);
            stmt.visit_with(self);
            before = Some(hi(stmt.span()));
        }
    }

    fn visit_stmt(&mut self, stmt: &Stmt) {
        self.nested(stmt.span(), |this| match stmt {
            Stmt::Decl(decl) if types::is_erased(decl) => this.edits.blank_statement(lo(stmt.span()), hi(stmt.span())),
            Stmt::Decl(Decl::TsEnum(decl)) => this.enum_decl(decl, false),
            Stmt::Decl(Decl::TsModule(module)) => this.namespace(module, false),
            Stmt::If(branch) => this.folded_if(branch),
            Stmt::Labeled(labeled) => labeled.body.visit_with(this),
            Stmt::Break(_) | Stmt::Continue(_) => {}
            _ => stmt.visit_children_with(this),
        });
    }

    fn visit_block_stmt(&mut self, block: &BlockStmt) {
        self.namespaces.enter();
        self.scope(|mut found| hoist::lexical(&block.stmts, &mut found), |this| this.visit_stmts(&block.stmts));
        self.namespaces.leave();
    }

    fn visit_static_block(&mut self, block: &StaticBlock) {
        self.function_body(&block.body.stmts);
    }

    fn visit_try_stmt(&mut self, stmt: &TryStmt) {
        self.tries += 1;
        stmt.block.visit_with(self);
        self.tries -= 1;
        stmt.handler.visit_with(self);
        stmt.finalizer.visit_with(self);
    }

    fn visit_catch_clause(&mut self, clause: &CatchClause) {
        self.scope(
            |mut found| clause.param.iter().for_each(|param| hoist::pattern(param, &mut found)),
            |this| clause.visit_children_with(this),
        );
    }

    fn visit_for_stmt(&mut self, stmt: &ForStmt) {
        self.scope(
            |mut found| {
                if let Some(VarDeclOrExpr::VarDecl(var)) = &stmt.init
                    && var.kind != VarDeclKind::Var
                {
                    var.decls.iter().for_each(|decl| hoist::pattern(&decl.name, &mut found));
                }
            },
            |this| stmt.visit_children_with(this),
        );
    }

    fn visit_for_in_stmt(&mut self, stmt: &ForInStmt) {
        self.scope(|mut found| hoist::head(&stmt.left, &mut found), |this| stmt.visit_children_with(this));
    }

    fn visit_for_of_stmt(&mut self, stmt: &ForOfStmt) {
        self.is_async |= stmt.is_await && self.functions == 0;
        self.scope(|mut found| hoist::head(&stmt.left, &mut found), |this| stmt.visit_children_with(this));
    }

    fn visit_for_head(&mut self, head: &ForHead) {
        self.pattern_scoped(matches!(head, ForHead::Pat(_)), |this| head.visit_children_with(this));
    }

    fn visit_using_decl(&mut self, decl: &UsingDecl) {
        self.is_async |= decl.is_await && self.functions == 0;
        decl.visit_children_with(self);
    }

    fn visit_switch_stmt(&mut self, stmt: &SwitchStmt) {
        stmt.discriminant.visit_with(self);
        self.scope(
            |mut found| stmt.cases.iter().for_each(|case| hoist::lexical(&case.cons, &mut found)),
            |this| stmt.cases.visit_with(this),
        );
    }

    fn visit_var_declarator(&mut self, decl: &VarDeclarator) {
        self.pattern_scoped(false, |this| decl.name.visit_with(this));
        self.signed_declarator(decl);
    }

    fn visit_fn_decl(&mut self, decl: &FnDecl) {
        decl.function.visit_with(self);
        self.hook_signature_of_declaration(Some(&decl.ident), &decl.function);
    }

    fn visit_fn_expr(&mut self, expr: &FnExpr) {
        self.scope(|found| expr.ident.iter().for_each(found), |this| expr.function.visit_with(this));
    }

    fn visit_function(&mut self, function: &Function) {
        function.decorators.visit_with(self);
        self.scope(
            |mut found| function.params.iter().for_each(|param| hoist::pattern(&param.pat, &mut found)),
            |this| {
                this.functions += 1;
                function.type_params.visit_with(this);
                this.this_param(function);
                this.pattern_scoped(false, |this| function.params.visit_with(this));
                function.return_type.visit_with(this);
                this.functions -= 1;
                if let Some(body) = &function.body {
                    this.hook_signature_call(body);
                    this.function_body(&body.stmts);
                }
            },
        );
    }

    fn visit_constructor(&mut self, constructor: &Constructor) {
        self.constructor(constructor);
    }

    fn visit_arrow_expr(&mut self, arrow: &ArrowExpr) {
        self.scope(
            |mut found| arrow.params.iter().for_each(|param| hoist::pattern(param, &mut found)),
            |this| {
                this.functions += 1;
                this.arrow_types(arrow);
                this.pattern_scoped(false, |this| arrow.params.visit_with(this));
                this.functions -= 1;
                match &*arrow.body {
                    ArrowFunctionBody::FunctionBody(body) => {
                        this.hook_signature_call(body);
                        this.function_body(&body.stmts);
                    }
                    ArrowFunctionBody::Expr(body) => {
                        this.functions += 1;
                        this.hook_signature_around(body);
                        this.functions -= 1;
                    }
                }
            },
        );
    }

    fn visit_class_decl(&mut self, decl: &ClassDecl) {
        self.class(&decl.class, Some(&decl.ident));
    }

    fn visit_class_expr(&mut self, expr: &ClassExpr) {
        self.scope(|found| expr.ident.iter().for_each(found), |this| this.class(&expr.class, expr.ident.as_ref()));
    }

    fn visit_class_members(&mut self, members: &[ClassMember]) {
        for member in members {
            self.class_member(member);
        }
    }

    fn visit_decorator(&mut self, decorator: &Decorator) {
        self.problem(
            decorator.span,
            "Decorators aren't supported yet.",
            "Call the decorator as a function on the class instead.",
        );
    }

    fn visit_expr(&mut self, expr: &Expr) {
        self.nested(expr.span(), |this| {
            this.refreshed(expr, |this| this.pattern_scoped(false, |this| this.expr(expr)));
        });
    }

    fn visit_callee(&mut self, callee: &Callee) {
        if let Callee::Expr(expr) = callee {
            self.mark_callee(expr);
            expr.visit_with(self);
        }
    }

    fn visit_opt_call(&mut self, call: &OptCall) {
        self.mark_callee(&call.callee);
        call.callee.visit_with(self);
        call.type_args.visit_with(self);
        call.args.visit_with(self);
    }

    fn visit_member_expr(&mut self, member: &MemberExpr) {
        if fold::is_node_env(member) {
            let value = crate::quote(self.options.node_env);
            let (start, end) = (lo(member.span), hi(member.span));
            return self.edits.replace_keeping_lines(start, end, &value);
        }
        member.visit_children_with(self);
    }

    fn visit_prop(&mut self, prop: &Prop) {
        match prop {
            Prop::Shorthand(ident) => self.shorthand(ident),
            _ => prop.visit_children_with(self),
        }
    }

    fn visit_assign_target(&mut self, target: &AssignTarget) {
        self.pattern_scoped(true, |this| target.visit_children_with(this));
    }

    fn visit_update_expr(&mut self, expr: &UpdateExpr) {
        match types::bare(&expr.arg) {
            Expr::Ident(ident) if self.is_import(ident) => self.assignment(ident),
            _ => expr.arg.visit_with(self),
        }
    }

    fn visit_binding_ident(&mut self, ident: &BindingIdent) {
        if self.assigning {
            self.assignment(&ident.id);
        }
        self.binding_types(ident);
    }

    fn visit_object_pat_prop(&mut self, prop: &ObjectPatProp) {
        let ObjectPatProp::Assign(prop) = prop else { return prop.visit_children_with(self) };
        if self.assigning {
            let ident = &prop.key.id;
            match self.bindings.get(&ident.sym) {
                Some(Binding::Import(_)) => self.assignment(ident),
                _ => self.shorthand(ident),
            }
        }
        prop.value.visit_with(self);
    }

    fn visit_array_pat(&mut self, pat: &ArrayPat) {
        pat.elems.visit_with(self);
        self.pattern_types(pat.optional, pat.type_ann.as_deref(), hi(pat.span));
    }

    fn visit_object_pat(&mut self, pat: &ObjectPat) {
        pat.props.visit_with(self);
        self.pattern_types(pat.optional, pat.type_ann.as_deref(), hi(pat.span));
    }

    fn visit_jsx_element(&mut self, element: &JSXElement) {
        self.nested(element.span, |this| this.element(element));
    }

    fn visit_jsx_fragment(&mut self, fragment: &JSXFragment) {
        self.nested(fragment.span, |this| this.fragment(fragment));
    }

    fn visit_ts_type_ann(&mut self, ann: &TsTypeAnn) {
        self.edits.blank(lo(ann.span), hi(ann.span));
    }

    fn visit_ts_type_param_decl(&mut self, params: &TsTypeParamDecl) {
        self.edits.blank(lo(params.span), hi(params.span));
    }

    fn visit_ts_type_param_instantiation(&mut self, args: &TsTypeParamInstantiation) {
        self.edits.blank(lo(args.span), hi(args.span));
    }

    fn visit_ts_type(&mut self, _: &TsType) {}

    fn visit_ts_as_expr(&mut self, cast: &TsAsExpr) {
        self.cast(&cast.expr, cast.span);
    }

    fn visit_ts_satisfies_expr(&mut self, cast: &TsSatisfiesExpr) {
        self.cast(&cast.expr, cast.span);
    }

    fn visit_ts_const_assertion(&mut self, cast: &TsConstAssertion) {
        self.cast(&cast.expr, cast.span);
    }

    fn visit_ts_type_assertion(&mut self, cast: &TsTypeAssertion) {
        self.cast(&cast.expr, cast.span);
    }

    fn visit_ts_instantiation(&mut self, expr: &TsInstantiation) {
        self.cast(&expr.expr, expr.span);
    }

    fn visit_ts_non_null_expr(&mut self, expr: &TsNonNullExpr) {
        expr.expr.visit_with(self);
        let end = hi(expr.span);
        self.edits.blank(end.saturating_sub(1), end);
    }
}

impl Rewriter<'_> {
    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Ident(ident) => self.reference(ident),
            Expr::Call(call) => self.call(call),
            Expr::New(new) => self.new_expr(new),
            Expr::TaggedTpl(tagged) => {
                self.mark_callee(&tagged.tag);
                tagged.tag.visit_with(self);
                tagged.type_params.visit_with(self);
                tagged.tpl.visit_with(self);
            }
            Expr::MetaProp(MetaPropExpr { kind: MetaPropKind::ImportMeta, span }) => {
                if self.syntax.common_js {
                    let remedy = "Replace `export =` and `import x = require()` by ES module syntax.";
                    return self.problem(*span, "CommonJS has no `import.meta`.", remedy);
                }
                let text = format!("{}m.meta", self.prefix);
                self.edits.replace_keeping_lines(lo(*span), hi(*span), &text);
            }
            Expr::Await(_) => {
                self.is_async |= self.functions == 0;
                expr.visit_children_with(self);
            }
            Expr::Tpl(tpl) => tpl.exprs.visit_with(self),
            Expr::Cond(cond) => self.folded_cond(cond),
            _ => expr.visit_children_with(self),
        }
    }

    fn call(&mut self, call: &CallExpr) {
        match &call.callee {
            Callee::Import(import) => {
                if let Some(argument) = call.args.first() {
                    self.request(&argument.expr, RequestKind::Dynamic);
                }
                let start = lo(import.span);
                // CommonJS has no `$m`.
                let text =
                    if self.syntax.common_js { "require.import".to_owned() } else { format!("{}m.i", self.prefix) };
                self.edits.replace(start, start + "import".len() as u32, text);
            }
            Callee::Expr(callee) => {
                if let Expr::Ident(ident) = &**callee
                    && self.bindings.get(&ident.sym) == Some(&Binding::Require)
                    && let [argument] = &call.args[..]
                {
                    self.require(ident, &argument.expr);
                }
                call.callee.visit_with(self);
            }
            Callee::Super(_) => {}
        }
        call.type_args.visit_with(self);
        call.args.visit_with(self);
        self.parameter_properties(call);
    }

    /// `require` in an ES module, as bundlers allow it.
    fn require(&mut self, ident: &Ident, argument: &Expr) {
        let kind = if self.tries > 0 { RequestKind::OptionalRequire } else { RequestKind::Require };
        self.request(argument, kind);
        if !self.syntax.common_js {
            let (start, end) = self.name_range(ident);
            let text = format!("{}m.require", self.prefix);
            self.edits.replace(start, end, text);
        }
    }

    /// `new URL("./x", import.meta.url)`, and that as a worker's address.
    fn new_expr(&mut self, new: &NewExpr) {
        let arguments = new.args.as_deref().unwrap_or_default();
        if let Some(literal) = module_url(new) {
            self.request(literal, RequestKind::Url);
        } else if let (Expr::Ident(class), [first, ..]) = (&*new.callee, arguments)
            && matches!(&*class.sym, "Worker" | "SharedWorker")
            && let Expr::New(url) = types::bare(&first.expr)
            && let Some(literal) = module_url(url)
        {
            self.request(literal, RequestKind::Worker);
            url.args.iter().flatten().skip(1).for_each(|argument| argument.expr.visit_with(self));
            arguments.iter().skip(1).for_each(|argument| argument.expr.visit_with(self));
            return;
        }
        new.callee.visit_with(self);
        new.type_args.visit_with(self);
        new.args.visit_with(self);
    }

    /// `this` as a parameter is a type.
    fn this_param(&mut self, function: &Function) {
        if let Some(this) = &function.this_param {
            let end = hi(this.span);
            let comma = self.scan.skip_trivia(end);
            let end = if self.scan.byte(comma) == b',' { comma + 1 } else { end };
            self.edits.blank(lo(this.span), end);
        }
    }
}

fn module_url(new: &NewExpr) -> Option<&Expr> {
    let [address, base] = new.args.as_deref()? else { return None };
    let is_url = new.callee.as_ident().is_some_and(|ident| ident.sym == "URL");
    let Expr::Member(MemberExpr { obj, prop: MemberProp::Ident(prop), .. }) = &*base.expr else { return None };
    let is_meta = matches!(&**obj, Expr::MetaProp(MetaPropExpr { kind: MetaPropKind::ImportMeta, .. }));
    (is_url && is_meta && prop.sym == "url").then_some(&*address.expr)
}
