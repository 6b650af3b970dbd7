//! Registrations for React Fast Refresh, so that an edit keeps components' state.
//!
//! In:  `export default function App() { const [n] = useState(0); … }`
//! Out: `const $s0=$m.g();` … `function App() {$s0(); …}$s0(App,"…");` … `$m.r(App,"App");`
//!
//! What counts as a component is what react-refresh's own transform says: top-level
//! functions and constants with a capital, also inside of calls such as `memo(…)`.
//! Signatures of hooks are in [`hooks`]. All of it is put between what stands there;
//! registrations come last, on a line of their own.

mod hooks;

use rustc_hash::{FxHashMap, FxHashSet};
use swc_atoms::Atom;
use swc_common::Spanned;
use swc_ecma_ast::*;

use crate::parse::{hi, lo};
use crate::quote;
use crate::rewrite::Rewriter;

/// What is known of a file's components.
#[derive(Default)]
pub(crate) struct Refresh {
    /// What is registered: an expression for the tail, and the name.
    registrations: Vec<(String, String)>,
    /// Components if they are used as a JSX type: `const A = styled.p…`.
    candidates: Vec<Atom>,
    used_types: FxHashSet<Atom>,
    /// Expressions that are kept in a variable, by their place, and its number.
    handles: FxHashMap<(u32, u32), u32>,
    /// Signatures of functions with hooks, by where their body starts.
    signatures: FxHashMap<u32, hooks::Signature>,
    /// Where a function stands that a variable is initialised with.
    declared: Option<u32>,
    /// Names of the top level, which the signatures' functions can refer to.
    top: FxHashSet<Atom>,
    /// `@refresh reset` asks for new state on every edit.
    reset: bool,
}

impl Refresh {
    pub(crate) fn new(source: &str) -> Refresh {
        let reset = memchr::memmem::find(source.as_bytes(), b"@refresh reset").is_some();
        Refresh { reset, ..Refresh::default() }
    }

    /// Whether any component is registered.
    pub(crate) fn registers(&self) -> bool {
        !self.registrations.is_empty() || self.candidates.iter().any(|name| self.used_types.contains(name))
    }

    fn register(&mut self, expr: impl Into<String>, name: impl Into<String>) {
        self.registrations.push((expr.into(), name.into()));
    }
}

