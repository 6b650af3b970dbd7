//! `process.env.NODE_ENV`, and branches that its value decides.
//!
//! In:  `if (process.env.NODE_ENV !== "production") { a } else { b }`
//! Out: `if (true) { a } else { }`
//!
//! A dead branch goes only if nothing in it is hoisted out of it.

use swc_common::Spanned;
use swc_ecma_ast::*;
use swc_ecma_visit::VisitWith;

use crate::parse::{hi, lo};
use crate::rewrite::Rewriter;
use crate::{hoist, types};

/// Whether this is `process.env.NODE_ENV`.
pub(crate) fn is_node_env(member: &MemberExpr) -> bool {
    let named = |prop: &MemberProp, name: &str| prop.as_ident().is_some_and(|ident| ident.sym == name);
    named(&member.prop, "NODE_ENV")
        && member.obj.as_member().is_some_and(|env| {
            named(&env.prop, "env") && env.obj.as_ident().is_some_and(|process| process.sym == "process")
        })
}

/// What a condition comes to, if `NODE_ENV` alone decides it.
fn decide(test: &Expr, node_env: &str) -> Option<bool> {
    match types::bare(test) {
        Expr::Bin(bin) => match bin.op {
            BinaryOp::EqEqEq | BinaryOp::EqEq => same(bin, node_env),
            BinaryOp::NotEqEq | BinaryOp::NotEq => same(bin, node_env).map(|same| !same),
            BinaryOp::LogicalAnd => match decide(&bin.left, node_env) {
                Some(true) => decide(&bin.right, node_env),
                left => left,
            },
            BinaryOp::LogicalOr => match decide(&bin.left, node_env) {
                Some(false) => decide(&bin.right, node_env),
                left => left,
            },
            _ => None,
        },
        Expr::Unary(unary) if unary.op == UnaryOp::Bang => decide(&unary.arg, node_env).map(|value| !value),
        _ => None,
    }
}

fn same(bin: &BinExpr, node_env: &str) -> Option<bool> {
    let text = |expr: &Expr| match expr {
        Expr::Lit(Lit::Str(text)) => Some(text.value.to_string_lossy().into_owned()),
        Expr::Member(member) if is_node_env(member) => Some(node_env.to_owned()),
        _ => None,
    };
    let reads = |expr: &Expr| expr.as_member().is_some_and(is_node_env);
    (reads(&bin.left) || reads(&bin.right)).then_some(())?;
    Some(text(&bin.left)? == text(&bin.right)?)
}

/// Whether a statement can go without anything outside of it noticing.
fn is_removable(stmt: &Stmt) -> bool {
    let mut free = true;
    hoist::vars(std::slice::from_ref(stmt), &mut |_| free = false);
    free
}

impl Rewriter<'_> {
    /// Visits an `if`, without the branch that is dead.
    pub(crate) fn folded_if(&mut self, branch: &IfStmt) {
        let Some(value) = decide(&branch.test, self.options.node_env) else {
            return branch.visit_children_with(self);
        };
        self.decided(&branch.test, value);
        self.branch(&branch.cons, value);
        if let Some(alt) = &branch.alt {
            self.branch(alt, !value);
        }
    }

    fn branch(&mut self, stmt: &Stmt, alive: bool) {
        if alive || !is_removable(stmt) {
            return stmt.visit_with(self);
        }
        let (start, end) = (lo(stmt.span()), hi(stmt.span()));
        match stmt {
            Stmt::Block(_) => self.edits.blank(start + 1, end.saturating_sub(1)),
            _ => self.edits.blank_statement(start, end),
        }
    }

    /// Visits `test ? a : b`, without the operand that is dead.
    pub(crate) fn folded_cond(&mut self, cond: &CondExpr) {
        let Some(value) = decide(&cond.test, self.options.node_env) else {
            return cond.visit_children_with(self);
        };
        self.decided(&cond.test, value);
        for (operand, alive) in [(&cond.cons, value), (&cond.alt, !value)] {
            if alive {
                operand.visit_with(self);
            } else {
                self.edits.replace_keeping_lines(lo(operand.span()), hi(operand.span()), "0");
            }
        }
    }

    fn decided(&mut self, test: &Expr, value: bool) {
        let text = if value { "true" } else { "false" };
        self.edits.replace_keeping_lines(lo(test.span()), hi(test.span()), text);
    }
}
