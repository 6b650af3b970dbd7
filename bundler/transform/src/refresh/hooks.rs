//! Signatures: which hooks a function calls, in which order, with which state.
//!
//! In:  `const App = () => { const [n] = useState(0); useOther(); }`
//! Out: `const App = () => {$s0(); … },{}=$s0(App,"hash",false,()=>[$0.useOther]);`
//!
//! React keeps state over an edit only where a component's signature is the same,
//! and those of all hooks of the project's own that it calls.

use swc_atoms::Atom;
use swc_common::Spanned;
use swc_ecma_ast::*;
use swc_ecma_visit::{Visit, VisitWith};

use super::unwrapped;
use crate::bindings::Binding;
use crate::edit::Text;
use crate::parse::{hi, lo};
use crate::quote;
use crate::rewrite::Rewriter;
use crate::scan::Scan;
use crate::text::member;

/// The hooks of a function.
pub(super) struct Signature {
    number: u32,
    /// Changes when the hooks do.
    key: String,
    /// Hooks that React doesn't bring along.
    custom: Vec<Hook>,
    /// Some can't be named from outside of the function.
    hidden: bool,
}

/// `useThing`, or `things.useThing`.
struct Hook {
    head: Ident,
    property: Option<Atom>,
}

const BUILT_IN: &[&str] = &[
    "useState",
    "useReducer",
    "useEffect",
    "useLayoutEffect",
    "useMemo",
    "useCallback",
    "useRef",
    "useContext",
    "useImperativeHandle",
    "useDebugValue",
    "useId",
    "useDeferredValue",
    "useTransition",
    "useInsertionEffect",
    "useSyncExternalStore",
    "useFormStatus",
    "useFormState",
    "useActionState",
    "useOptimistic",
    "useEffectEvent",
];

/// Whether code has JSX in it.
pub(super) fn renders(body: &(impl VisitWith<FindJsx> + ?Sized)) -> bool {
    let mut find = FindJsx(false);
    body.visit_with(&mut find);
    find.0
}

/// Looks for JSX.
pub(super) struct FindJsx(bool);

impl Visit for FindJsx {
    fn visit_jsx_element(&mut self, _: &JSXElement) {
        self.0 = true;
    }
    fn visit_jsx_fragment(&mut self, _: &JSXFragment) {
        self.0 = true;
    }
}

/// Collects the hook calls of one function, not of those inside of it.
struct Collect<'s> {
    scan: Scan<'s>,
    key: String,
    custom: Vec<Hook>,
    hidden: bool,
    found: bool,
}

impl Visit for Collect<'_> {
    fn visit_function(&mut self, _: &Function) {}
    fn visit_arrow_expr(&mut self, _: &ArrowExpr) {}
    fn visit_class(&mut self, _: &Class) {}
    fn visit_ts_type(&mut self, _: &TsType) {}

    fn visit_var_declarator(&mut self, decl: &VarDeclarator) {
        if let Some(Expr::Call(call)) = decl.init.as_deref() {
            let (start, end) = (lo(decl.name.span()), hi(decl.name.span()));
            self.call(call, self.scan.slice(start, end));
            return call.visit_children_with(self);
        }
        decl.visit_children_with(self);
    }

    fn visit_call_expr(&mut self, call: &CallExpr) {
        self.call(call, "");
        call.visit_children_with(self);
    }
}

impl Collect<'_> {
    fn call(&mut self, call: &CallExpr, target: &str) {
        let Callee::Expr(callee) = &call.callee else { return };
        let (name, hook) = match unwrapped(callee) {
            Expr::Ident(ident) => (&ident.sym, Some(Hook { head: ident.clone(), property: None })),
            Expr::Member(MemberExpr { obj, prop: MemberProp::Ident(prop), .. }) => {
                let head = obj.as_ident();
                (&prop.sym, head.map(|head| Hook { head: head.clone(), property: Some(prop.sym.clone()) }))
            }
            _ => return,
        };
        if !is_hook_name(name) {
            return;
        }
        if self.found {
            self.key.push('\n');
        }
        self.found = true;
        self.key.push_str(&format!("{name}{{{target}"));
        let initial = match &**name {
            "useState" => call.args.first(),
            "useReducer" => call.args.get(1),
            _ => None,
        };
        if let Some(initial) = initial {
            self.key.push_str(&format!("({})", self.scan.slice(lo(initial.span()), hi(initial.span()))));
        }
        self.key.push('}');
        if !BUILT_IN.contains(&&**name) {
            match hook {
                Some(hook) => self.custom.push(hook),
                None => self.hidden = true,
            }
        }
    }
}

fn is_hook_name(name: &str) -> bool {
    name.strip_prefix("use").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
}