impl Rewriter<'_> {
    /// Finds the components of a module before it is visited.
    pub(crate) fn refresh_module(&mut self, body: &[ModuleItem], declared: &FxHashSet<Atom>) {
        let Some(mut refresh) = self.refresh.take() else { return };
        refresh.top = declared.clone();
        for item in body {
            if let ModuleItem::ModuleDecl(ModuleDecl::Import(import)) = item {
                refresh.top.extend(import.specifiers.iter().map(|specifier| specifier.local().sym.clone()));
            }
        }
        for item in body {
            match item {
                ModuleItem::Stmt(Stmt::Decl(decl)) => self.components(&mut refresh, decl),
                ModuleItem::ModuleDecl(ModuleDecl::ExportDecl(export)) => self.components(&mut refresh, &export.decl),
                ModuleItem::ModuleDecl(ModuleDecl::ExportDefaultDecl(export)) => {
                    if let DefaultDecl::Fn(function) = &export.decl {
                        self.default_function(&mut refresh, function);
                    }
                }
                ModuleItem::ModuleDecl(ModuleDecl::ExportDefaultExpr(export)) => {
                    self.default_expression(&mut refresh, unwrapped(&export.expr));
                }
                _ => {}
            }
        }
        self.refresh = Some(refresh);
    }

    fn components(&self, refresh: &mut Refresh, decl: &Decl) {
        match decl {
            Decl::Fn(function) if function.function.body.is_some() && is_component_name(&function.ident.sym) => {
                refresh.register(&*function.ident.sym, &*function.ident.sym);
            }
            Decl::Var(var) if !var.declare => {
                let [decl] = &var.decls[..] else { return };
                if let (Pat::Ident(name), Some(init)) = (&decl.name, &decl.init)
                    && is_component_name(&name.sym)
                {
                    self.constant(refresh, &name.id, unwrapped(init));
                }
            }
            _ => {}
        }
    }

    fn constant(&self, refresh: &mut Refresh, name: &Ident, init: &Expr) {
        let found = match init {
            Expr::Arrow(arrow) => !is_curried(arrow),
            Expr::Fn(_) => true,
            Expr::Call(call) => {
                let Callee::Expr(callee) = &call.callee else { return };
                let loads = callee
                    .as_ident()
                    .is_some_and(|ident| ident.sym.starts_with("require") || ident.sym.starts_with("import"));
                if loads {
                    return;
                }
                self.inside_call(refresh, call, &name.sym)
            }
            Expr::TaggedTpl(_) => false,
            _ => return,
        };
        if found {
            refresh.register(&*name.sym, &*name.sym);
        } else if !init.is_arrow() {
            refresh.candidates.push(name.sym.clone());
        }
    }

    fn default_function(&self, refresh: &mut Refresh, function: &FnExpr) {
        match (&function.ident, &function.function.body) {
            (Some(name), Some(_)) if is_component_name(&name.sym) => refresh.register(&*name.sym, &*name.sym),
            (None, Some(body)) if hooks::renders(body) => refresh.register(format!("{}d", self.prefix), "%default%"),
            _ => {}
        }
    }

    fn default_expression(&self, refresh: &mut Refresh, expr: &Expr) {
        let found = match expr {
            Expr::Call(call) => self.inside_call(refresh, call, "%default%"),
            Expr::Arrow(arrow) => hooks::renders(&*arrow.body),
            Expr::Fn(function) => function.function.body.as_ref().is_some_and(hooks::renders),
            _ => false,
        };
        if found {
            refresh.register(format!("{}d", self.prefix), "%default%");
        }
    }

    /// Whether a call such as `memo(forwardRef(() => …))` wraps a component; what is
    /// inside gets registered by names that tell how deep it is.
    fn inside_call(&self, refresh: &mut Refresh, call: &CallExpr, name: &str) -> bool {
        let (Callee::Expr(callee), Some(first)) = (&call.callee, call.args.first()) else { return false };
        let callee = unwrapped(callee);
        if !callee.is_ident() && !callee.is_member() {
            return false;
        }
        let source = self.scan.slice(lo(callee.span()), hi(callee.span()));
        let inner = format!("{name}${source}");
        let argument = unwrapped(&first.expr);
        match argument {
            // Where it is declared it is registered.
            Expr::Ident(ident) => return is_component_name(&ident.sym),
            Expr::Arrow(arrow) if is_curried(arrow) => return false,
            Expr::Arrow(_) | Expr::Fn(_) => {}
            Expr::Call(call) if self.inside_call(refresh, call, &inner) => {}
            _ => return false,
        }
        let number = refresh.handles.len() as u32;
        refresh.handles.insert((lo(argument.span()), hi(argument.span())), number);
        refresh.register(format!("{}x{number}", self.prefix), inner);
        true
    }

    /// Notes that a name is used as the type of an element.
    pub(crate) fn refresh_type(&mut self, ident: &Ident) {
        if let Some(refresh) = &mut self.refresh
            && refresh.candidates.contains(&ident.sym)
        {
            refresh.used_types.insert(ident.sym.clone());
        }
    }

    /// Visits an expression, keeping it in a variable or signing it where that is wanted.
    pub(crate) fn refreshed(&mut self, expr: &Expr, visit: impl FnOnce(&mut Self)) {
        if self.refresh.is_none() || !matches!(expr, Expr::Arrow(_) | Expr::Fn(_) | Expr::Call(_)) {
            return visit(self);
        }
        let span = expr.span();
        let (start, end) = (lo(span), hi(span));
        let handle = self.refresh.as_ref().and_then(|refresh| refresh.handles.get(&(start, end)).copied());
        if let Some(handle) = handle {
            self.edits.insert(start, format!("({}x{handle}=", self.prefix));
        }
        self.signed(expr, visit);
        if handle.is_some() {
            self.edits.insert(end, ")");
        }
    }

    /// `var $s0=$m.g(),$x0;`
    pub(crate) fn hook_variables(&self) -> String {
        let Some(refresh) = &self.refresh else { return String::new() };
        let prefix = &self.prefix;
        let signatures = (0..refresh.signatures.len()).map(|number| format!("{prefix}s{number}={prefix}m.g()"));
        let handles = (0..refresh.handles.len()).map(|number| format!("{prefix}x{number}"));
        let all: Vec<String> = signatures.chain(handles).collect();
        if all.is_empty() { String::new() } else { format!("var {};", all.join(",")) }
    }

    /// `$m.r(App,"App");`
    pub(crate) fn tail(&self) -> String {
        let Some(refresh) = &self.refresh else { return String::new() };
        let prefix = &self.prefix;
        let mut tail = String::new();
        for (expr, name) in &refresh.registrations {
            tail.push_str(&format!("{prefix}m.r({expr},{});", quote(name)));
        }
        for name in refresh.candidates.iter().filter(|name| refresh.used_types.contains(*name)) {
            tail.push_str(&format!("{prefix}m.r({name},{});", quote(name)));
        }
        tail
    }
}

fn is_component_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
}

/// `a => b => …` makes components, but isn't one.
fn is_curried(arrow: &ArrowExpr) -> bool {
    matches!(&*arrow.body, ArrowFunctionBody::Expr(body) if body.is_arrow())
}

/// An expression without parentheses around it.
fn unwrapped(expr: &Expr) -> &Expr {
    let mut expr = expr;
    while let Expr::Paren(inner) = expr {
        expr = &inner.expr;
    }
    expr
}
