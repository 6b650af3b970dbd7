//! TypeScript's enums.
//!
//! In:  `enum A { X, Y = "y" }`
//! Out: `var A;(function(A){ A[A["X"]=0]="X"; A["Y"]="y"; })(A||(A={}));`

use rustc_hash::FxHashMap;
use swc_atoms::Atom;
use swc_common::Spanned;
use swc_ecma_ast::*;
use swc_ecma_visit::VisitWith;

use crate::bindings::Binding;
use crate::parse::{hi, lo};
use crate::quote;
use crate::rewrite::Rewriter;
use crate::types;

/// What is known of a member's value without running it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    Number(f64),
    Text,
    Unknown,
}

impl Rewriter<'_> {
    /// An enum; `exported` where a namespace exports it.
    pub(crate) fn enum_decl(&mut self, decl: &TsEnumDecl, exported: bool) {
        let name = decl.id.sym.clone();
        let span = decl.span;
        let open = self.scan.find(self.name_range(&decl.id).1, b'{').unwrap_or(lo(span));
        let head = self.container_head(&decl.id);
        self.edits.replace_keeping_lines(lo(span), open, &format!("{head}(function({name})"));
        self.bindings.enter();
        let earlier = self.namespaces.enum_members(&name);
        let names = decl.members.iter().map(|member| member_name(&member.id));
        for member in earlier.into_iter().chain(names.clone()) {
            self.bindings.declare(&member, Binding::Member(name.clone()));
        }
        self.enum_members(decl, &name);
        self.bindings.leave();
        self.namespaces.add_enum_members(&name, names);
        let tail = self.container_tail(&name, exported);
        self.edits.insert(hi(span), format!("){tail}"));
    }

    fn enum_members(&mut self, decl: &TsEnumDecl, name: &Atom) {
        let mut known: FxHashMap<Atom, Value> = FxHashMap::default();
        let mut previous: Option<Atom> = None;
        for member in &decl.members {
            let id = member_name(&member.id);
            let key = quote(&id);
            let (start, end) = (lo(member.span), hi(member.span));
            let value = match &member.init {
                Some(init) => {
                    let value = evaluate(init, &known);
                    let (before, after) = frame(name, &key, value);
                    self.edits.replace_keeping_lines(start, lo(init.span()), &before);
                    init.visit_with(self);
                    self.edits.insert(end, after);
                    value
                }
                None => {
                    let value = follow(previous.as_ref().and_then(|previous| known.get(previous)), previous.is_none());
                    let text = match (value, &previous) {
                        (Value::Number(number), _) => number.to_string(),
                        (_, Some(previous)) => format!("{name}[{}]+1", quote(previous)),
                        (_, None) => "0".to_owned(),
                    };
                    let (before, after) = frame(name, &key, value);
                    self.edits.replace_keeping_lines(start, end, &format!("{before}{text}{after}"));
                    value
                }
            };
            let comma = self.scan.skip_trivia(end);
            if self.scan.byte(comma) == b',' {
                self.edits.replace(comma, comma + 1, ";");
            }
            known.insert(id.clone(), value);
            previous = Some(id);
        }
    }
}

/// What stands before and after a member's value: only numbers map back to names.
fn frame(name: &str, key: &str, value: Value) -> (String, String) {
    match value {
        Value::Text => (format!("{name}[{key}]="), String::new()),
        _ => (format!("{name}[{name}[{key}]="), format!("]={key}")),
    }
}

fn member_name(id: &TsEnumMemberId) -> Atom {
    match id {
        TsEnumMemberId::Ident(ident) => ident.sym.clone(),
        TsEnumMemberId::Str(text) => Atom::from(text.value.to_string_lossy().as_ref()),
    }
}

/// The value of a member that says none.
fn follow(previous: Option<&Value>, first: bool) -> Value {
    match previous {
        Some(Value::Number(number)) if number.abs() < 1e15 => Value::Number(number + 1.0),
        None if first => Value::Number(0.0),
        _ => Value::Unknown,
    }
}

fn evaluate(expr: &Expr, known: &FxHashMap<Atom, Value>) -> Value {
    match types::bare(expr) {
        Expr::Lit(Lit::Num(number)) => Value::Number(number.value),
        Expr::Lit(Lit::Str(_)) | Expr::Tpl(_) => Value::Text,
        Expr::Ident(ident) => known.get(&ident.sym).copied().unwrap_or(Value::Unknown),
        Expr::Member(member) => match &member.prop {
            MemberProp::Ident(prop) if member.obj.is_ident() => known.get(&prop.sym).copied().unwrap_or(Value::Unknown),
            _ => Value::Unknown,
        },
        Expr::Unary(unary) => match (unary.op, evaluate(&unary.arg, known)) {
            (UnaryOp::Minus, Value::Number(number)) => Value::Number(-number),
            (UnaryOp::Plus, Value::Number(number)) => Value::Number(number),
            _ => Value::Unknown,
        },
        Expr::Bin(bin) => match (bin.op, evaluate(&bin.left, known), evaluate(&bin.right, known)) {
            (BinaryOp::Add, Value::Text, _) | (BinaryOp::Add, _, Value::Text) => Value::Text,
            _ => Value::Unknown,
        },
        _ => Value::Unknown,
    }
}