impl Rewriter<'_> {
    /// Begins a function's body with a call of its signature, if it has hooks.
    pub(crate) fn hook_signature_call(&mut self, body: &FunctionBody) {
        let start = lo(body.span);
        if let Some(number) = self.collect_hooks(start, &body.stmts) {
            self.edits.insert(start + 1, format!("{}s{number}();", self.prefix));
        }
    }

    /// The same for the body of `() => expression`, which is visited as well.
    pub(crate) fn hook_signature_around(&mut self, body: &Expr) {
        let (start, end) = (lo(body.span()), hi(body.span()));
        let number = self.collect_hooks(start, body);
        if let Some(number) = number {
            self.edits.insert(start, format!("({}s{number}(),", self.prefix));
        }
        self.visit_expr(body);
        if number.is_some() {
            self.edits.insert(end, ")");
        }
    }

    fn collect_hooks<'n>(&mut self, start: u32, body: &'n (impl VisitWith<Collect<'n>> + ?Sized)) -> Option<u32>
    where
        Self: 'n,
    {
        let refresh = self.refresh.as_mut()?;
        let mut collect =
            Collect { scan: self.scan, key: String::new(), custom: Vec::new(), hidden: false, found: false };
        body.visit_with(&mut collect);
        if !collect.found {
            return None;
        }
        let number = refresh.signatures.len() as u32;
        let key = hash(&collect.key);
        let signature = Signature { number, key, custom: collect.custom, hidden: collect.hidden };
        refresh.signatures.insert(start, signature);
        Some(number)
    }

    /// After a declared function: `$s0(App,"hash");`
    pub(crate) fn hook_signature_of_declaration(&mut self, name: Option<&Ident>, function: &Function) {
        let Some(body) = &function.body else { return };
        let name = name.map_or_else(|| format!("{}d", self.prefix), |name| name.sym.to_string());
        self.sign(lo(body.span), hi(function.span), &format!("({name}"), ");");
    }

    /// Visits a variable's function, and signs it by another declarator after it: around it,
    /// the call would take away its name.
    pub(crate) fn signed_declarator(&mut self, decl: &VarDeclarator) {
        let (Pat::Ident(name), Some(init)) = (&decl.name, &decl.init) else { return decl.init.visit_with(self) };
        let body = match unwrapped(init) {
            function @ (Expr::Arrow(_) | Expr::Fn(_)) => body_start(function),
            _ => None,
        };
        if let Some(refresh) = &mut self.refresh {
            refresh.declared = body;
        }
        init.visit_with(self);
        if let Some(body) = body {
            self.sign_as(body, hi(init.span()), ",{}=", &format!("({}", name.sym), ")");
        }
    }

    /// Visits an expression; a function that nothing names is signed by a call around it.
    pub(super) fn signed(&mut self, expr: &Expr, visit: impl FnOnce(&mut Self)) {
        let Some(body) = body_start(expr) else { return visit(self) };
        let declared =
            self.refresh.as_mut().is_some_and(|refresh| refresh.declared.take_if(|at| *at == body).is_some());
        if declared {
            return visit(self);
        }
        let mark = self.edits.mark();
        visit(self);
        let signature = self.refresh.as_ref().and_then(|refresh| refresh.signatures.get(&body));
        let Some(number) = signature.map(|signature| signature.number) else { return };
        let call = format!("{}s{number}(", self.prefix);
        self.edits.insert_at_mark(mark, lo(expr.span()), call);
        self.sign_rest(body, hi(expr.span()), ")");
    }

    fn sign(&mut self, body: u32, at: u32, open: &str, close: &'static str) {
        self.sign_as(body, at, "", open, close);
    }

    fn sign_as(&mut self, body: u32, at: u32, before: &str, open: &str, close: &'static str) {
        let signature = self.refresh.as_ref().and_then(|refresh| refresh.signatures.get(&body));
        let Some(number) = signature.map(|signature| signature.number) else { return };
        self.edits.insert(at, format!("{before}{}s{number}{open}", self.prefix));
        self.sign_rest(body, at, close);
    }

    /// `,"hash",false,()=>[useOther])`
    fn sign_rest(&mut self, body: u32, at: u32, close: &'static str) {
        let Some(refresh) = &mut self.refresh else { return };
        let Some(signature) = refresh.signatures.get(&body) else { return };
        let known = |hook: &&Hook| refresh.top.contains(&hook.head.sym);
        let hidden = signature.hidden || signature.custom.iter().any(|hook| !known(&hook));
        let reset = refresh.reset || hidden;
        let named: Vec<(Ident, Option<Atom>)> =
            signature.custom.iter().filter(known).map(|hook| (hook.head.clone(), hook.property.clone())).collect();
        self.edits.insert(at, format!(",{}", quote(&signature.key)));
        if reset || !named.is_empty() {
            self.edits.insert(at, if reset { ",true" } else { ",false" });
        }
        if !named.is_empty() {
            self.edits.insert(at, ",()=>[");
            for (index, (head, property)) in named.into_iter().enumerate() {
                if index > 0 {
                    self.edits.insert(at, ",");
                }
                self.name_at(&head, at);
                if let Some(property) = property {
                    self.edits.insert(at, member(&property));
                }
            }
            self.edits.insert(at, "]");
        }
        self.edits.insert(at, close);
    }

    /// Writes what a name of the top level means.
    fn name_at(&mut self, name: &Ident, at: u32) {
        match self.bindings.get(&name.sym) {
            Some(Binding::Import(local)) => {
                let local = &self.locals[*local as usize];
                let text = local.name.as_deref().map(member);
                self.edits.insert(at, Text::Import(local.import));
                if let Some(text) = text {
                    self.edits.insert(at, text);
                }
            }
            _ => self.edits.insert(at, name.sym.to_string()),
        }
    }
}

/// Where the body of a function begins.
fn body_start(expr: &Expr) -> Option<u32> {
    match expr {
        Expr::Fn(function) => function.function.body.as_ref().map(|body| lo(body.span)),
        Expr::Arrow(arrow) => Some(match &*arrow.body {
            ArrowFunctionBody::FunctionBody(body) => lo(body.span),
            ArrowFunctionBody::Expr(body) => lo(body.span()),
        }),
        _ => None,
    }
}

/// FNV-1a: short, and the same on every machine.
fn hash(text: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:x}")
}
